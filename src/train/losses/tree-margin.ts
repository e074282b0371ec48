/**
 * A margin that grows with the distance in the tree: confusing far labels must be more improbable than confusing near ones. The distance as margin is that of
 * Dekel, Keshet and Singer (Large margin hierarchical classification, 2004), the smooth form the softmax-margin of Gimpel and Smith (2010).
 */
import * as v from 'valibot'
import { treeDistance } from '../../labels/tree-distance.ts'
import { defineLoss } from './loss.ts'
import type { LossTerms } from './terms.ts'

/**
 * Cross-entropy of logits z + margin * d(label, right label), with d from 0 to 1, while training.
 * - `margin` (0 to 100, default 2).
 * @example
 * const model = await train(rows, { encoder: 'mini', loss: treeMarginLoss({ margin: 1 }) })
 */
export const treeMarginLoss = defineLoss(
  {
    name: 'tree-margin',
    summary: 'With one label a row: labels far in the tree must stay further behind the right one.',
    source: 'Gimpel and Smith, Softmax-margin CRFs, 2010; Dekel et al., Large margin hierarchical classification, 2004',
    activation: 'softmax',
    needsTree: true,
  },
  v.object({ margin: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(100)), 2) }),
)

/** What it changes. */
export const treeMarginTerms = ({ margin }: { margin: number }): LossTerms => ({
  margin: (node, right, tree) => margin * treeDistance(tree, node, right),
})
