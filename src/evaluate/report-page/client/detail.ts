/** Beside the map: the selected label's scores, what it is mistaken for, its children's confusion matrix, its worst and best rows. */
import type { Page } from './page.ts'
import type { JudgedRow, RowViews } from './row-view.ts'

export function drawDetail(page: Page, rows: RowViews, host: HTMLElement): void {
  const { h, data } = page

  const crumbs = (id: number): HTMLElement => {
    const nav = h('nav', { class: 'crumbs', 'aria-label': 'Path of the label' })
    nav.append(h('button', { type: 'button', class: 'label', onclick: () => page.select(-1) }, 'All labels'))
    for (const above of page.path(id).slice(0, -1)) nav.append(' › ', page.labelButton(above))
    return nav
  }

  /** The label's siblings that it is taken for, or that are taken for it. */
  const mistakes = (id: number): HTMLElement | undefined => {
    const list = data.confusions.flatMap(([a, b, aAsB, bAsA]) =>
      a === id ? [{ other: b, out: aAsB, in: bAsA }] : b === id ? [{ other: a, out: bAsA, in: aAsB }] : [],
    )
    if (list.length === 0) return undefined
    const most = Math.max(...list.map((item) => Math.max(item.out, item.in)))
    const bar = (count: number): HTMLElement =>
      h(
        'td',
        { class: 'bar' },
        h('span', { style: `--w:${count / most}` }),
        h('b', {}, count === 0 ? '' : page.count(count)),
      )
    return h(
      'div',
      {},
      h('h4', {}, 'Confused with its siblings'),
      h(
        'table',
        { class: 'mistakes' },
        h('thead', {}, h('tr', {}, h('th', {}, ''), h('th', {}, 'taken for'), h('th', {}, 'taken from'))),
        h(
          'tbody',
          {},
          ...list
            .slice(0, 8)
            .map((item) =>
              h('tr', {}, h('th', { scope: 'row' }, page.labelButton(item.other)), bar(item.out), bar(item.in)),
            ),
        ),
      ),
    )
  }

  /** Rows are gold, columns predicted; the most confused children only, so that it stays small. */
  const matrix = (id: number): HTMLElement | undefined => {
    const inside = data.confusions.filter(([a]) => page.parent(a) === id)
    if (inside.length === 0) return undefined
    const total = new Map<number, number>()
    for (const [a, b, aAsB, bAsA] of inside)
      for (const child of [a, b]) total.set(child, (total.get(child) ?? 0) + aAsB + bAsA)
    const shown = [...total.entries()]
      .sort((p, q) => q[1] - p[1] || p[0] - q[0])
      .slice(0, 12)
      .map(([child]) => child)
      .sort((p, q) => p - q)
    const cells = new Map<string, number>()
    for (const [a, b, aAsB, bAsA] of inside) {
      cells.set(`${a} ${b}`, aAsB)
      cells.set(`${b} ${a}`, bAsA)
    }
    const most = Math.max(...cells.values())
    const cell = (gold: number, predicted: number): HTMLElement => {
      if (gold === predicted) return h('td', { class: 'same' })
      const count = cells.get(`${gold} ${predicted}`) ?? 0
      const words = `${page.title(gold)} taken for ${page.title(predicted)}: ${page.rows(count)}`
      const strength = count === 0 ? 0 : 0.12 + (0.88 * count) / most
      return h(
        'td',
        {
          title: words,
          style: count === 0 ? undefined : `--s:${strength.toFixed(3)}`,
          class: strength > 0.6 ? 'strong' : undefined,
        },
        count === 0 ? '' : page.count(count),
      )
    }
    return h(
      'div',
      {},
      h(
        'h4',
        {},
        'Confusion among its children',
        h('small', {}, total.size > shown.length ? `the worst ${shown.length}` : ''),
      ),
      h(
        'table',
        { class: 'matrix' },
        h('thead', {}, h('tr', {}, h('th', {}, ''), ...shown.map((_, i) => h('th', { scope: 'col' }, String(i + 1))))),
        h(
          'tbody',
          {},
          ...shown.map((gold, i) =>
            h(
              'tr',
              {},
              h('th', { scope: 'row' }, page.labelButton(gold), h('i', {}, String(i + 1))),
              ...shown.map((predicted) => cell(gold, predicted)),
            ),
          ),
        ),
      ),
      h('p', { class: 'note' }, 'Down: gold label. Across: predicted instead, in the same order.'),
    )
  }

  const weakest = (): HTMLElement => {
    const leaves = [...data.names.keys()].filter((id) => page.children(id).length === 0 && data.support[id]! > 0)
    leaves.sort((a, b) => page.f1(a) - page.f1(b) || data.support[b]! - data.support[a]! || a - b)
    return h(
      'div',
      {},
      h('h4', {}, 'Weakest labels'),
      h(
        'table',
        { class: 'weak' },
        h(
          'tbody',
          {},
          ...leaves
            .slice(0, 10)
            .map((id) =>
              h(
                'tr',
                {},
                h(
                  'th',
                  { scope: 'row' },
                  page.labelButton(id),
                  page.level(id) > 1 &&
                    h('small', { class: 'above', title: page.pathText(page.parent(id)) }, page.title(page.parent(id))),
                ),
                h(
                  'td',
                  { class: `f1 ${page.shade(id)}`, style: `--w:${page.f1(id)}` },
                  h('b', {}, page.score(page.f1(id))),
                ),
                h('td', {}, page.rows(data.support[id]!)),
              ),
            ),
        ),
      ),
    )
  }

  const list = (title: string, items: readonly JudgedRow[]): HTMLElement | undefined =>
    items.length === 0 ? undefined : h('div', {}, h('h4', {}, title), page.growing(items, 3, rows.view))

  const surestFirst =
    (id: number) =>
    (a: JudgedRow, b: JudgedRow): number =>
      (rows.probability(b.row, id) ?? b.confidence) - (rows.probability(a.row, id) ?? a.confidence)

  const render = (): void => {
    const id = page.selected()
    if (id < 0) {
      const inner = matrix(-1)
      host.replaceChildren(h('h3', {}, 'All labels'), weakest(), ...(inner ? [inner] : []))
      return
    }
    const of = (gold: boolean, predicted: boolean): JudgedRow[] =>
      rows.judged
        .filter((item) => item.gold.has(id) === gold && item.predicted.has(id) === predicted)
        .sort(surestFirst(id))
    const figure = (name: string, value: string): HTMLElement => h('div', {}, h('dd', {}, value), h('dt', {}, name))
    const scored = data.support[id]! + data.predicted[id]! > 0
    const parts: (HTMLElement | undefined)[] = [
      crumbs(id),
      h('h3', {}, page.title(id), page.title(id) !== data.names[id] && h('small', {}, data.names[id]!)),
      data.descriptions[id] === undefined ? undefined : h('p', { class: 'about' }, data.descriptions[id]),
      h(
        'dl',
        { class: 'figures small' },
        figure('F1', scored ? page.score(page.f1(id)) : '–'),
        figure('precision', data.predicted[id] === 0 ? '–' : page.score(page.precision(id))),
        figure('recall', data.support[id] === 0 ? '–' : page.score(page.recall(id))),
        figure('gold', page.count(data.support[id]!)),
        figure('predicted', page.count(data.predicted[id]!)),
      ),
      mistakes(id),
      matrix(id),
      list('Worst: missed', of(true, false)),
      list('Worst: wrongly given', of(false, true)),
      list('Best', of(true, true)),
    ]
    host.replaceChildren(...parts.filter((part) => part !== undefined))
  }
  page.onSelect(render)
  render()
}
