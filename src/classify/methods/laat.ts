/** LAAT: label-wise attention over a projection of the states of an encoder's tokens (Vu et al., 2020). */
import * as v from 'valibot'
import { defineHeadMethod } from '../head-method.ts'
import { flat } from './flat.ts'

/**
 * As `caml`, but labels compare their vectors with a projection of the tokens' states. The paper's encoder is a bidirectional LSTM; here it is the
 * transformer that `encoder` names. Units as in `flat`.
 * - `size` (1 to 4096, default 256): width of the projection.
 * @throws InputError `METHOD_ENCODER` for the encoder `ngram`.
 * @example
 * const model = await train(rows, { method: laat({ size: 128 }), encoder: 'mini' })
 */
export const laat = defineHeadMethod(
  {
    name: 'laat',
    summary: 'Label-wise attention over a projection of the tokens. Needs an encoder.',
    source: 'Vu et al., A label attention model for ICD coding from clinical text, 2020',
    status: 'works',
    results: 'docs/results/plant.md',
  },
  v.object({ size: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(4096)), 256) }),
  flat.layout,
  {
    slots: ({ size }) => ({
      slots: () => ({ kind: 'label-attention', form: 'laat', size: size as number }),
    }),
  },
)
