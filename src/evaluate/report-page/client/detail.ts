/** Beside the map: the selected label's scores, its confusions, its worst and best rows; without a selection, the weakest labels. */
import type { ConfusionTables } from './confusion-tables.ts'
import type { Page } from './page.ts'
import type { JudgedRow, RowViews } from './row-view.ts'

export function drawDetail(page: Page, rows: RowViews, tables: ConfusionTables, host: HTMLElement): void {
  const { h, data } = page

  const crumbs = (id: number): HTMLElement => {
    const nav = h('nav', { class: 'crumbs', 'aria-label': 'Path of the label' })
    nav.append(h('button', { type: 'button', class: 'label', onclick: () => page.select(-1) }, 'All labels'))
    for (const above of page.path(id).slice(0, -1)) nav.append(' › ', page.labelButton(above))
    return nav
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

  const sureness = (item: JudgedRow, id: number): number =>
    rows.probability(item.row, id) ?? Math.max(0, ...item.confidences)
  const surestFirst =
    (id: number) =>
    (a: JudgedRow, b: JudgedRow): number =>
      sureness(b, id) - sureness(a, id)

  const render = (): void => {
    const id = page.selected()
    if (id < 0) {
      const inner = tables.children(-1)
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
      tables.siblings(id),
      tables.children(id),
      list('Worst: missed', of(true, false)),
      list('Worst: wrongly given', of(false, true)),
      list('Best', of(true, true)),
    ]
    host.replaceChildren(...parts.filter((part) => part !== undefined))
  }
  page.onSelect(render)
  render()
}
