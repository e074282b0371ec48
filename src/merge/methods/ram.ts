/** Reinforced Agent Merging (2026): changes that one model makes alone are kept whole, changes of several are averaged. */

import { changeCounts } from '../elements/change-counts.ts'
import { defineMergeMethod, notNegative, shared } from '../merge-method.ts'

/**
 * An element that one model changes by more than `epsilon` (default 1e-5) takes that change; one that several change takes the mean of
 * their changes.
 * @example
 * await merge(['a', 'b'], { base: 'base', method: ram(), out: 'merged' })
 */
export const ram = defineMergeMethod({
  info: {
    name: 'ram',
    summary:
      'Keeps changes that one model makes alone and averages shared ones; for sparse changes of reinforcement learning.',
    source: '"Reinforced Agent Merging", arXiv 2601.13572, 2026',
    status: 'works',
  },
  base: 'required',
  models: { least: 1 },
  options: { epsilon: shared(notNegative, 1e-5) },
  merge(task, { epsilon }) {
    for (const block of task.blocks()) {
      const counts = changeCounts(block, task.models, epsilon)
      const sum = block.zeros('sum')
      for (let t = 0; t < task.models; t++) {
        const delta = block.delta(t)
        for (let i = 0; i < block.length; i++) if (Math.abs(delta[i]!) > epsilon) sum[i]! += delta[i]! / counts[i]!
      }
      task.kernels.addScaled(sum, block.base(), 1)
      block.write(sum)
    }
  },
})
