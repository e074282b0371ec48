/** Whether probabilities mean what they say: reliability bins, expected calibration error (Naeini et al., 2015; Guo et al., 2017) and the Brier score. */
import type { LabelTree } from '../labels/label-tree.ts'
import { InputError } from '../util/errors.ts'
import { closeIdSets, type IdSets, rowCount, type ScoredIds } from './id-sets.ts'

export interface ReliabilityBin {
  /** The bin holds probabilities in (from, to]; the first also holds 0. */
  from: number
  to: number
  count: number
  /** Mean probability of the bin; the bin's middle where it is empty. */
  confidence: number
  /** Share of the bin that was right; 0 where it is empty. */
  accuracy: number
}

export interface Reliability {
  bins: ReliabilityBin[]
  /** Mean over predictions of |confidence - accuracy| of their bin. */
  ece: number
  /** Mean squared difference between the probability and 1 (right) or 0 (wrong). */
  brier: number
}

/** Probabilities of predictions, and whether each was right. */
export interface Judged {
  readonly probabilities: Float64Array
  readonly right: Uint8Array
}

/**
 * One pair for every end of a predicted path: its probability, and whether the label is among the gold labels or their ancestors. With one
 * path a row, that is the probability of the predicted path; a path that stops early is right if it is right so far.
 * @throws InputError `PROBABILITY_RANGE` if a score is not between 0 and 1
 */
export function judgePaths(tree: LabelTree, gold: IdSets, predicted: ScoredIds): Judged {
  const closed = closeIdSets(tree, gold)
  const goldIn = new Int32Array(tree.size).fill(-1)
  const coveredIn = new Int32Array(tree.size).fill(-1)
  const probabilities = new Float64Array(predicted.ids.length)
  const right = new Uint8Array(predicted.ids.length)
  let length = 0
  for (let row = 0; row < rowCount(predicted); row++) {
    const start = predicted.offsets[row]!
    const end = predicted.offsets[row + 1]!
    for (let at = closed.offsets[row]!; at < closed.offsets[row + 1]!; at++) goldIn[closed.ids[at]!] = row
    for (let at = start; at < end; at++) for (const id of tree.ancestors(predicted.ids[at]!)) coveredIn[id] = row
    for (let at = start; at < end; at++) {
      const id = predicted.ids[at]!
      const probability = predicted.scores[at]!
      if (coveredIn[id] === row) continue
      if (!(probability >= 0 && probability <= 1 + 1e-6))
        throw new InputError(
          'PROBABILITY_RANGE',
          `Row ${row + 1}, label ${id}: expected a probability between 0 and 1, received ${probability}`,
          { data: { row, id, probability } },
        )
      probabilities[length] = Math.min(1, probability)
      right[length++] = Number(goldIn[id] === row)
    }
  }
  return { probabilities: probabilities.slice(0, length), right: right.slice(0, length) }
}

/** Groups predictions into bins of equal width. */
export function reliability({ probabilities, right }: Judged, binCount = 15): Reliability {
  const count = new Float64Array(binCount)
  const confidence = new Float64Array(binCount)
  const correct = new Float64Array(binCount)
  let brier = 0
  for (let i = 0; i < probabilities.length; i++) {
    const p = probabilities[i]!
    const bin = Math.min(binCount - 1, Math.max(0, Math.ceil(p * binCount) - 1))
    count[bin]!++
    confidence[bin]! += p
    correct[bin]! += right[i]!
    brier += (p - right[i]!) ** 2
  }
  const n = Math.max(1, probabilities.length)
  let ece = 0
  const bins = Array.from({ length: binCount }, (_, bin): ReliabilityBin => {
    const inside = count[bin]!
    ece += Math.abs(confidence[bin]! - correct[bin]!) / n
    return {
      from: bin / binCount,
      to: (bin + 1) / binCount,
      count: inside,
      confidence: inside === 0 ? (bin + 0.5) / binCount : confidence[bin]! / inside,
      accuracy: inside === 0 ? 0 : correct[bin]! / inside,
    }
  })
  return { bins, ece, brier: brier / n }
}
