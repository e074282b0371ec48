/**
 * Thresholds for multi-label prediction, chosen on held-out rows for the highest micro-F1. One threshold for all labels is an exact sweep over
 * the sorted scores; one a label is an exact fractional programme (Dinkelbach, 1967), because for a fixed F the labels fall apart.
 */
import type { LabelTree } from '../labels/label-tree.ts'
import { InputError } from '../util/errors.ts'
import { checkIdSets, closeIdSets, type IdSets, rowCount, type ScoredIds } from './id-sets.ts'

export interface Thresholds {
  /** Predict a label if its probability is at least this, per label id. No child's threshold is below its parent's. */
  thresholds: Float64Array
  /** Micro-F1 of the held-out rows with these thresholds. */
  microF1: number
}

/** Scores of one label (or all) in falling order, and where a cut may be made. */
interface Sweep {
  /** Distinct scores, falling. */
  readonly scores: Float64Array
  /** Entries with at least scores[i], and how many of them are gold. */
  readonly taken: Float64Array
  readonly right: Float64Array
}

/**
 * One threshold for all labels: the one with the highest micro-F1. Of equally good ones, the highest.
 * @param probabilities per row the labels with a probability worth looking at; labels left out are never predicted
 * @param gold gold labels; closed under ancestors here
 * @throws InputError `SCORES_NAN`, `EVALUATE_ROWS`, `EVALUATE_LABEL`
 */
export function globalThreshold(tree: LabelTree, probabilities: ScoredIds, gold: IdSets): Thresholds {
  checkIdSets('scored', probabilities, tree, rowCount(gold))
  const closed = closeIdSets(tree, gold)
  const { scores, right } = judged(tree.size, probabilities, closed)
  const sweep = sweepOf(scores, right)
  let best = -1
  let bestF1 = 0
  for (let cut = 0; cut < sweep.scores.length; cut++) {
    const f1 = (2 * sweep.right[cut]!) / (sweep.taken[cut]! + closed.ids.length)
    if (f1 > bestF1) {
      best = cut
      bestF1 = f1
    }
  }
  return { thresholds: new Float64Array(tree.size).fill(cutValue(sweep, best)), microF1: bestF1 }
}

/**
 * One threshold a label. Each is drawn toward the global one by `shrinkage` pseudo-rows, so that rare labels do not follow chance; with 0 the
 * result is the exact optimum before thresholds are raised to those of their parents.
 * @param options.shrinkage at least 0, default 40: a label that is gold in 40 rows stands half-way
 * @throws InputError `SCORES_NAN`, `EVALUATE_ROWS`, `EVALUATE_LABEL`, `THRESHOLD_SHRINKAGE`
 */
export function labelThresholds(
  tree: LabelTree,
  probabilities: ScoredIds,
  gold: IdSets,
  { shrinkage = 40 }: { shrinkage?: number } = {},
): Thresholds {
  if (!(shrinkage >= 0))
    throw new InputError('THRESHOLD_SHRINKAGE', `Expected a shrinkage of at least 0, received ${shrinkage}`)
  const shared = globalThreshold(tree, probabilities, gold).thresholds[0]!
  const closed = closeIdSets(tree, gold)
  const sweeps = sweepsByLabel(tree.size, probabilities, closed)
  const cuts = bestCuts(sweeps, closed.ids.length)
  const support = new Float64Array(tree.size)
  for (const id of closed.ids) support[id]!++
  const thresholds = Float64Array.from(cuts, (cut, id) => {
    const weight = shrinkage === 0 ? 1 : support[id]! / (support[id]! + shrinkage)
    return sweeps[id]!.scores.length === 0 ? shared : weight * cutValue(sweeps[id]!, cut) + (1 - weight) * shared
  })
  for (const { id, parents } of tree.nodes)
    for (const parent of parents) thresholds[id] = Math.max(thresholds[id]!, thresholds[parent]!)
  return { thresholds, microF1: microF1At(thresholds, probabilities, closed) }
}

/** Micro-F1 of the labels that reach their thresholds. */
export function microF1At(thresholds: Float64Array, probabilities: ScoredIds, gold: IdSets): number {
  const { scores, right } = judged(thresholds.length, probabilities, gold)
  let taken = 0
  let hits = 0
  for (let i = 0; i < scores.length; i++) {
    if (scores[i]! < thresholds[probabilities.ids[i]!]!) continue
    taken++
    hits += right[i]!
  }
  return taken + gold.ids.length === 0 ? 0 : (2 * hits) / (taken + gold.ids.length)
}

function judged(
  size: number,
  probabilities: ScoredIds,
  gold: IdSets,
): { scores: ArrayLike<number>; right: Uint8Array } {
  const right = new Uint8Array(probabilities.ids.length)
  const goldIn = new Int32Array(size).fill(-1)
  for (let row = 0; row < rowCount(gold); row++) {
    for (let at = gold.offsets[row]!; at < gold.offsets[row + 1]!; at++) goldIn[gold.ids[at]!] = row
    for (let at = probabilities.offsets[row]!; at < probabilities.offsets[row + 1]!; at++)
      right[at] = Number(goldIn[probabilities.ids[at]!] === row)
  }
  return { scores: probabilities.scores, right }
}

function sweepOf(scores: ArrayLike<number>, right: ArrayLike<number>): Sweep {
  const order = Uint32Array.from({ length: scores.length }, (_, i) => i).sort((i, j) => scores[j]! - scores[i]!)
  const distinct: number[] = []
  const taken: number[] = []
  const hits: number[] = []
  let found = 0
  for (const [rank, i] of order.entries()) {
    found += right[i]!
    if (rank + 1 < order.length && scores[order[rank + 1]!] === scores[i]) continue
    distinct.push(scores[i]!)
    taken.push(rank + 1)
    hits.push(found)
  }
  return { scores: Float64Array.from(distinct), taken: Float64Array.from(taken), right: Float64Array.from(hits) }
}

function sweepsByLabel(size: number, probabilities: ScoredIds, gold: IdSets): Sweep[] {
  const { scores, right } = judged(size, probabilities, gold)
  const own: { scores: number[]; right: number[] }[] = Array.from({ length: size }, () => ({ scores: [], right: [] }))
  for (let at = 0; at < scores.length; at++) {
    const entry = own[probabilities.ids[at]!]!
    entry.scores.push(scores[at]!)
    entry.right.push(right[at]!)
  }
  return own.map((entry) => sweepOf(entry.scores, entry.right))
}

/** Per label the index of the last score taken, or -1 for none, so that 2 sum(right) / (sum(taken) + goldTotal) is highest. */
function bestCuts(sweeps: readonly Sweep[], goldTotal: number): Int32Array {
  const cuts = new Int32Array(sweeps.length)
  for (let f1 = 0; ; ) {
    let taken = 0
    let right = 0
    for (const [id, sweep] of sweeps.entries()) {
      let best = -1
      let bestGain = 0
      for (let cut = 0; cut < sweep.scores.length; cut++) {
        const gain = 2 * sweep.right[cut]! - f1 * sweep.taken[cut]!
        if (gain > bestGain) {
          best = cut
          bestGain = gain
        }
      }
      cuts[id] = best
      if (best < 0) continue
      taken += sweep.taken[best]!
      right += sweep.right[best]!
    }
    const reached = taken + goldTotal === 0 ? 0 : (2 * right) / (taken + goldTotal)
    if (reached <= f1) return cuts
    f1 = reached
  }
}

/** A threshold between the last score taken and the next one; the last score itself where nothing lies below, and just above all scores for none. */
function cutValue({ scores }: Sweep, cut: number): number {
  if (cut < 0) return (scores[0] ?? 1) + 1e-6
  const last = scores[cut]!
  const next = scores[cut + 1]
  if (next === undefined) return last
  const middle = next + (last - next) / 2
  return middle > next ? middle : last
}
