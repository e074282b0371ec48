/** DELLA (Deep et al., 2024) without the election of signs. */
import { addWeighted } from '../elements/combine.ts'
import { checkChances, epsilon } from '../elements/della-options.ts'
import { keepByRowRank } from '../elements/random-trim.ts'
import { rescale, withFactors } from '../elements/rescale.ts'
import { density, lambda, normalize, weight } from '../elements/task-vector-options.ts'
import { defineMergeMethod } from '../merge-method.ts'

/**
 * As `della`, but all kept changes are added up; `normalize` is false by default.
 * @example
 * await merge(['a', 'b'], { base: 'base', method: dellaLinear({ density: 0.4, epsilon: 0.1 }), out: 'merged' })
 */
export const dellaLinear = defineMergeMethod({
  info: {
    name: 'della-linear',
    summary: 'Drops changes at random, small ones more often, and adds up the rest.',
    source: 'Deep et al., "DELLA-Merging", 2024',
    status: 'works',
  },
  base: 'required',
  models: { least: 1 },
  passes: 2,
  memory: 'row',
  options: { weight, density, epsilon, lambda, normalize: normalize(false), rescale: rescale(true) },
  check: checkChances,
  merge(task, options) {
    const plan = keepByRowRank(task, options.density, options.epsilon)
    addWeighted(task, options, withFactors(task, plan, options.density, options.rescale))
  },
})
