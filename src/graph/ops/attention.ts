/**
 * Scaled dot-product attention (Vaswani et al., 2017). Its gradient takes the row sums of dP * P from the output, where they are the row sums
 * of dO * O (Dao et al., 2022, appendix B): two passes less over the largest tensor of a training step.
 */
import { differentiable, type Tensor } from '../graph.ts'
import { softmax } from './activations.ts'
import { dropout } from './dropout.ts'
import { add, mul, sub } from './elementwise.ts'
import { matmul } from './matmul.ts'
import { reduceSum } from './reduce.ts'

export interface AttentionOptions {
  /** Added to the scores, broadcast to [..., queries, keys]; it gets no gradient. */
  mask?: Tensor
  /** Factor on the scores; default 1 / sqrt(size). */
  scale?: number
  /** Dropout on the attention weights: rate, and the key of its random bytes. */
  dropout?: { rate: number; name: string }
  /** Is handed the attention weights [..., queries, keys], for graphs that read them. */
  onWeights?: (weights: Tensor) => void
}

/** softmax(scale * q k' + mask) v for q [..., queries, size] and k, v [..., keys, size]; leading axes are equal. */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor {
  const { mask, scale: alpha = 1 / Math.sqrt(Number(q.shape.at(-1))) } = options
  const scores = matmul(q, k, { transB: true, alpha })
  const weights = softmax(mask ? add(scores, mask) : scores)
  options.onWeights?.(weights)
  const kept = options.dropout ? dropout(weights, options.dropout.rate, options.dropout.name) : weights
  const out = matmul(kept, v)
  differentiable([q, k, v], [out], ([dout]) => {
    const dkept = matmul(dout!, v, { transB: true })
    const rowSums = reduceSum(mul(dout!, out), [-1], { keepDims: true })
    const dscores = kept === weights ? mul(weights, sub(dkept, rowSums)) : sub(mul(kept, dkept), mul(weights, rowSums))
    return [
      matmul(dscores, k, { alpha }),
      matmul(dscores, q, { transA: true, alpha }),
      matmul(kept, dout!, { transA: true }),
    ]
  })
  return out
}
