/** What losses change on the graph and in its feeds, by name. */
import type { Tensor } from '../../graph/index.ts'
import type { TreeShape } from '../../labels/tree-distance.ts'
import { asymmetricTerms } from './asymmetric-terms.ts'
import { focalTerms } from './focal-terms.ts'
import type { Loss } from './loss.ts'
import { treeMarginTerms } from './tree-margin.ts'
import { treeSmoothingTerms } from './tree-smoothing.ts'
import { zlprTerms } from './zlpr-terms.ts'

/** What a loss changes; where it has no part of its own, that of cross-entropy stands. */
export interface LossTerms {
  /**
   * Of softmax groups, from logits and target weights [lines, places]: the weights of a line sum to its share of the batch.
   * @returns a scalar.
   */
  softmax?(z: Tensor, target: Tensor): Tensor
  /** Of sigmoid units, from logits, targets 0 to 1, and weights [rows, units]: those of a row sum to its share of the batch, 0 where nothing is asked. */
  sigmoid?(z: Tensor, target: Tensor, weight: Tensor): Tensor
  /** Shares of the target over the nodes of a softmax group, in place of 1 for the right one. */
  shares?(nodes: Int32Array, right: number, tree: TreeShape): Float64Array
  /** Added to the logit of a wrong node in a softmax group. */
  margin?(node: number, right: number, tree: TreeShape): number
}

const byName: Record<string, (options: never) => LossTerms> = {
  focal: focalTerms,
  asymmetric: asymmetricTerms,
  'tree-smoothing': treeSmoothingTerms,
  'tree-margin': treeMarginTerms,
  zlpr: () => zlprTerms,
}

export const lossTerms = ({ name, options }: Loss): LossTerms => byName[name]!(options as never)
