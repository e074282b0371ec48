/** Hierarchical precision, recall and F1 (Kiritchenko, Matwin and Famili, 2005): sets are compared together with all their ancestors, the root excluded. */
import type { LabelTree } from '../labels/label-tree.ts'
import { closeIdSets, type IdSets, rowCount } from './id-sets.ts'

export interface PrecisionRecallF1 {
  precision: number
  recall: number
  f1: number
}

export interface HierarchicalScores extends PrecisionRecallF1 {
  /** The mean of each row's own precision, recall and F1 (HiClass calls it macro). Rows where both sets are empty count as 1. */
  perSample: PrecisionRecallF1
}

/** Harmonic mean, 0 when both are 0. */
export const harmonicMean = (a: number, b: number): number => (a + b === 0 ? 0 : (2 * a * b) / (a + b))

/**
 * Hierarchical precision, recall and F1.
 * @example hierarchicalScores(tree, idSets([[2]]), idSets([[3]])).f1 // 0.5 if 2 and 3 are siblings on level 2
 */
export function hierarchicalScores(tree: LabelTree, gold: IdSets, predicted: IdSets): HierarchicalScores {
  const rows = rowCount(gold)
  const wide = closeIdSets(tree, gold)
  const narrow = closeIdSets(tree, predicted)
  const goldIn = new Int32Array(tree.size).fill(-1)
  const total = { shared: 0, precision: 0, recall: 0, f1: 0 }
  for (let row = 0; row < rows; row++) {
    for (let at = wide.offsets[row]!; at < wide.offsets[row + 1]!; at++) goldIn[wide.ids[at]!] = row
    let shared = 0
    for (let at = narrow.offsets[row]!; at < narrow.offsets[row + 1]!; at++)
      if (goldIn[narrow.ids[at]!] === row) shared++
    const goldSize = wide.offsets[row + 1]! - wide.offsets[row]!
    const predictedSize = narrow.offsets[row + 1]! - narrow.offsets[row]!
    const share = (of: number): number => (of > 0 ? shared / of : Number(goldSize + predictedSize === 0))
    total.shared += shared
    total.precision += share(predictedSize)
    total.recall += share(goldSize)
    total.f1 += harmonicMean(share(predictedSize), share(goldSize))
  }
  const precision = narrow.ids.length === 0 ? 0 : total.shared / narrow.ids.length
  const recall = wide.ids.length === 0 ? 0 : total.shared / wide.ids.length
  return {
    precision,
    recall,
    f1: harmonicMean(precision, recall),
    perSample: { precision: total.precision / rows, recall: total.recall / rows, f1: total.f1 / rows },
  }
}
