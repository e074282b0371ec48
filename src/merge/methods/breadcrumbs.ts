/** Model Breadcrumbs (Davari and Belilovsky, 2024): the largest and the smallest changes are dropped, the middle is added up. */
import { addWeighted } from '../elements/combine.ts'
import { keepMiddle } from '../elements/magnitude-trim.ts'
import { rescale, withFactors } from '../elements/rescale.ts'
import { density, gamma, lambda, normalize, weight } from '../elements/task-vector-options.ts'
import { defineMergeMethod } from '../merge-method.ts'

/**
 * Drops the share `gamma` of the largest changes of each tensor, then the smallest until the share `density` is left, and adds the
 * weighted sum to the base. If gamma and density sum to more than 1, fewer of the largest are dropped.
 *
 * `density` (default 1), `gamma` (default 0.01) and `weight` (default 1) of each model; `lambda` (default 1); `normalize` (default false);
 * `rescale` restores the sum of magnitudes of each tensor's change (default false).
 * @example
 * await merge(['a', 'b'], { base: 'base', method: breadcrumbs({ density: 0.9 }), out: 'merged' })
 */
export const breadcrumbs = defineMergeMethod({
  info: {
    name: 'breadcrumbs',
    summary: 'Drops outliers and noise, the largest and smallest changes, and adds up the rest.',
    source: 'Davari and Belilovsky, "Model Breadcrumbs", 2024',
    status: 'works',
  },
  base: 'required',
  models: { least: 1 },
  passes: 3,
  options: { weight, density, gamma, lambda, normalize: normalize(false), rescale: rescale(false) },
  merge(task, options) {
    const trim = keepMiddle(task, options.density, options.gamma)
    addWeighted(task, options, withFactors(task, trim, options.density, options.rescale))
  },
})
