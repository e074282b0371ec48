/** The path-constrained (C) and strict path (P) F1 of HierVerb (Ji et al., 2023): a label is only right if its way from the root is right too. */
import type { LabelTree } from '../labels/label-tree.ts'
import { type IdSets, rowCount } from './id-sets.ts'
import { countLabels, type LabelCounts, macroF1, microF1 } from './label-counts.ts'

export interface F1Pair {
  microF1: number
  macroF1: number
}

export interface StrictPathScores extends F1Pair {
  /** Before the penalty. */
  raw: F1Pair
  /** The factor, at most 1, for predicted labels that complete no path from the root to a leaf. */
  penalty: number
}

/** Micro and macro F1 in which a hit counts only if all ancestors of the label are hits in the same row. */
export function pathConstrainedF1(tree: LabelTree, gold: IdSets, predicted: IdSets): F1Pair {
  const counts = countLabels(tree.size, gold, predicted)
  const right = new Float64Array(tree.size)
  const goldIn = new Int32Array(tree.size).fill(-1)
  const hitIn = new Int32Array(tree.size).fill(-1)
  for (let row = 0; row < rowCount(gold); row++) {
    const start = predicted.offsets[row]!
    const end = predicted.offsets[row + 1]!
    for (let at = gold.offsets[row]!; at < gold.offsets[row + 1]!; at++) goldIn[gold.ids[at]!] = row
    for (let at = start; at < end; at++) if (goldIn[predicted.ids[at]!] === row) hitIn[predicted.ids[at]!] = row
    for (let at = start; at < end; at++) {
      const id = predicted.ids[at]!
      if (hitIn[id] === row && tree.ancestors(id).every((ancestor) => hitIn[ancestor] === row)) right[id]!++
    }
  }
  const constrained: LabelCounts = { ...counts, right }
  return { microF1: microF1(constrained), macroF1: macroF1(constrained) }
}

/**
 * F1 over root-to-leaf paths: a path is predicted (gold) if all its labels are. Both averages are multiplied by 2 (1 - sigmoid(x)), where x is
 * the number of predicted labels beyond those of complete predicted paths, over the number of gold labels. Paths that share ancestors count
 * them once each, which would make x negative: it is clamped at 0.
 */
export function strictPathF1(tree: LabelTree, gold: IdSets, predicted: IdSets): StrictPathScores {
  const paths = leafPaths(tree)
  const pathsOf = new Map<number, number[]>()
  for (const [unit, path] of paths.entries()) {
    const leaf = path.at(-1)!
    const units = pathsOf.get(leaf)
    if (units) units.push(unit)
    else pathsOf.set(leaf, [unit])
  }
  const goldPaths = completePaths(tree.size, gold, paths, pathsOf)
  const predictedPaths = completePaths(tree.size, predicted, paths, pathsOf)
  const counts = countLabels(paths.length, goldPaths, predictedPaths)
  const raw = { microF1: microF1(counts), macroF1: macroF1(counts) }
  let onPaths = 0
  for (const unit of predictedPaths.ids) onPaths += paths[unit]!.length
  const stray = Math.max(0, predicted.ids.length - onPaths)
  const x = stray === 0 ? 0 : stray / gold.ids.length
  const penalty = 2 - 2 / (1 + Math.exp(-x))
  return { microF1: raw.microF1 * penalty, macroF1: raw.macroF1 * penalty, raw, penalty }
}

/** All ways from the root to a leaf, as ids. */
function leafPaths(tree: LabelTree): number[][] {
  const ways: number[][][] = []
  for (const { id, parents } of tree.nodes)
    ways.push(parents.length === 0 ? [[id]] : parents.flatMap((parent) => ways[parent]!.map((way) => [...way, id])))
  return tree.leaves.flatMap((leaf) => ways[leaf]!)
}

/** The paths of which a row holds every label. */
function completePaths(size: number, sets: IdSets, paths: number[][], pathsOf: Map<number, number[]>): IdSets {
  const rows = rowCount(sets)
  const offsets = new Uint32Array(rows + 1)
  const found: number[] = []
  const seenIn = new Int32Array(size).fill(-1)
  for (let row = 0; row < rows; row++) {
    for (let at = sets.offsets[row]!; at < sets.offsets[row + 1]!; at++) seenIn[sets.ids[at]!] = row
    for (let at = sets.offsets[row]!; at < sets.offsets[row + 1]!; at++)
      for (const unit of pathsOf.get(sets.ids[at]!) ?? [])
        if (paths[unit]!.every((id) => seenIn[id] === row)) found.push(unit)
    offsets[row + 1] = found.length
  }
  return { offsets, ids: Uint32Array.from(found) }
}
