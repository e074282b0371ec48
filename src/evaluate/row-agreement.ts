/** Shares of rows that are right: as a whole, at their leaves, level by level; and the shares that contradict the tree or stop above a leaf. */
import type { LabelTree } from '../labels/label-tree.ts'
import { type IdSets, rowCount } from './id-sets.ts'

export interface RowAgreement {
  /** Rows whose predicted set equals the gold set. */
  exactPath: number
  /** Rows whose predicted leaves equal the gold leaves. */
  leafAccuracy: number
  /** Per level (index 0 is level 1): rows whose predicted and gold labels are equal on that level, both empty included. */
  levelAccuracy: number[]
  /** Rows whose predicted set contains the ancestors of all its labels. */
  consistency: number
  /** Rows without a predicted leaf: the prediction stopped at an inner node, or said nothing. */
  abstained: number
}

/** Compares predicted with gold sets row by row; gold sets must be closed under ancestors. */
export function rowAgreement(tree: LabelTree, gold: IdSets, predicted: IdSets): RowAgreement {
  const rows = rowCount(gold)
  const level = Int32Array.from(tree.nodes, (node) => node.level)
  const isLeaf = Uint8Array.from(tree.nodes, (node) => Number(node.children.length === 0))
  const goldIn = new Int32Array(tree.size).fill(-1)
  const predictedIn = new Int32Array(tree.size).fill(-1)
  // Place 0 stands for the leaves, place l for level l: the last row in which they differ, and the number of such rows.
  const differsIn = new Int32Array(tree.depth + 1).fill(-1)
  const differing = new Float64Array(tree.depth + 1)
  const counts = { differing: 0, inconsistent: 0, abstained: 0 }
  for (let row = 0; row < rows; row++) {
    let differs = false
    const mark = (id: number): void => {
      differs = true
      for (const place of isLeaf[id] ? [0, level[id]!] : [level[id]!]) {
        if (differsIn[place] === row) continue
        differsIn[place] = row
        differing[place]!++
      }
    }
    for (let at = gold.offsets[row]!; at < gold.offsets[row + 1]!; at++) goldIn[gold.ids[at]!] = row
    let leafFound = false
    for (let at = predicted.offsets[row]!; at < predicted.offsets[row + 1]!; at++) {
      const id = predicted.ids[at]!
      predictedIn[id] = row
      if (isLeaf[id]) leafFound = true
      if (goldIn[id] !== row) mark(id)
    }
    for (let at = gold.offsets[row]!; at < gold.offsets[row + 1]!; at++)
      if (predictedIn[gold.ids[at]!] !== row) mark(gold.ids[at]!)
    let consistent = true
    for (let at = predicted.offsets[row]!; at < predicted.offsets[row + 1]!; at++)
      for (const parent of tree.nodes[predicted.ids[at]!]!.parents) if (predictedIn[parent] !== row) consistent = false
    if (differs) counts.differing++
    if (!consistent) counts.inconsistent++
    if (!leafFound) counts.abstained++
  }
  return {
    exactPath: 1 - counts.differing / rows,
    leafAccuracy: 1 - differing[0]! / rows,
    levelAccuracy: Array.from(differing.subarray(1), (count) => 1 - count / rows),
    consistency: 1 - counts.inconsistent / rows,
    abstained: counts.abstained / rows,
  }
}
