/** Reinforced Agent Merging with rescaling (RAM+, 2026), its statistic taken within each tensor. */
import { changeCounts } from '../elements/change-counts.ts'
import { defineMergeMethod, notNegative, positive, shared } from '../merge-method.ts'

/**
 * As `ram`, but a model's lone changes are multiplied by 1 + r * min(rho, alpha), with rho the number of its shared changes over that of
 * its lone ones, in this tensor.
 *
 * `r` (default 0.1), `alpha` (default 0.2), `epsilon` (default 1e-5).
 * @example
 * await merge(['a', 'b'], { base: 'base', method: ramplusTl(), out: 'merged' })
 */
export const ramplusTl = defineMergeMethod({
  info: {
    name: 'ramplus-tl',
    summary: 'As ram, and lone changes are strengthened by the share of changes that were averaged.',
    source: '"Reinforced Agent Merging", arXiv 2601.13572, 2026',
    status: 'works',
  },
  base: 'required',
  models: { least: 1 },
  passes: 2,
  options: { r: shared(notNegative, 0.1), alpha: shared(notNegative, 0.2), epsilon: shared(positive, 1e-5) },
  merge(task, { r, alpha, epsilon }) {
    const common = new Array<number>(task.models).fill(0)
    const lone = new Array<number>(task.models).fill(0)
    for (const block of task.blocks()) {
      const counts = changeCounts(block, task.models, epsilon)
      for (let t = 0; t < task.models; t++) {
        const delta = block.delta(t)
        for (let i = 0; i < block.length; i++)
          if (Math.abs(delta[i]!) > epsilon) {
            if (counts[i] === 1) lone[t]!++
            else common[t]!++
          }
      }
    }
    const factors = common.map((count, t) => 1 + r * Math.min(count / Math.max(lone[t]!, epsilon), alpha))
    for (const block of task.blocks()) {
      const counts = changeCounts(block, task.models, epsilon)
      const sum = block.zeros('sum')
      for (let t = 0; t < task.models; t++) {
        const delta = block.delta(t)
        for (let i = 0; i < block.length; i++)
          if (Math.abs(delta[i]!) > epsilon)
            sum[i]! += counts[i] === 1 ? factors[t]! * delta[i]! : delta[i]! / counts[i]!
      }
      task.kernels.addScaled(sum, block.base(), 1)
      block.write(sum)
    }
  },
})
