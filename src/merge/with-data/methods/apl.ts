/**
 * APL (Kong et al., "Activated Parameter Locating via Causal Intervention for Model Merging", 2024): before models are added up, the change of each is
 * cut down to what its task needs, by the effect on the task's loss of putting a part back to the base, or by the gradient that tells it nearly.
 *
 * The abstract names the intervention and its approximation by gradients; formulas and defaults are ours.
 */
import * as v from 'valibot'
import { defineDataMerge } from '../data-merge-method.ts'
import { anyNumber, between } from '../options.ts'

/**
 * Keeps of each model's change what matters to its task, and merges the rest.
 *
 * `density` is the share that is kept (default 0.2); `by`: parts are single `element`s (default), `row`s of matrices, or `tensor`s; `effect`:
 * gradients averaged along the `path` from the base (default), the `gradient` at the model, or the `intervention` itself (a pass for each part); `sign`
 * `absolute` (default), or `signed` to drop what harms; `labels`: the model's `own` answers (default) or `given` ones; `rescale` (false) keeps the sum of
 * magnitudes; `inner`: changes are added up (`sum`, default) or merged as by `ties`; `lambda` (0.5) times the result.
 * @example
 * await mergeWithData(['a', 'b'], { base: 'base', method: apl({ density: 0.3 }), data: [rowsOfA, rowsOfB], out: 'merged' })
 */
export const apl = defineDataMerge(
  {
    info: {
      name: 'apl',
      summary:
        "Keeps of each model's change the parts whose removal hurts its task, by gradients or intervention, then adds up.",
      source: 'Kong et al., "Activated Parameter Locating via Causal Intervention for Model Merging", 2024',
      status: 'partial',
      results: 'docs/results/apl.md',
    },
    base: 'required',
    labels: ({ labels }) => labels === 'given',
    schema: v.object({
      density: v.optional(between(0, 1), 0.2),
      by: v.optional(v.picklist(['element', 'row', 'tensor'], 'Expected element, row or tensor for by'), 'element'),
      effect: v.optional(
        v.picklist(['path', 'gradient', 'intervention'], 'Expected path, gradient or intervention for effect'),
        'path',
      ),
      sign: v.optional(v.picklist(['absolute', 'signed'], 'Expected absolute or signed for sign'), 'absolute'),
      labels: v.optional(v.picklist(['own', 'given'], 'Expected own or given for labels'), 'own'),
      rescale: v.optional(v.boolean('Expected true or false for rescale'), false),
      inner: v.optional(v.picklist(['sum', 'ties'], 'Expected sum or ties for inner'), 'sum'),
      lambda: v.optional(anyNumber, 0.5),
    }),
  },
  async (...given) => (await import('../merge-located.ts')).mergeLocated(...given),
)
