/** From node probabilities to predicted labels. Separate from training: the decoder often matters more than the loss. */
import type { LabelTree } from './label-tree.ts'
import type { NodeProbabilities } from './node-probabilities.ts'

/**
 * The most probable end of a path among `terminals` ("leaf up": its ancestors follow). With `minConfidence` above 0 the path is cut at the
 * first node whose probability is below it, so the answer may stop at an inner node, or be empty.
 * @returns ids from the root down; for a label with several parents, all ancestors in ascending order.
 */
export function decodePath(
  tree: LabelTree,
  terminals: Int32Array,
  probabilities: NodeProbabilities,
  minConfidence = 0,
): number[] {
  let best = terminals[0]!
  for (const node of terminals) if (probabilities.ending[node]! > probabilities.ending[best]!) best = node
  return tree.closure([best]).filter((id) => probabilities.marginal[id]! >= minConfidence)
}

/** Greedy descent from the root to the most probable child while it is more probable than stopping. */
export function decodeTopDown(tree: LabelTree, probabilities: NodeProbabilities, minConfidence = 0): number[] {
  const path: number[] = []
  let candidates: readonly number[] = tree.roots
  while (candidates.length > 0) {
    let best = candidates[0]!
    for (const node of candidates) if (probabilities.marginal[node]! > probabilities.marginal[best]!) best = node
    const here = path.at(-1)
    if (probabilities.marginal[best]! < minConfidence) break
    if (here !== undefined && probabilities.ending[here]! > probabilities.marginal[best]!) break
    path.push(best)
    candidates = tree.nodes[best]!.children
  }
  return tree.closure(path)
}

/** Every label whose probability reaches its threshold, with all ancestors; several paths may come out, or none. */
export function decodeThresholds(
  tree: LabelTree,
  thresholds: Float64Array,
  probabilities: NodeProbabilities,
): number[] {
  const chosen: number[] = []
  for (let id = 0; id < tree.size; id++) if (probabilities.marginal[id]! >= thresholds[id]!) chosen.push(id)
  return tree.closure(chosen)
}
