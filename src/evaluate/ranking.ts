/** Metrics of ranked labels: P@k, R@k, R-precision, nDCG@k (Järvelin and Kekäläinen, 2002) and propensity-scored P@k (Jain, Prabhu and Varma, 2016). */
import { InputError } from '../util/errors.ts'
import { type IdSets, rowCount } from './id-sets.ts'

/** Values by cut-off, so that JSON reads `{"1": 0.92, "3": 0.33}`. */
export type AtK = Record<string, number>

export interface RankingScores {
  /** Rows with at least one gold label: the mean is over these. */
  rows: number
  /** Hits among the first k, over k, also where fewer than k labels are gold. */
  precisionAt: AtK
  /** Hits among the first k, over the number of gold labels. */
  recallAt: AtK
  ndcgAt: AtK
  /** Precision at the number of gold labels. */
  rPrecision: number
}

/**
 * Scores rankings against gold sets.
 * @param size number of labels in the tree
 * @param ranking per row the best labels first, as many as were kept; labels beyond count as missed
 */
export function rankingScores(
  size: number,
  gold: IdSets,
  ranking: IdSets,
  cutoffs: { precision?: readonly number[]; recall?: readonly number[]; ndcg?: readonly number[] } = {},
): RankingScores {
  const { precision = [1, 3, 5], recall = [1, 3, 5], ndcg = [3, 5] } = cutoffs
  const longest = Math.max(...precision, ...recall, ...ndcg, 0)
  const discounts = Float64Array.from({ length: longest }, (_, rank) => 1 / Math.log2(rank + 2))
  const totals = { precision: precision.map(() => 0), recall: recall.map(() => 0), ndcg: ndcg.map(() => 0), r: 0 }
  const goldIn = new Int32Array(size).fill(-1)
  const hits = new Float64Array(longest + 1) // hits[k]: gold labels among the first k
  const gains = new Float64Array(longest + 1) // gains[k]: their discounted gain
  const ideal = new Float64Array(longest + 1)
  for (let k = 0; k < longest; k++) ideal[k + 1] = ideal[k]! + discounts[k]!
  let rows = 0
  for (let row = 0; row < rowCount(gold); row++) {
    const wanted = gold.offsets[row + 1]! - gold.offsets[row]!
    if (wanted === 0) continue
    rows++
    for (let at = gold.offsets[row]!; at < gold.offsets[row + 1]!; at++) goldIn[gold.ids[at]!] = row
    const start = ranking.offsets[row]!
    const kept = ranking.offsets[row + 1]! - start
    let early = 0
    for (let rank = 0; rank < Math.max(longest, Math.min(wanted, kept)); rank++) {
      const hit = rank < kept && goldIn[ranking.ids[start + rank]!] === row ? 1 : 0
      if (rank < wanted) early += hit
      if (rank >= longest) continue
      hits[rank + 1] = hits[rank]! + hit
      gains[rank + 1] = gains[rank]! + hit * discounts[rank]!
    }
    totals.r += early / wanted
    for (const [i, k] of precision.entries()) totals.precision[i]! += hits[k]! / k
    for (const [i, k] of recall.entries()) totals.recall[i]! += hits[k]! / wanted
    for (const [i, k] of ndcg.entries()) totals.ndcg[i]! += gains[k]! / ideal[Math.min(k, wanted)]!
  }
  const mean = (total: number): number => (rows === 0 ? 0 : total / rows)
  const atK = (ks: readonly number[], sums: number[]): AtK =>
    Object.fromEntries(ks.map((k, i) => [String(k), mean(sums[i]!)]))
  return {
    rows,
    precisionAt: atK(precision, totals.precision),
    recallAt: atK(recall, totals.recall),
    ndcgAt: atK(ndcg, totals.ndcg),
    rPrecision: mean(totals.r),
  }
}

/**
 * Inverse propensities: how much a hit on each label counts, more for labels that are rare in training.
 * @param counts training frequency per label id
 * @param rows number of training rows, at least 3
 * @param options a and b by default .55 and 1.5; Wikipedia .5 and .4, Amazon .6 and 2.6
 */
export function inversePropensities(
  counts: ArrayLike<number>,
  rows: number,
  { a = 0.55, b = 1.5 }: { a?: number; b?: number } = {},
): Float64Array {
  if (!(rows >= 3))
    throw new InputError('PROPENSITY_ROWS', `Propensities need at least 3 training rows, received ${rows}`)
  const scale = (Math.log(rows) - 1) * (b + 1) ** a
  return Float64Array.from({ length: counts.length }, (_, id) => 1 + scale * (counts[id]! + b) ** -a)
}

/** Propensity-scored P@k: the sum of the hits' weights over the sum that the best possible ranking would reach, both over all rows. */
export function propensityScoredPrecisionAt(
  gold: IdSets,
  ranking: IdSets,
  weights: Float64Array,
  ks: readonly number[] = [1, 3, 5],
): AtK {
  const goldIn = new Int32Array(weights.length).fill(-1)
  const reached = ks.map(() => 0)
  const possible = ks.map(() => 0)
  for (let row = 0; row < rowCount(gold); row++) {
    const own = gold.ids.subarray(gold.offsets[row]!, gold.offsets[row + 1]!)
    for (const id of own) goldIn[id] = row
    const best = Float64Array.from(own, (id) => weights[id]!)
      .sort()
      .reverse()
    const ranked = ranking.ids.subarray(ranking.offsets[row]!, ranking.offsets[row + 1]!)
    for (const [i, k] of ks.entries()) {
      for (let rank = 0; rank < Math.min(k, ranked.length); rank++)
        if (goldIn[ranked[rank]!] === row) reached[i]! += weights[ranked[rank]!]! / k
      for (let rank = 0; rank < Math.min(k, best.length); rank++) possible[i]! += best[rank]! / k
    }
  }
  return Object.fromEntries(ks.map((k, i) => [String(k), possible[i] === 0 ? 0 : reached[i]! / possible[i]!]))
}
