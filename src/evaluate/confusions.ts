/** Which siblings are taken for each other: the place on the way down where a wrong path leaves the right one. */
import type { LabelTree } from '../labels/label-tree.ts'
import { type IdSets, rowCount } from './id-sets.ts'

/** Ids with a < b. */
export interface SiblingConfusion {
  a: number
  b: number
  /** Rows in which one was predicted in place of the other. */
  count: number
  /** Of these, rows whose gold label is a. */
  aAsB: number
  /** Of these, rows whose gold label is b. */
  bAsA: number
}

/**
 * Pairs of siblings (children of one parent, or two labels of level 1) of which one is gold and missed and the other predicted and wrong,
 * most frequent first. Gold and predicted sets should hold ancestors too.
 * @param limit how many pairs to return, default all
 */
export function siblingConfusions(
  tree: LabelTree,
  gold: IdSets,
  predicted: IdSets,
  limit = Number.POSITIVE_INFINITY,
): SiblingConfusion[] {
  const counts = new Map<number, number>() // gold * size + predicted
  forEachConfusion(tree, gold, predicted, (_row, right, wrong) => {
    const key = right * tree.size + wrong
    counts.set(key, (counts.get(key) ?? 0) + 1)
  })
  const pairs = new Map<number, SiblingConfusion>()
  for (const [key, count] of counts) {
    const right = Math.floor(key / tree.size)
    const wrong = key % tree.size
    const a = Math.min(right, wrong)
    const b = Math.max(right, wrong)
    const pair = pairs.get(a * tree.size + b) ?? { a, b, count: 0, aAsB: 0, bAsA: 0 }
    pair.count += count
    if (right === a) pair.aAsB += count
    else pair.bAsA += count
    pairs.set(a * tree.size + b, pair)
  }
  return [...pairs.values()].sort((p, q) => q.count - p.count || p.a - q.a || p.b - q.b).slice(0, limit)
}

/** Calls `visit` for every row and every missed gold label that has a wrongly predicted sibling. */
export function forEachConfusion(
  tree: LabelTree,
  gold: IdSets,
  predicted: IdSets,
  visit: (row: number, right: number, wrong: number) => void,
): void {
  const goldIn = new Int32Array(tree.size).fill(-1)
  const predictedIn = new Int32Array(tree.size).fill(-1)
  const siblings = (a: number, b: number): boolean => {
    const above = tree.nodes[a]!.parents
    const besides = tree.nodes[b]!.parents
    return above.length === 0 ? besides.length === 0 : above.some((parent) => besides.includes(parent))
  }
  for (let row = 0; row < rowCount(gold); row++) {
    for (let at = gold.offsets[row]!; at < gold.offsets[row + 1]!; at++) goldIn[gold.ids[at]!] = row
    for (let at = predicted.offsets[row]!; at < predicted.offsets[row + 1]!; at++) predictedIn[predicted.ids[at]!] = row
    for (let at = gold.offsets[row]!; at < gold.offsets[row + 1]!; at++) {
      const right = gold.ids[at]!
      if (predictedIn[right] === row) continue
      for (let other = predicted.offsets[row]!; other < predicted.offsets[row + 1]!; other++) {
        const wrong = predicted.ids[other]!
        if (goldIn[wrong] !== row && siblings(right, wrong)) visit(row, right, wrong)
      }
    }
  }
}
