/** Probabilities of tree nodes from a short list of scored units, where there are too many labels to look at all: what is not listed is 0. */
import { InputError } from '../util/errors.ts'
import type { HeadLayout } from './head-layout.ts'
import type { LabelTree } from './label-tree.ts'

/** Per node id, for the listed units and their ancestors only. */
export interface RankedProbabilities {
  /** Probability that the node is among the row's labels or their ancestors. */
  readonly marginal: ReadonlyMap<number, number>
  /** Probability that a path of the row ends exactly there. */
  readonly ending: ReadonlyMap<number, number>
}

/**
 * Turns lists of units and logits into node probabilities. A softmax shares the whole probability among the listed units; a sigmoid takes each by itself.
 * @param temperature divides the logits first.
 */
export function rankedProbabilities(
  layout: HeadLayout,
  tree: LabelTree,
  temperature = 1,
): (units: Uint32Array, logits: Float32Array) => RankedProbabilities {
  return (units, logits) => {
    if (logits.some(Number.isNaN))
      throw new InputError('SCORES_NAN', 'The model gave a score that is not a number', {
        help: 'its weights are damaged: train it again or fetch it again',
      })
    const marginal = new Map<number, number>()
    const ending = new Map<number, number>()
    const scaled = Float64Array.from(logits, (logit) => logit / temperature)
    const softmax = layout.activation === 'softmax'
    const most = scaled.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
    const total = softmax ? scaled.reduce((sum, logit) => sum + Math.exp(logit - most), 0) : 1
    for (const [i, unit] of units.entries()) {
      const node = layout.unitNodes[unit]!
      const probability = softmax ? Math.exp(scaled[i]! - most) / total : 1 / (1 + Math.exp(-scaled[i]!))
      ending.set(node, probability)
      for (const id of [node, ...tree.ancestors(node)]) {
        const before = marginal.get(id) ?? 0
        marginal.set(id, softmax ? before + probability : Math.max(before, probability))
      }
    }
    if (!softmax) {
      for (const id of ending.keys()) {
        const own = marginal.get(id)!
        let none = 1
        for (const child of tree.nodes[id]!.children) none *= own === 0 ? 1 : 1 - (marginal.get(child) ?? 0) / own
        ending.set(id, own * none)
      }
    }
    return { marginal, ending }
  }
}
