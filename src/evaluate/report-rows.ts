/** Which rows a report keeps: those that show where the classifier goes wrong, and where it does well, for every node of the tree. */
import type { LabelTree } from '../labels/label-tree.ts'
import { forEachConfusion, siblingConfusions } from './confusions.ts'
import { closeIdSets, type IdSets, rowCount, type ScoredIds } from './id-sets.ts'

export interface ReportRowLimits {
  /** Rows for each pair of confused siblings, default 8. */
  perPair?: number
  /** Worst rows missed, worst rows wrongly given, and best rows for each node, default 2. */
  perNode?: number
  /** Rows taken evenly from the whole data set, default 60. */
  sample?: number
  /** Rows altogether, default 1500. */
  total?: number
}

/** Keeps the `limit` rows of the highest scores for each key. */
class TopRows {
  readonly #best = new Map<number, { row: number; score: number }[]>()
  readonly #limit: number
  constructor(limit: number) {
    this.#limit = limit
  }
  add(key: number, row: number, score: number): void {
    const rows = this.#best.get(key)
    if (this.#limit === 0) return
    if (!rows) {
      this.#best.set(key, [{ row, score }])
      return
    }
    if (rows.length === this.#limit && rows.at(-1)!.score >= score) return
    rows.push({ row, score })
    rows.sort((a, b) => b.score - a.score || a.row - b.row)
    if (rows.length > this.#limit) rows.pop()
  }
  rows(key: number): number[] {
    return (this.#best.get(key) ?? []).map((entry) => entry.row)
  }
}

/**
 * Chooses rows for a report: an even sample, then rows of the most confused pairs, then of every node (surest mistakes and surest hits), worst
 * nodes first, until `total` is reached. The same input gives the same rows.
 * @param predicted predicted sets with ancestors; with `scores`, surer rows come first
 * @returns row numbers from 0, ascending
 */
export function pickReportRows(
  tree: LabelTree,
  gold: IdSets,
  predicted: IdSets | ScoredIds,
  { perPair = 8, perNode = 2, sample = 60, total = 1500 }: ReportRowLimits = {},
): Uint32Array {
  const rows = rowCount(gold)
  const closed = closeIdSets(tree, gold)
  const picked = new Set<number>()
  const take = (list: Iterable<number>): void => {
    for (const row of list) if (picked.size < total) picked.add(row)
  }
  const even = Math.min(rows, sample)
  take(Array.from({ length: even }, (_, i) => Math.floor((i * rows) / even)))
  const scores = 'scores' in predicted ? predicted.scores : undefined
  const ofPair = new TopRows(perPair)
  const scoreOf = (row: number, id: number): number => {
    if (!scores) return 0
    for (let at = predicted.offsets[row]!; at < predicted.offsets[row + 1]!; at++)
      if (predicted.ids[at] === id) return scores[at]!
    return 0
  }
  const pairKey = (a: number, b: number): number => Math.min(a, b) * tree.size + Math.max(a, b)
  forEachConfusion(tree, closed, predicted, (row, right, wrong) =>
    ofPair.add(pairKey(right, wrong), row, scoreOf(row, wrong)),
  )
  for (const { a, b } of siblingConfusions(tree, closed, predicted, total)) take(ofPair.rows(pairKey(a, b)))

  const missed = new TopRows(perNode)
  const wrong = new TopRows(perNode)
  const hits = new TopRows(perNode)
  const errors = new Float64Array(tree.size)
  const goldIn = new Int32Array(tree.size).fill(-1)
  const predictedIn = new Int32Array(tree.size).fill(-1)
  for (let row = 0; row < rows; row++) {
    let surest = 0
    for (let at = closed.offsets[row]!; at < closed.offsets[row + 1]!; at++) goldIn[closed.ids[at]!] = row
    for (let at = predicted.offsets[row]!; at < predicted.offsets[row + 1]!; at++) {
      const id = predicted.ids[at]!
      const score = scores?.[at] ?? 0
      predictedIn[id] = row
      if (goldIn[id] === row) hits.add(id, row, score)
      else {
        wrong.add(id, row, score)
        errors[id]!++
        surest = Math.max(surest, score)
      }
    }
    for (let at = closed.offsets[row]!; at < closed.offsets[row + 1]!; at++) {
      const id = closed.ids[at]!
      if (predictedIn[id] === row) continue
      missed.add(id, row, surest)
      errors[id]!++
    }
  }
  const worstFirst = [...tree.nodes.keys()].sort((a, b) => errors[b]! - errors[a]! || a - b)
  for (const kind of [missed, wrong, hits]) for (const id of worstFirst) take(kind.rows(id))
  return Uint32Array.from(picked).sort()
}

/** A text cut to a number of characters as people count them, with an ellipsis where something is missing. */
export function excerpt(text: string, limit = 400): string {
  if (text.length <= limit) return text
  let kept = ''
  let count = 0
  // Only the beginning is segmented: a character is rarely longer than 16 code units, and a text may be very long.
  for (const { segment } of new Intl.Segmenter().segment(text.slice(0, limit * 16))) {
    if (++count > limit) return `${kept.trimEnd()}…`
    kept += segment
  }
  return kept.length < text.length ? `${kept.trimEnd()}…` : text
}
