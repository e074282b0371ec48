/** The entropy of a classifier's answers as graph nodes: of the whole path where units form a tree, by the chain rule; of each unit where they are independent. */
import {
  add,
  logSoftmax,
  mul,
  neg,
  reduceMean,
  reduceSum,
  sigmoid,
  sigmoidCrossEntropy,
  slice,
  softmax,
  type Tensor,
} from '../../graph/index.ts'
import type { HeadLayout } from '../../labels/head-layout.ts'

/** Mean over the rows of logits [B, units], in nats; a scalar. */
export function answerEntropy(logits: Tensor, { activation, groups, unitNodes }: HeadLayout): Tensor {
  if (activation === 'sigmoid') return reduceMean(reduceSum(sigmoidCrossEntropy(logits, sigmoid(logits)), [1]))
  const parents = new Set(groups.map(({ parent }) => parent))
  /** The probability that a path comes to a node, [B, 1]. */
  const reached = new Map<number, Tensor>()
  let total: Tensor | undefined
  // Parents have smaller ids than their children, so a group comes after the one that its parent is in.
  for (const { parent, start, end } of [...groups].sort((a, b) => a.parent - b.parent)) {
    const z = slice(logits, 1, start, end - start)
    const p = softmax(z)
    const own = neg(reduceSum(mul(p, logSoftmax(z)), [1], { keepDims: true }))
    const above = reached.get(parent)
    const share = above ? mul(own, above) : own
    total = total ? add(total, share) : share
    for (let unit = start; unit < end; unit++) {
      const node = unitNodes[unit]!
      if (node === parent || !parents.has(node)) continue
      const chosen = slice(p, 1, unit - start, 1)
      reached.set(node, above ? mul(chosen, above) : chosen)
    }
  }
  return reduceMean(total!)
}
