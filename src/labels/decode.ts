/** From node probabilities to predicted labels. Separate from training: the decoder often matters more than the loss. */
import type { LabelTree } from './label-tree.ts'
import type { NodeProbabilities } from './node-probabilities.ts'
import type { RankedProbabilities } from './ranked-probabilities.ts'

export const decoderNames = ['leaf-up', 'joint-path', 'top-down', 'per-level-argmax', 'threshold'] as const

/**
 * How probabilities become labels. `leaf-up`: the most probable end of a path, ancestors implied. `joint-path`: the path with the largest sum of log
 * probabilities of its levels. `top-down`: from the root to the most probable children, with a beam. `per-level-argmax`: on every level the most
 * probable label, whether or not they make a path. `threshold`: every label that is probable enough, and its ancestors.
 */
export type DecoderName = (typeof decoderNames)[number]

export interface Decoder {
  readonly name: DecoderName
  /** Nodes kept on each level by `top-down`. Default 1: greedy. */
  readonly beam?: number
}

/** Where no thresholds were tuned. */
const usualThreshold = 0.5

/**
 * Labels of one row by any decoder.
 * @param thresholds per node id; only `threshold` looks at them; empty: one half for every label.
 * @returns ids, ascending; closed under ancestors except for `per-level-argmax`.
 */
export function decode(
  { name, beam = 1 }: Decoder,
  tree: LabelTree,
  terminals: Int32Array,
  thresholds: Float64Array,
  probabilities: NodeProbabilities,
  minConfidence = 0,
): number[] {
  switch (name) {
    case 'leaf-up':
      return decodePath(tree, terminals, probabilities, minConfidence)
    case 'joint-path':
      return decodeJointPath(tree, terminals, probabilities, minConfidence)
    case 'top-down':
      return beam === 1
        ? decodeTopDown(tree, probabilities, minConfidence)
        : decodeBeam(tree, terminals, probabilities, beam, minConfidence)
    case 'per-level-argmax':
      return decodePerLevel(tree, probabilities, minConfidence)
    case 'threshold': {
      const limits = thresholds.length > 0 ? thresholds : new Float64Array(tree.size).fill(usualThreshold)
      const chosen = decodeThresholds(tree, limits, probabilities)
      return minConfidence > 0 ? chosen.filter((id) => probabilities.marginal[id]! >= minConfidence) : chosen
    }
  }
}

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
  const best = largest(terminals, (node) => probabilities.ending[node]!)
  return tree.closure([best]).filter((id) => probabilities.marginal[id]! >= minConfidence)
}

/**
 * The end among `terminals` whose path has the largest sum of log probabilities, level by level; the last level counts with the probability that the
 * path ends there. Favours branches that are sure as a whole over a leaf that stands out in an unlikely one.
 */
export function decodeJointPath(
  tree: LabelTree,
  terminals: Int32Array,
  { marginal, ending, levels }: NodeProbabilities,
  minConfidence = 0,
): number[] {
  const best = largest(terminals, (end) => {
    if (levels) return levels.path[end]!
    let sum = Math.log(ending[end]!)
    for (const ancestor of tree.ancestors(end)) sum += Math.log(marginal[ancestor]!)
    return sum
  })
  return tree.closure([best]).filter((id) => marginal[id]! >= minConfidence)
}

/** Greedy descent from the root to the most probable child, by its level where levels are decided apart, while it is more probable than stopping. */
export function decodeTopDown(tree: LabelTree, probabilities: NodeProbabilities, minConfidence = 0): number[] {
  const path: number[] = []
  const chance = probabilities.levels?.own ?? probabilities.marginal
  let candidates: readonly number[] = tree.roots
  while (candidates.length > 0) {
    const best = largest(candidates, (node) => chance[node]!)
    const here = path.at(-1)
    if (probabilities.marginal[best]! < minConfidence) break
    if (here !== undefined && probabilities.ending[here]! > probabilities.marginal[best]!) break
    path.push(best)
    candidates = tree.nodes[best]!.children
  }
  return tree.closure(path)
}

/** Descent that keeps the `beam` most probable nodes of each level, then the most probable end met on the way. */
export function decodeBeam(
  tree: LabelTree,
  terminals: Int32Array,
  { marginal, ending }: NodeProbabilities,
  beam: number,
  minConfidence = 0,
): number[] {
  const ends = new Set(terminals)
  const met: number[] = []
  let open = [...tree.roots]
  while (open.length > 0) {
    open = open.sort((a, b) => marginal[b]! - marginal[a]! || a - b).slice(0, beam)
    for (const node of open) if (ends.has(node)) met.push(node)
    open = [...new Set(open.flatMap((node) => tree.nodes[node]!.children))]
  }
  const best = largest(met.length > 0 ? met : terminals, (node) => ending[node]!)
  return tree.closure([best]).filter((id) => marginal[id]! >= minConfidence)
}

/**
 * The most probable label of every level, down to the last level that the path more probably reaches than not; where levels are decided apart, as each
 * level has it. The labels need not make a path: it is the baseline that shows what a decoder is worth.
 */
export function decodePerLevel(tree: LabelTree, { marginal, levels }: NodeProbabilities, minConfidence = 0): number[] {
  const chosen: number[] = []
  const chance = levels?.own ?? marginal
  for (let level = 1; level <= tree.depth; level++) {
    const nodes = tree.level(level)
    const reached = nodes.reduce((sum, node) => sum + chance[node]!, 0)
    if (level > 1 && reached < 0.5) break
    const best = largest(nodes, (node) => chance[node]!)
    if (chance[best]! < minConfidence) break
    chosen.push(best)
  }
  return chosen
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

/** The same as `decode`, from a list of the most probable labels only: `leaf-up` and `threshold`. */
export function decodeRanked(
  name: 'leaf-up' | 'threshold',
  tree: LabelTree,
  thresholds: Float64Array,
  { marginal, ending }: RankedProbabilities,
  minConfidence = 0,
): number[] {
  const sure = (id: number) => marginal.get(id)! >= minConfidence
  if (name === 'threshold') {
    const chosen = [...marginal].filter(([id, probability]) => probability >= (thresholds[id] ?? usualThreshold))
    return tree.closure(chosen.map(([id]) => id)).filter((id) => minConfidence === 0 || sure(id))
  }
  if (ending.size === 0) return []
  const ends = [...ending.keys()].sort((a, b) => a - b)
  return tree.closure([largest(ends, (node) => ending.get(node)!)]).filter(sure)
}

/** The node of the largest value; of equal ones the first. */
function largest(nodes: ArrayLike<number>, value: (node: number) => number): number {
  let best = nodes[0]!
  let most = value(best)
  for (let i = 1; i < nodes.length; i++) {
    const own = value(nodes[i]!)
    if (own > most) {
      best = nodes[i]!
      most = own
    }
  }
  return best
}
