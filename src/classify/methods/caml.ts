/** CAML: label-wise attention over the states of an encoder's tokens (Mullenbach et al., 2018). */
import * as v from 'valibot'
import { defineHeadMethod } from '../head-method.ts'
import { flat } from './flat.ts'

/**
 * Every label has a vector of its own that picks the tokens it is decided by. The paper's encoder is a convolution; here it is the transformer that
 * `encoder` names. Units as in `flat`.
 * @throws InputError `METHOD_ENCODER` for the encoder `ngram`.
 * @example
 * const model = await train(rows, { method: caml(), encoder: 'mini' })
 */
export const caml = defineHeadMethod(
  {
    name: 'caml',
    summary: 'Label-wise attention: every label reads the tokens that matter for it. Needs an encoder.',
    source: 'Mullenbach et al., Explainable prediction of medical codes from clinical text, 2018',
    status: 'works',
    results: 'docs/results/plant.md',
  },
  v.object({}),
  flat.layout,
  { slots: () => ({ slots: () => ({ kind: 'label-attention', form: 'caml' }) }) },
)
