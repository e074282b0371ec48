/**
 * Task arithmetic in the trust region (Sun et al., 2025), without data: elements in which the changes of different models would disturb each
 * other most are left at the base. The gradients of the paper are replaced by the changes themselves, as its zero-shot variant does.
 */
import { orderStatistics } from '../elements/order-statistics.ts'
import { lambda, weight } from '../elements/task-vector-options.ts'
import type { Block, TensorTask } from '../engine/tensor-task.ts'
import { defineMergeMethod, share, shared } from '../merge-method.ts'

/**
 * The disturbance of an element is the sum of |change of i| |change of j| over all pairs of different models. The base plus `lambda` times
 * the weighted sum of changes where the disturbance is at most its quantile `quantile` over the whole model (default 0.99); the base elsewhere.
 *
 * `weight` of each model (default 1), `lambda` (default 1; 0.3 to 0.5 suits many models).
 * @example
 * await merge(['a', 'b', 'c'], { base: 'base', method: trustRegion({ lambda: 0.4 }), out: 'merged' })
 */
export const trustRegion = defineMergeMethod({
  info: {
    name: 'trust-region',
    summary: 'Task arithmetic without the few elements in which the models disturb each other most.',
    source: 'Sun et al., "Task Arithmetic in Trust Region", 2025',
    status: 'works',
    results: 'docs/results/merge-methods.md',
  },
  base: 'required',
  models: { least: 2 },
  passes: 3,
  options: { quantile: shared(share, 0.99), weight, lambda },
  surveys: ({ quantile }) =>
    orderStatistics<undefined, number>({
      values: (task, block) => [['disturbance', disturbance(task, block)]],
      // The largest value that stays: all above it are dropped.
      ranks: (count) => [Math.min(count, count - Math.ceil(count * quantile) + 1)],
      settle: (found) => found.get('disturbance')![0]!,
    }),
  merge(task, { quantile, weight, lambda }, settled) {
    for (const block of task.blocks()) {
      const disturbed = disturbance(task, block)
      const sum = block.zeros('sum')
      for (const [t, w] of weight.entries()) task.kernels.addScaled(sum, block.delta(t), lambda * w)
      for (let i = 0; i < block.length; i++)
        if (quantile === 0 || Math.fround(disturbed[i]!) > (settled as number)) sum[i] = 0
      task.kernels.addScaled(sum, block.base(), 1)
      block.write(sum)
    }
  },
})

function disturbance(task: TensorTask, block: Block): Float64Array {
  const magnitudes = block.zeros('magnitudes')
  const pairs = block.zeros('pairs')
  for (let t = 0; t < task.models; t++) {
    const delta = block.delta(t)
    for (let i = 0; i < block.length; i++) {
      const magnitude = Math.abs(delta[i]!)
      pairs[i]! += 2 * magnitude * magnitudes[i]!
      magnitudes[i]! += magnitude
    }
  }
  return pairs
}
