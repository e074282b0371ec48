/** DARE (Yu et al., 2024) with the sign election of TIES (Yadav et al., 2023). */
import { addElected } from '../elements/combine.ts'
import { keepAtRandom } from '../elements/random-trim.ts'
import { rescale, withFactors } from '../elements/rescale.ts'
import { density, lambda, normalize, weight } from '../elements/task-vector-options.ts'
import { defineMergeMethod } from '../merge-method.ts'

/**
 * As `dareLinear`, but each element takes only the models that agree with the elected sign.
 *
 * Options as in `dareLinear`; `normalize` (default false) divides by the weights that agree.
 * @example
 * await merge(['a', 'b', 'c'], { base: 'base', method: dareTies({ density: 0.5 }), out: 'merged' })
 */
export const dareTies = defineMergeMethod({
  info: {
    name: 'dare-ties',
    summary: 'Drops changes at random, rescales the rest, and adds those that agree in sign.',
    source: 'Yu et al., "Language Models are Super Mario" (DARE), 2024; Yadav et al., "TIES-Merging", 2023',
    status: 'works',
  },
  base: 'required',
  models: { least: 1 },
  passes: 2,
  options: { weight, density, lambda, normalize: normalize(false), rescale: rescale(true) },
  merge(task, options) {
    const plan = keepAtRandom(task, options.density)
    addElected(task, options, withFactors(task, plan, options.density, options.rescale))
  },
})
