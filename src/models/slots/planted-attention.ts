/**
 * Planted attention: which tokens a label reads is looked up, not learnt from noise (Roy et al., PLANT, 2024). Up to three attentions: by a table of
 * token-label information, by the scores of a learning-to-rank model, and the label attention of CAML.
 */
import {
  add,
  gather,
  greaterOrEqual,
  kthLargest,
  matmul,
  mul,
  reduceSum,
  reshape,
  slice,
  softmax,
  sub,
  type Tensor,
  tanh,
  transpose,
  where,
} from '../../graph/index.ts'
import type { Modules } from '../blocks.ts'
import type { ParameterSpec } from '../encoder.ts'
import { planted } from './planted-parameters.ts'
import type { SlotConfigOf } from './slot-config.ts'
import type { SlotHead } from './slot-head.ts'

type PlantedConfig = SlotConfigOf<'planted-attention'>
type Part = PlantedConfig['parts'][number]

const matrix = (name: string, shape: number[], initial: ParameterSpec['initial'] = 'normal'): ParameterSpec => ({
  name,
  shape,
  initial,
  part: 'classifier',
  lookup: false,
})

/** Minus infinity for a softmax: the tokens that a label does not keep get no weight, which scores of 0 would give them. */
const masked = -1e9

/** The k largest along the last axis stay, the others become `other`; which stay carries no gradient, what stays does. */
function keepLargest(x: Tensor, k: number, other: number): Tensor {
  return where(greaterOrEqual(x, kthLargest(x, k)), x, other)
}

/**
 * With J the table and r(t, c) = p_t . q_c + b_t the ranker: table weights are the k largest J of the text's tokens as they are; ranker weights a softmax
 * over the k largest r; linear weights softmax_t(u_c . tanh(h_t)). v_c is the sum of the states under them, the logit beta_c . v_c + b_c.
 */
export function plantedAttention(config: PlantedConfig): SlotHead {
  const { parts, factors, keep, mix } = config
  return {
    readsIds: true,
    specs: ({ hiddenSize, vocabularySize }, units) => {
      const specs: Record<Part, ParameterSpec[]> = {
        table: [matrix(planted.table, [vocabularySize, units], 'zeros')],
        ranker: [
          matrix(planted.tokens, [vocabularySize, factors]),
          matrix(planted.tokenBias, [vocabularySize, 1], 'zeros'),
          matrix(planted.units, [units, factors]),
        ],
        linear: [matrix('slots.attention.weight', [units, hiddenSize])],
      }
      return [
        ...parts.flatMap((part) => specs[part]),
        ...(mix === 'learned' ? [matrix(planted.mix, [parts.length], 'ones')] : []),
        matrix('slots.output.weight', [units, hiddenSize]),
        matrix('slots.output.bias', [units], 'zeros'),
      ]
    },
    build(m, { hidden, mask, ids }) {
      const { hiddenSize, classifierDropout } = m.config
      const states = m.dropout(hidden, classifierDropout, 'slots')
      const real = reshape(mask, ['B', 1, 'S'])
      const penalty = mul(sub(real, 1), -masked)
      const weights: Record<Part, () => Tensor> = {
        table: () => keepLargest(mul(lookUp(m, planted.table, ids!), real), keep.table, 0),
        ranker: () => softmax(keepLargest(add(rankerScores(m, ids!), penalty), keep.ranker, masked)),
        linear: () => {
          const keys = tanh(reshape(states, ['B*S', hiddenSize]))
          const scores = m.split(matmul(keys, m.weight('slots.attention'), { transB: true }))
          return softmax(add(transpose(scores, [0, 2, 1]), penalty))
        },
      }
      const mixing = mix === 'learned' ? m.parameters.get(planted.mix)! : undefined
      const attention = parts
        .map((part, i) => (mixing ? mul(weights[part](), slice(mixing, 0, i, 1)) : weights[part]()))
        .reduce((sum, part) => add(sum, part))
      const slots = matmul(attention, states)
      const logits = add(reduceSum(mul(slots, m.weight('slots.output')), [2]), m.parameters.get('slots.output.bias')!)
      return { logits, tensors: { slots, attention } }
    },
  }
}

/** Columns of a table by token: [B, columns, S]. */
function lookUp(m: Modules, name: string, ids: Tensor): Tensor {
  return transpose(gather(m.parameters.get(name)!, ids), [0, 2, 1])
}

/** r(t, c) [B, units, S]. */
function rankerScores(m: Modules, ids: Tensor): Tensor {
  const units = m.parameters.get(planted.units)!
  const tokens = reshape(gather(m.parameters.get(planted.tokens)!, ids), ['B*S', units.shape[1]!])
  const products = transpose(m.split(matmul(tokens, units, { transB: true })), [0, 2, 1])
  return add(products, lookUp(m, planted.tokenBias, ids))
}
