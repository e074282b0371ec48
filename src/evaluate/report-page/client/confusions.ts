/** The siblings most often taken for each other, each direction as a bar, with the rows behind them. */
import type { Page } from './page.ts'
import type { RowViews } from './row-view.ts'

export function drawConfusions(page: Page, rows: RowViews, host: HTMLElement): void {
  const { h, data } = page
  if (data.confusions.length === 0) {
    host.append(h('p', { class: 'note' }, 'No row was given the sibling of its label.'))
    return
  }
  const most = Math.max(...data.confusions.map(([, , aAsB, bAsA]) => Math.max(aAsB, bAsA)))
  const half = (count: number, side: string): HTMLElement =>
    h('span', { class: side, style: `--w:${count / most}` }, h('b', {}, count === 0 ? '' : page.count(count)))
  const pair = ([a, b, aAsB, bAsA]: (typeof data.confusions)[0]): HTMLElement => {
    const above = page.parent(a)
    const body = h('div', { class: 'behind' })
    const details = h(
      'details',
      { class: 'pair' },
      h(
        'summary',
        {},
        h('span', { class: 'a', title: page.title(a) }, page.title(a)),
        h(
          'span',
          {
            class: 'bars',
            role: 'img',
            'aria-label': `${page.rows(aAsB)} of ${page.title(a)} taken for ${page.title(b)}, ${page.rows(bAsA)} the other way`,
          },
          half(aAsB, 'left'),
          half(bAsA, 'right'),
        ),
        h('span', { class: 'b', title: page.title(b) }, page.title(b)),
        h('small', {}, above < 0 ? '' : page.pathText(above)),
      ),
      body,
    )
    details.addEventListener('toggle', () => {
      if (body.childElementCount > 0) return
      const of = (gold: number, predicted: number) =>
        rows.judged.filter(
          (row) =>
            row.gold.has(gold) && !row.predicted.has(gold) && row.predicted.has(predicted) && !row.gold.has(predicted),
        )
      const behind = [...of(a, b), ...of(b, a)]
      body.append(
        h(
          'p',
          { class: 'note' },
          `${page.count(behind.length)} of ${page.rows(aAsB + bAsA)}. In the map: `,
          page.labelButton(a),
          ', ',
          page.labelButton(b),
        ),
        page.growing(behind, 4, rows.view),
      )
    })
    return details
  }
  host.append(
    h(
      'div',
      { class: 'sides', 'aria-hidden': 'true' },
      h('span', {}, 'gold, taken for the right one'),
      h('span', {}, 'gold, taken for the left one'),
    ),
    page.growing(data.confusions, 15, pair),
  )
}
