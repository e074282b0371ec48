/** DARE (Yu et al., 2024): changes are dropped at random and the rest rescaled, then summed as in task arithmetic. */
import { addWeighted } from '../elements/combine.ts'
import { keepAtRandom } from '../elements/random-trim.ts'
import { rescale, withFactors } from '../elements/rescale.ts'
import { density, lambda, normalize, weight } from '../elements/task-vector-options.ts'
import { defineMergeMethod } from '../merge-method.ts'

/**
 * Keeps each change with the chance `density`, rescales the kept ones, and adds their weighted sum to the base.
 *
 * `density` of each model (default 1), `weight` of each model (default 1), `lambda` (default 1), `normalize` (default false);
 * `rescale`: true restores the sum of magnitudes of each tensor's change (default), `'density'` divides by the density as in the paper,
 * false leaves the kept changes as they are.
 * @example
 * await merge(['a', 'b'], { base: 'base', method: dareLinear({ density: 0.5 }), out: 'merged' })
 */
export const dareLinear = defineMergeMethod({
  info: {
    name: 'dare-linear',
    summary:
      'Drops changes at random and rescales the rest, then adds them up; for fine-tunes with many small changes.',
    source: 'Yu et al., "Language Models are Super Mario" (DARE), 2024',
    status: 'works',
  },
  base: 'required',
  models: { least: 1 },
  passes: 2,
  options: { weight, density, lambda, normalize: normalize(false), rescale: rescale(true) },
  merge(task, options) {
    const plan = keepAtRandom(task, options.density)
    addWeighted(task, options, withFactors(task, plan, options.density, options.rescale))
  },
})
