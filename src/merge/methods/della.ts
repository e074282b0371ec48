/** DELLA (Deep et al., 2024): changes are dropped at random, the small ones of a row more often, then elected by sign as in TIES. */
import { addElected } from '../elements/combine.ts'
import { checkChances, epsilon } from '../elements/della-options.ts'
import { keepByRowRank } from '../elements/random-trim.ts'
import { rescale, withFactors } from '../elements/rescale.ts'
import { density, lambda, normalize, weight } from '../elements/task-vector-options.ts'
import { defineMergeMethod } from '../merge-method.ts'

/**
 * Keeps each change with a chance that grows with its rank in its row, from `density - epsilon` to `density + epsilon`; rescales; merges
 * the changes that agree in sign.
 *
 * `density` of each model (default 1), `epsilon` of each model (default 0.15), `weight` of each model (default 1), `lambda` (default 1),
 * `normalize` divides by the weights that agree (default true), `rescale` as in `dareLinear` (default true).
 * @throws InputError `METHOD_OPTION` unless density - epsilon and density + epsilon lie between 0 and 1.
 * @example
 * await merge(['a', 'b', 'c'], { base: 'base', method: della({ density: 0.4, epsilon: 0.1 }), out: 'merged' })
 */
export const della = defineMergeMethod({
  info: {
    name: 'della',
    summary: 'Drops changes at random, small ones more often, and merges those that agree in sign.',
    source: 'Deep et al., "DELLA-Merging", 2024',
    status: 'works',
  },
  base: 'required',
  models: { least: 1 },
  passes: 2,
  memory: 'row',
  options: { weight, density, epsilon, lambda, normalize: normalize(true), rescale: rescale(true) },
  check: checkChances,
  merge(task, options) {
    const plan = keepByRowRank(task, options.density, options.epsilon)
    addElected(task, options, withFactors(task, plan, options.density, options.rescale))
  },
})
