/**
 * RegMean++ (Nguyen et al., "RegMean++: Enhancing Effectiveness and Generalization of Regression Mean for Model Merging", 2025): RegMean layer by
 * layer, where the inputs of a layer come from the layers below as they were merged, since that is what the merged layer will be given.
 *
 * Inside of a layer, each model's own maps are followed, as in the reference. Deviations: those of RegMean.
 */

import { defineDataMerge } from '../data-merge-method.ts'
import { regmeanSchema } from './regmean.ts'

/**
 * RegMean with the inputs that the merged model will see.
 *
 * Options as those of `regmean`. It runs the texts once for each layer, up to that layer.
 * @example
 * await mergeWithData(['a', 'b'], { method: regmeanPlusplus(), data: [rowsOfA, rowsOfB], out: 'merged' })
 */
export const regmeanPlusplus = defineDataMerge(
  {
    info: {
      name: 'regmean-plusplus',
      summary:
        'RegMean layer by layer, on the inputs that the layers below give once they are merged; needs texts, no labels.',
      source: 'Nguyen et al., "RegMean++: Enhancing Effectiveness and Generalization of Regression Mean", 2025',
      status: 'works',
      results: 'docs/results/merge-with-data.md',
    },
    base: 'optional',
    schema: regmeanSchema,
  },
  async (...given) => (await import('../merge-by-regression.ts')).mergeLayerByLayer(...given),
)
