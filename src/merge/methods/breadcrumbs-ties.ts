/** Model Breadcrumbs (Davari and Belilovsky, 2024) with the sign election of TIES (Yadav et al., 2023). */
import { addElected } from '../elements/combine.ts'
import { keepMiddle } from '../elements/magnitude-trim.ts'
import { rescale, withFactors } from '../elements/rescale.ts'
import { density, gamma, lambda, normalize, weight } from '../elements/task-vector-options.ts'
import { defineMergeMethod } from '../merge-method.ts'

/**
 * As `breadcrumbs`, but each element takes only the models that agree with the elected sign.
 * @example
 * await merge(['a', 'b', 'c'], { base: 'base', method: breadcrumbsTies({ density: 0.9 }), out: 'merged' })
 */
export const breadcrumbsTies = defineMergeMethod({
  info: {
    name: 'breadcrumbs-ties',
    summary: 'Drops the largest and smallest changes, and adds those that agree in sign.',
    source: 'Davari and Belilovsky, "Model Breadcrumbs", 2024; Yadav et al., "TIES-Merging", 2023',
    status: 'works',
  },
  base: 'required',
  models: { least: 1 },
  passes: 3,
  options: { weight, density, gamma, lambda, normalize: normalize(false), rescale: rescale(false) },
  merge(task, options) {
    const trim = keepMiddle(task, options.density, options.gamma)
    addElected(task, options, withFactors(task, trim, options.density, options.rescale))
  },
})
