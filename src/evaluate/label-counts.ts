/** Counts per label: how often it is gold, predicted, and both. Every F1 of the field is a sum or a mean over these. */
import { type IdSets, rowCount } from './id-sets.ts'

export interface LabelCounts {
  /** Rows in which the label is gold. */
  readonly gold: Float64Array
  /** Rows in which it is predicted. */
  readonly predicted: Float64Array
  /** Rows in which it is both. */
  readonly right: Float64Array
}

/** Counts labels over rows; the sets are taken as they are, not closed under ancestors. */
export function countLabels(size: number, gold: IdSets, predicted: IdSets): LabelCounts {
  const counts = {
    gold: new Float64Array(size),
    predicted: new Float64Array(size),
    right: new Float64Array(size),
  }
  const goldIn = new Int32Array(size).fill(-1)
  for (let row = 0; row < rowCount(gold); row++) {
    for (let at = gold.offsets[row]!; at < gold.offsets[row + 1]!; at++) {
      const id = gold.ids[at]!
      goldIn[id] = row
      counts.gold[id]!++
    }
    for (let at = predicted.offsets[row]!; at < predicted.offsets[row + 1]!; at++) {
      const id = predicted.ids[at]!
      counts.predicted[id]!++
      if (goldIn[id] === row) counts.right[id]!++
    }
  }
  return counts
}

/** F1 from counts: 2 right / (predicted + gold), 0 when nothing is gold or predicted. */
export const f1Of = (right: number, predicted: number, gold: number): number =>
  predicted + gold === 0 ? 0 : (2 * right) / (predicted + gold)

const sum = (values: Iterable<number>): number => {
  let total = 0
  for (const value of values) total += value
  return total
}

/** F1 of the summed counts. */
export function microF1({ right, predicted, gold }: LabelCounts): number {
  return f1Of(sum(right), sum(predicted), sum(gold))
}

/** Mean of the labels' F1 over all labels; those that never occur count as 0 (the convention of HiAGM, HPT and HierVerb). */
export function macroF1({ right, predicted, gold }: LabelCounts): number {
  let total = 0
  for (let id = 0; id < right.length; id++) total += f1Of(right[id]!, predicted[id]!, gold[id]!)
  return total / right.length
}

/** The counts of some labels only. */
export function selectCounts(counts: LabelCounts, ids: readonly number[]): LabelCounts {
  const pick = (values: Float64Array): Float64Array => Float64Array.from(ids, (id) => values[id]!)
  return { gold: pick(counts.gold), predicted: pick(counts.predicted), right: pick(counts.right) }
}
