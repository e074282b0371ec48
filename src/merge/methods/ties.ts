/** TIES-Merging (Yadav et al., 2023): trim small changes, elect a sign for each element, average the models that agree with it. */
import * as v from 'valibot'
import { addElected } from '../elements/combine.ts'
import { keepAbove, keepLargestShare, keptCount } from '../elements/magnitude-trim.ts'
import { modelCuts } from '../elements/model-cuts.ts'
import { rescale, withFactors } from '../elements/rescale.ts'
import type { Cut } from '../elements/select.ts'
import { density, lambda, normalize, weight } from '../elements/task-vector-options.ts'
import { defineMergeMethod, shared } from '../merge-method.ts'

/**
 * Keeps the largest changes of each model, elects a sign for each element by weighted sum, and averages the changes that agree.
 *
 * `density` of each model: the share of changes kept (default 1; the paper uses 0.2), within each tensor or, with `scope: 'model'` as in
 * the paper, within the whole model; `weight` of each model (default 1); `lambda` scales the result (default 1); `normalize` divides by
 * the weights that agree (default true); `rescale` restores the sum of magnitudes of each tensor's change (default false). Within a tensor equal magnitudes are kept in order of their index, exactly as many as the
 * density says; within a model all that equal the last kept one are kept.
 * @example
 * await merge(['a', 'b', 'c'], { base: 'base', method: ties({ density: 0.2, scope: 'model' }), out: 'merged' })
 */
export const ties = defineMergeMethod({
  info: {
    name: 'ties',
    summary: 'Keeps the largest changes and averages those that agree in sign; for several fine-tunes of one base.',
    source: 'Yadav et al., "TIES-Merging", 2023',
    status: 'works',
    results: 'docs/results/merge-methods.md',
  },
  base: 'required',
  models: { least: 1 },
  passes: 3,
  options: {
    weight,
    density,
    lambda,
    normalize: normalize(true),
    rescale: rescale(false),
    scope: shared(v.picklist(['tensor', 'model'], 'Expected tensor or model for scope'), 'tensor' as const),
  },
  surveys: ({ scope }) =>
    scope === 'model'
      ? modelCuts((task, { density }: { density: readonly number[] }) =>
          density.map((share) => keptCount(share, task.length)),
        )
      : [],
  merge(task, options, settled) {
    const trim =
      options.scope === 'model'
        ? keepAbove(
            task,
            task.keys.map((key) => (settled as ReadonlyMap<string, Cut>).get(key)),
          )
        : keepLargestShare(task, options.density)
    addElected(task, options, withFactors(task, trim, options.density, options.rescale))
  },
})
