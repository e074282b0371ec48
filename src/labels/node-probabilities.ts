/** From a classifier's logits to probabilities of tree nodes that agree with the tree: no label is more probable than its parent. */
import { InputError } from '../util/errors.ts'
import type { HeadLayout } from './head-layout.ts'
import type { LabelTree } from './label-tree.ts'
import { isLevelled, unitsAbove } from './level-layout.ts'

export interface NodeProbabilities {
  /** Probability that the node is among the row's labels or their ancestors, per node id. */
  readonly marginal: Float64Array
  /** Probability that a path of the row ends exactly there, per node id. */
  readonly ending: Float64Array
  /** Where every level has a softmax of its own: what the levels say, whether or not it agrees with the tree. */
  readonly levels?: LevelProbabilities
}

export interface LevelProbabilities {
  /** Probability that the softmax of the node's level gives it, per node id. */
  readonly own: Float64Array
  /** Sum of the log probabilities that all levels give to a path that ends at the node, per node id; -Infinity where none ends. */
  readonly path: Float64Array
}

/**
 * Turns rows of logits into node probabilities. Make one per model: the walk through the tree is prepared once.
 * @param temperature divides the logits first; above 1 it makes the probabilities less sure.
 */
export function nodeProbabilities(
  layout: HeadLayout,
  tree: LabelTree,
  temperature = 1,
): (logits: Float32Array) => NodeProbabilities {
  const levelled = isLevelled(layout)
  const walk = layout.activation === 'sigmoid' ? sigmoidWalk : levelled ? levelWalk : softmaxWalk
  const fill = walk(layout, tree)
  return (logits) => {
    const scaled = new Float64Array(logits.length)
    let sum = 0
    for (let unit = 0; unit < logits.length; unit++) {
      scaled[unit] = logits[unit]! / temperature
      sum += Math.abs(scaled[unit]!)
    }
    if (Number.isNaN(sum))
      throw new InputError('SCORES_NAN', 'The model gave a score that is not a number', {
        help: 'its weights are damaged: train it again or fetch it again',
      })
    const marginal = new Float64Array(tree.size)
    const ending = new Float64Array(tree.size)
    const levels = fill(scaled, marginal, ending)
    return levels ? { marginal, ending, levels } : { marginal, ending }
  }
}

type Walk = (logits: Float64Array, marginal: Float64Array, ending: Float64Array) => LevelProbabilities | undefined

/** Softmax of values[start..end) in place; all zero where every logit is -Infinity (a group that a beam left out). */
function softmax(values: Float64Array, start: number, end: number): void {
  let most = Number.NEGATIVE_INFINITY
  for (let i = start; i < end; i++) most = Math.max(most, values[i]!)
  if (most === Number.NEGATIVE_INFINITY) {
    values.fill(0, start, end)
    return
  }
  let sum = 0
  for (let i = start; i < end; i++) sum += values[i] = Math.exp(values[i]! - most)
  for (let i = start; i < end; i++) values[i]! /= sum
}

/** Each unit's probability, times that of the group's parent, is the probability of an end (a terminal or "stops here") or of a child. */
function softmaxWalk(layout: HeadLayout, tree: LabelTree): Walk {
  const { groups, unitNodes } = layout
  // Parents before children, so that a parent's marginal is known when its group is reached.
  const order = [...groups].sort((a, b) => a.parent - b.parent)
  const inner = new Set(order.map((group) => group.parent))
  return (logits, marginal, ending) => {
    for (const { parent, start, end } of order) {
      softmax(logits, start, end)
      const above = parent < 0 ? 1 : marginal[parent]!
      for (let unit = start; unit < end; unit++) {
        const node = unitNodes[unit]!
        const probability = above * logits[unit]!
        if (node === parent || !inner.has(node)) ending[node]! += probability
        if (node === parent) continue
        marginal[node]! += probability
        // A flat group has no groups below: its units' ancestors gather their probability here.
        if (parent < 0) for (const ancestor of tree.ancestors(node)) marginal[ancestor]! += probability
      }
    }
    return undefined
  }
}

/** The last level decides where paths end; ancestors gather its probabilities. What the levels above say is kept beside it. */
function levelWalk(layout: HeadLayout, tree: LabelTree): Walk {
  const { groups, unitNodes } = layout
  const above = unitsAbove(layout, tree)
  const last = groups.at(-1)!
  return (logits, marginal, ending) => {
    const own = new Float64Array(tree.size)
    for (const [index, { start, end }] of groups.entries()) {
      softmax(logits, start, end)
      for (let unit = start; unit < end; unit++) {
        const node = unitNodes[unit]!
        if (tree.nodes[node]!.level === index + 1) own[node] = logits[unit]!
      }
    }
    const path = new Float64Array(tree.size).fill(Number.NEGATIVE_INFINITY)
    for (let unit = last.start; unit < last.end; unit++) {
      const node = unitNodes[unit]!
      ending[node] = logits[unit]!
      for (const id of [node, ...tree.ancestors(node)]) marginal[id]! += logits[unit]!
      let sum = 0
      for (let at = unit; at >= 0; at = above[at]!) sum += Math.log(logits[at]!)
      path[node] = sum
    }
    return { own, path }
  }
}

/** Units are conditional on their parents where there are groups below the root, else direct; either way the result is closed upward. */
function sigmoidWalk(layout: HeadLayout, tree: LabelTree): Walk {
  const conditional = layout.groups.some((group) => group.parent >= 0)
  return (logits, marginal, ending) => {
    for (let unit = 0; unit < logits.length; unit++)
      marginal[layout.unitNodes[unit]!] = 1 / (1 + Math.exp(-logits[unit]!))
    if (conditional) {
      for (const { id, parents } of tree.nodes) {
        let above = 1
        for (const parent of parents) above = Math.min(above, marginal[parent]!)
        marginal[id]! *= above
      }
    } else {
      for (let id = tree.size - 1; id >= 0; id--) {
        for (const parent of tree.nodes[id]!.parents) marginal[parent] = Math.max(marginal[parent]!, marginal[id]!)
      }
    }
    for (const { id, children } of tree.nodes) {
      let none = 1
      const own = marginal[id]!
      for (const child of children) none *= own === 0 ? 1 : 1 - marginal[child]! / own
      ending[id] = own * none
    }
    return undefined
  }
}
