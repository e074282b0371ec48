/**
 * AdaMerging (Yang et al., "AdaMerging: Adaptive Model Merging for Multi-Task Learning", 2024): the coefficients of task arithmetic, one a task or one
 * a task and layer, are learnt by making the merged model's answers to unlabelled texts certain: Adam on the entropy.
 *
 * A gradient with respect to a coefficient is the inner product of the weights' gradient with the model's difference from the base, so one backward
 * pass of the merged model a task and step is enough, whatever the number of coefficients. What the reference calls layers are single tensors: the
 * default.
 */
import * as v from 'valibot'
import { defineDataMerge } from '../data-merge-method.ts'
import { above, anyNumber, wholeFrom } from '../options.ts'

/**
 * Learns the coefficients of task arithmetic from unlabelled texts.
 *
 * `level`: coefficients for each `task`, for each task and block (`layer`), or for each task and `tensor` (default); `start` 0.3; `steps` 200 of Adam
 * at `learningRate` 0.001, each on `batch` (16) texts of every task. Certain answers need not be right ones: where the merge that it starts from is
 * far from the specialists, few coefficients can end in a model that is sure of nonsense.
 * @example
 * await mergeWithData(['a', 'b'], { base: 'base', method: adamerging(), data: [rowsOfA, rowsOfB], out: 'merged' })
 */
export const adamerging = defineDataMerge(
  {
    info: {
      name: 'adamerging',
      summary:
        "Learns each task's weight in each tensor by making the merged model certain on unlabelled texts; needs a base.",
      source: 'Yang et al., "AdaMerging: Adaptive Model Merging for Multi-Task Learning", 2024',
      status: 'partial',
      results: 'docs/results/merge-with-data.md',
    },
    base: 'required',
    schema: v.object({
      level: v.optional(v.picklist(['task', 'layer', 'tensor'], 'Expected task, layer or tensor for level'), 'tensor'),
      start: v.optional(anyNumber, 0.3),
      steps: v.optional(wholeFrom(0), 200),
      learningRate: v.optional(above(0), 0.001),
      batch: v.optional(wholeFrom(1), 16),
    }),
  },
  async (...given) => (await import('../learn-coefficients.ts')).learnCoefficients(...given),
)
