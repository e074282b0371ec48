/**
 * Fisher merging (Matena and Raffel, "Merging Models with Fisher-Weighted Averaging", 2022): the mean of the models in which each weight counts as
 * much as it matters to its model's answers, by the diagonal of the Fisher information.
 *
 * As in FusionBench, every model's diagonal is divided by its length, and a small number is added, so that weights that matter to no model become
 * their mean.
 */
import * as v from 'valibot'
import { defineDataMerge } from '../data-merge-method.ts'
import { above } from '../options.ts'

/**
 * Averages weights by how much they matter.
 *
 * `labels`: one a text `drawn` from the model's own probabilities (default), all of them by their probability (`expected`, exact, one backward pass a
 * label), or the `given` ones of the rows; `floor` (1e-6) is added to every normalised value.
 * @example
 * await mergeWithData(['a', 'b'], { method: fisher(), data: [rowsOfA, rowsOfB], out: 'merged' })
 */
export const fisher = defineDataMerge(
  {
    info: {
      name: 'fisher',
      summary:
        'Averages weights by how much each matters to its model, by squared gradients on texts; labels are optional.',
      source: 'Matena and Raffel, "Merging Models with Fisher-Weighted Averaging", 2022',
      status: 'works',
      results: 'docs/results/merge-with-data.md',
    },
    base: 'optional',
    labels: ({ labels }) => labels === 'given',
    schema: v.object({
      labels: v.optional(
        v.picklist(['drawn', 'expected', 'given'], 'Expected drawn, expected or given for labels'),
        'drawn',
      ),
      floor: v.optional(above(0), 1e-6),
    }),
  },
  async (...given) => (await import('../merge-by-importance.ts')).mergeByImportance(...given),
)
