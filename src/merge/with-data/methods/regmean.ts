/**
 * RegMean (Jin et al., "Dataless Knowledge Fusion by Merging Weights of Language Models", 2023): every linear map becomes the one whose outputs are
 * nearest to those of each model on that model's own inputs, in closed form from the Gram matrices of the inputs. No labels.
 *
 * Deviations: the token table is merged by the same regression, whose inputs are one-hot, so that each row is weighted by how often each task has
 * seen the token (`embeddings: 'mean'` is the paper's plain mean); every model counts the same, whatever its number of texts; a small ridge draws to
 * the mean of the models where the inputs do not determine the map.
 */
import * as v from 'valibot'
import { defineDataMerge } from '../data-merge-method.ts'
import { above, anyNumber, between, restOption } from '../options.ts'

/** Options of RegMean and RegMean++. */
export const regmeanSchema = v.object({
  alpha: v.optional(between(0, 1), 0.9),
  ridge: v.optional(above(0), 1e-6),
  embeddings: v.optional(
    v.picklist(['counts', 'mean', 'rest'], 'Expected counts, mean or rest for embeddings'),
    'counts',
  ),
  rest: restOption,
  lambda: v.optional(anyNumber, 0.3),
})

/**
 * Merges linear maps by regression on their inputs.
 *
 * `alpha` scales what is off the diagonal of the Gram matrices (default 0.9; 0.1 to 0.95 is usual, 0 looks at each input alone); `embeddings`: rows by
 * how often each task has seen the token (`counts`, default), their `mean`, or as the `rest`; `rest` is the `mean` of the models (default) or the base
 * plus `lambda` (0.3) times the `sum` of differences; `ridge` (1e-6).
 * @example
 * await mergeWithData(['a', 'b'], { method: regmean({ alpha: 0.9 }), data: [rowsOfA, rowsOfB], out: 'merged' })
 */
export const regmean = defineDataMerge(
  {
    info: {
      name: 'regmean',
      summary:
        'Makes each linear map answer as each model does on its own texts, in closed form; needs texts, no labels.',
      source: 'Jin et al., "Dataless Knowledge Fusion by Merging Weights of Language Models", 2023',
      status: 'works',
      results: 'docs/results/merge-with-data.md',
    },
    base: 'optional',
    schema: regmeanSchema,
  },
  async (...given) => (await import('../merge-by-regression.ts')).mergeAtOnce(...given),
)
