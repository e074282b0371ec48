/** One row of data as people read it: the text, the predicted path with a probability a level, and what was expected where it differs. */
import type { ReportRow } from '../../report.ts'
import type { Page } from './page.ts'

/** What is known of a row beyond its own fields. */
export interface JudgedRow {
  readonly row: ReportRow
  readonly gold: ReadonlySet<number>
  readonly predicted: ReadonlySet<number>
  readonly right: boolean
  /** Probabilities of the ends of the predicted paths, where they are known. */
  readonly confidences: readonly number[]
}

export interface RowViews {
  readonly judged: readonly JudgedRow[]
  probability(row: ReportRow, id: number): number | undefined
  view(judged: JudgedRow): HTMLElement
}

export function rowViews(page: Page): RowViews {
  const { h } = page
  const probability = (row: ReportRow, id: number): number | undefined => row.probabilities?.[row.predicted.indexOf(id)]
  /** Ids that have no descendant among the ids. */
  const endsOf = (ids: readonly number[]): number[] => {
    const covered = new Set(ids.flatMap((id) => [...page.closure(page.data.parents[id]!)]))
    return ids.filter((id) => !covered.has(id))
  }
  const judged = page.data.rows.map((row): JudgedRow => {
    const gold = page.closure(row.gold)
    const predicted = new Set(row.predicted)
    return {
      row,
      gold,
      predicted,
      right: gold.size === predicted.size && [...gold].every((id) => predicted.has(id)),
      confidences: endsOf(row.predicted).flatMap((id) => probability(row, id) ?? []),
    }
  })

  const step = (id: number, wrong: boolean, p: number | undefined): HTMLElement =>
    h(
      'button',
      {
        type: 'button',
        class: `step${wrong ? ' wrong' : ''}`,
        title: page.pathText(id),
        style: p === undefined ? undefined : `--p:${p.toFixed(4)}`,
        onclick: () => page.select(id),
      },
      h('span', {}, page.title(id)),
      p !== undefined && h('b', {}, p.toFixed(2)),
    )
  /** A path as its steps, kept on one line where it fits. */
  const steps = (id: number, view: (id: number) => HTMLElement): HTMLElement =>
    h('span', { class: 'path' }, ...page.path(id).map(view))

  const said = (what: string, paths: HTMLElement[]): HTMLElement =>
    h('div', { class: what === 'next' ? 'said next' : 'said' }, h('i', {}, what), h('div', {}, ...paths))

  const view = ({ row, gold, predicted, right }: JudgedRow): HTMLElement => {
    const ends = endsOf(row.predicted)
    const next = (row.alternatives ?? []).filter(([id]) => !predicted.has(id)).slice(0, 3)
    const missed = row.gold.filter((id) => !predicted.has(id))
    return h(
      'article',
      { class: right ? 'row' : 'row mistaken' },
      h('p', { class: 'text', dir: 'auto' }, row.text),
      said(
        'predicted',
        ends.length === 0
          ? [h('span', { class: 'none' }, 'nothing')]
          : ends.map((end) => steps(end, (id) => step(id, !gold.has(id), probability(row, id)))),
      ),
      missed.length > 0 &&
        said(
          'expected',
          missed.map((end) => steps(end, (id) => step(id, false, undefined))),
        ),
      next.length > 0 &&
        said(
          'next',
          next.map(([id, p]) =>
            h(
              'span',
              { title: page.pathText(id), class: gold.has(id) ? 'truth' : undefined },
              `${page.title(id)} ${p.toFixed(2)}`,
            ),
          ),
        ),
      h('span', { class: 'number' }, `row ${page.count(row.row)}`),
    )
  }
  return { judged, probability, view }
}
