/** Label smoothing over the tree: what is taken from the right label goes to those near it (Bertinetto et al., Making better mistakes, 2020). */
import * as v from 'valibot'
import { treeDistance } from '../../labels/tree-distance.ts'
import { defineLoss } from './loss.ts'
import type { LossTerms } from './terms.ts'

/**
 * Targets in proportion to exp(-beta d) with d the distance in the tree, 0 for the right label and 1 for labels that meet at the root.
 * - `beta` (0 to 100, default 10): the higher, the less goes to others.
 * - `share` (0 to below 1; default: what `beta` gives): how much of the target goes to others; `beta` then only spreads it.
 * @example
 * const model = await train(rows, { encoder: 'mini', loss: treeSmoothingLoss({ share: 0.1, beta: 5 }) })
 */
export const treeSmoothingLoss = defineLoss(
  {
    name: 'tree-smoothing',
    summary: 'With one label a row: near labels of the tree get a part of the target.',
    source: 'Bertinetto et al., Making better mistakes: leveraging class hierarchies with deep networks, 2020',
    activation: 'softmax',
    needsTree: true,
  },
  v.object({
    beta: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(100)), 10),
    share: v.optional(v.pipe(v.number(), v.minValue(0), v.ltValue(1))),
  }),
)

/** What it changes. */
export const treeSmoothingTerms = ({ beta, share }: { beta: number; share?: number | undefined }): LossTerms => ({
  shares(nodes, right, tree) {
    const weights = Float64Array.from(nodes, (node) => Math.exp(-beta * treeDistance(tree, node, right)))
    const others = weights.reduce((sum, weight, i) => (nodes[i] === right ? sum : sum + weight), 0)
    const moved = others === 0 ? 0 : (share ?? others / (1 + others))
    return weights.map((weight, i) => (nodes[i] === right ? 1 - moved : (moved * weight) / others))
  },
})
