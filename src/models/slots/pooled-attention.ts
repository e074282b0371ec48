/**
 * Several weighted means of the tokens in place of one vector. Low rank: every head compares the tokens with one context vector of the text by a
 * matrix of low rank (Mehta et al., Low rank factorization for compact multi-head self-attention, 2019). Structured: a hidden layer and a vector per
 * head (Lin et al., A structured self-attentive sentence embedding, 2017). Mean: no weights, the baseline of both.
 */
import {
  add,
  blockedLinear,
  linear,
  matmul,
  mul,
  multiplyDims,
  reduceSum,
  reshape,
  softmax,
  sub,
  type Tensor,
  tanh,
  transpose,
} from '../../graph/index.ts'
import { meanOverTokens } from '../blocks.ts'
import type { ParameterSpec } from '../encoder.ts'
import type { SlotConfigOf } from './slot-config.ts'
import type { SlotHead } from './slot-head.ts'

const weight = (name: string, shape: number[]): ParameterSpec => ({
  name: `slots.${name}.weight`,
  shape,
  initial: 'normal',
  part: 'classifier',
  lookup: false,
})

/**
 * Scores of all tokens by all heads, c' P_r Q_r' h_t summed over the ranks of head r.
 * @param context [B, width], or [1, width] for one that all texts share.
 * @param p,q [heads * rank, width]: the factors, head after head.
 * @param bounded tanh on both factors.
 * @returns [B, heads, S].
 */
export function lowRankScores(states: Tensor, context: Tensor, p: Tensor, q: Tensor, rank: number, bounded: boolean) {
  const [rows, width] = p.shape as [number, number]
  const heads = rows / rank
  const bound = (x: Tensor) => (bounded ? tanh(x) : x)
  const left = bound(linear(context, p)) // [B or 1, heads * rank]
  const right = bound(linear(reshape(states, ['B*S', width]), q))
  const products = mul(reshape(right, ['B', 'S', rows]), reshape(left, [context.shape[0]!, 1, rows]))
  return transpose(reduceSum(reshape(products, ['B', 'S', heads, rank]), [3]), [0, 2, 1])
}

/** Weights over the tokens of each text, none on padding: [B, heads, S]. */
export function tokenWeights(scores: Tensor, mask: Tensor): Tensor {
  return softmax(add(scores, reshape(mul(sub(mask, 1), 1e9), ['B', 1, 'S'])))
}

export function pooledAttention(config: SlotConfigOf<'pooled-attention'>): SlotHead {
  const heads = config.form === 'mean' ? 1 : config.heads
  return {
    specs: ({ hiddenSize }, units) => [
      ...attentionSpecs(config, hiddenSize),
      weight('output', [units, heads * hiddenSize]),
      { name: 'slots.output.bias', shape: [units], initial: 'zeros', part: 'classifier', lookup: false },
    ],
    build(m, { hidden, mask }) {
      const { hiddenSize, classifierDropout } = m.config
      const parameter = (name: string) => m.weight(`slots.${name}`)
      const read = (): { slots: Tensor; attention?: Tensor } => {
        if (config.form === 'mean') return { slots: reshape(meanOverTokens(hidden, mask), ['B', 1, hiddenSize]) }
        const scores = () => {
          if (config.form === 'structured') {
            const inner = tanh(linear(reshape(hidden, ['B*S', hiddenSize]), parameter('inner')))
            return transpose(reshape(linear(inner, parameter('heads')), ['B', 'S', heads]), [0, 2, 1])
          }
          const context = config.context === 'mean' ? meanOverTokens(hidden, mask) : parameter('context')
          return lowRankScores(hidden, context, parameter('left'), parameter('right'), config.rank, config.bounded)
        }
        const attention = tokenWeights(scores(), mask)
        return { slots: matmul(attention, hidden), attention }
      }
      const { slots, attention } = read()
      const flat = m.dropout(reshape(slots, ['B', multiplyDims(heads, hiddenSize)]), classifierDropout, 'slots')
      const logits = blockedLinear(flat, parameter('output'), m.parameters.get('slots.output.bias')!)
      return { logits, tensors: { slots, ...(attention ? { attention } : {}) } }
    },
  }
}

/** Parameters of the attention alone, without the classifier. */
export function attentionSpecs(config: SlotConfigOf<'pooled-attention'>, width: number): ParameterSpec[] {
  if (config.form === 'mean') return []
  if (config.form === 'structured')
    return [weight('inner', [config.inner, width]), weight('heads', [config.heads, config.inner])]
  const rows = config.heads * config.rank
  return [
    ...(config.context === 'learned' ? [weight('context', [1, width])] : []),
    weight('left', [rows, width]),
    weight('right', [rows, width]),
  ]
}
