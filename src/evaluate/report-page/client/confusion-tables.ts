/** The confusions of one label, as small tables: with its siblings, and among its children. */
import type { Page } from './page.ts'

export interface ConfusionTables {
  siblings(id: number): HTMLElement | undefined
  children(id: number): HTMLElement | undefined
}

export function confusionTables(page: Page): ConfusionTables {
  const { h, data } = page

  /** The label's siblings that it is taken for, or that are taken for it. */
  const siblings = (id: number): HTMLElement | undefined => {
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
  const children = (id: number): HTMLElement | undefined => {
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
          class: strength > 0.85 ? 'strong' : undefined,
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

  return { siblings, children }
}
