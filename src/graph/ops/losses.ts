/** Losses that stay finite for any logits. */
import type { Tensor } from '../graph.ts'
import { logSoftmax, softplus } from './activations.ts'
import { mul, neg, sub } from './elementwise.ts'
import { reduceSum } from './reduce.ts'

/** Cross-entropy between target probabilities and the softmax of logits along the last axis; one value per row. */
export function softmaxCrossEntropy(logits: Tensor, targets: Tensor): Tensor {
  return neg(reduceSum(mul(targets, logSoftmax(logits)), [-1]))
}

/** Binary cross-entropy between targets in [0, 1] and sigmoid(logits), elementwise: softplus(z) - z t. */
export function sigmoidCrossEntropy(logits: Tensor, targets: Tensor): Tensor {
  return sub(softplus(logits), mul(logits, targets))
}
