/**
 * Label attention: every label reads the tokens that matter for it. CAML (Mullenbach et al., Explainable prediction of medical codes from
 * clinical text, 2018) compares a vector per label with the tokens' states; LAAT (Vu et al., A label attention model for ICD coding, 2020) with a
 * projection of them.
 */
import { add, matmul, mul, reduceSum, reshape, softmax, sub, tanh, transpose } from '../../graph/index.ts'
import type { ParameterSpec } from '../encoder.ts'
import type { SlotConfigOf } from './slot-config.ts'
import type { SlotHead } from './slot-head.ts'

const matrix = (name: string, shape: number[]): ParameterSpec => ({
  name,
  shape,
  initial: 'normal',
  part: 'classifier',
  lookup: false,
})

/** Columns of LAAT's projection unless the configuration says otherwise. */
export const projectionSize = 256

/**
 * With states h_t: caml gives a_ct = softmax_t(u_c . tanh(h_t)), laat a_ct = softmax_t(u_c . tanh(W h_t)); then v_c = sum_t a_ct h_t and the
 * logit is beta_c . v_c + b_c.
 */
export function labelAttention({ form, size = projectionSize }: SlotConfigOf<'label-attention'>): SlotHead {
  return {
    specs: ({ hiddenSize }, units) => [
      ...(form === 'laat' ? [matrix('slots.projection.weight', [size, hiddenSize])] : []),
      matrix('slots.attention.weight', [units, form === 'laat' ? size : hiddenSize]),
      matrix('slots.output.weight', [units, hiddenSize]),
      { name: 'slots.output.bias', shape: [units], initial: 'zeros', part: 'classifier', lookup: false },
    ],
    build(m, { hidden, mask }) {
      const { hiddenSize, classifierDropout } = m.config
      const states = m.dropout(hidden, classifierDropout, 'slots')
      const flat = reshape(states, ['B*S', hiddenSize])
      const keys = tanh(form === 'laat' ? m.dense(flat, 'slots.projection') : flat)
      const scores = transpose(m.split(matmul(keys, m.weight('slots.attention'), { transB: true })), [0, 2, 1])
      const penalty = reshape(mul(sub(mask, 1), 1e9), ['B', 1, 'S'])
      const attention = softmax(add(scores, penalty))
      const slots = matmul(attention, states)
      const logits = add(reduceSum(mul(slots, m.weight('slots.output')), [2]), m.parameters.get('slots.output.bias')!)
      return { logits, tensors: { slots, attention } }
    },
  }
}
