/** Consensus merging by TALL masks (Wang et al., 2024): elements that matter to one task alone, or to none, are left out of the sum. */

import * as v from 'valibot'
import { lambda } from '../elements/task-vector-options.ts'
import { defineMergeMethod, notNegative, perModel, shared } from '../merge-method.ts'

/**
 * An element matters to a model if its change exceeds `threshold` times what the other models add: |change| > threshold * |sum - change|.
 * Elements that matter to at least `least` models take the sum of all changes, the others stay at the base.
 *
 * `threshold` of each model (default 0.4; 0.2 to 0.6 suits), `least` (default 2), `lambda` scales the sum (default 1).
 * @example
 * await merge(['a', 'b', 'c'], { base: 'base', method: consensus({ lambda: 0.5 }), out: 'merged' })
 */
export const consensus = defineMergeMethod({
  info: {
    name: 'consensus',
    summary: 'Task arithmetic on the elements that matter to several models; leaves out selfish and useless ones.',
    source: 'Wang et al., "Localizing Task Information for Improved Model Merging and Compression", 2024',
    status: 'works',
    results: 'docs/results/merge-methods.md',
  },
  base: 'required',
  models: { least: 2 },
  options: {
    threshold: perModel(notNegative, 0.4),
    least: shared(v.pipe(v.number(), v.integer('Expected a whole number'), v.minValue(1)), 2),
    lambda,
  },
  merge(task, { threshold, least, lambda }) {
    for (const block of task.blocks()) {
      const sum = block.zeros('sum')
      const deltas = threshold.map((_, t) => block.delta(t))
      for (const delta of deltas) task.kernels.addScaled(sum, delta, 1)
      const base = block.base()
      for (let i = 0; i < block.length; i++) {
        let count = 0
        for (const [t, delta] of deltas.entries())
          if (Math.abs(delta[i]!) > threshold[t]! * Math.abs(sum[i]! - delta[i]!)) count++
        sum[i] = base[i]! + (count >= least ? lambda * sum[i]! : 0)
      }
      block.write(sum)
    }
  },
})
