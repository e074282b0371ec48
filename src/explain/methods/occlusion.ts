/** Occlusion: what the score loses when one token is taken away (Zeiler and Fergus, 2014; for text Li et al., 2016). */
import * as v from 'valibot'
import { defineExplainMethod, removalOption, stateless } from '../explain-method.ts'

/**
 * A token's attribution is the score of the whole text minus the score without the token. One model call per token.
 * @example
 * const [explanation] = await explain(model, ['book a table for two'], { method: occlusion() })
 */
export const occlusion = defineExplainMethod(
  {
    name: 'occlusion',
    summary: 'What the score loses without each token: plain, any model, one call per token',
    source: 'Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, 2014',
    status: 'works',
    results: 'docs/results/explain.md',
  },
  v.object({ removal: removalOption }),
  'any',
  (_, { removal }) =>
    stateless(async ({ masked, full, score }) => {
      const keeps = masked.tokens.map((_, hidden) => Uint8Array.from(masked.tokens, (_, i) => (i === hidden ? 0 : 1)))
      const without = await score(keeps, removal)
      return { values: without.map((value) => full - value), details: {} }
    }),
)
