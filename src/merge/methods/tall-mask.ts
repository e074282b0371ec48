/** TALL masks (Wang et al., 2024): one sum of all changes, and for each task one bit a weight that says which elements of it matter to the task. */
import { lambda } from '../elements/task-vector-options.ts'
import { defineMergeMethod, notNegative, perModel } from '../merge-method.ts'
import { bytesOfScales, packBits } from '../tasks/forms.ts'

/**
 * An element matters to a model if its change exceeds `threshold` times what the multi-task change differs from it:
 * |change| > threshold |multi-task - change|. The multi-task change is `lambda` times the sum of all changes (default 1); the merged
 * checkpoint holds the base plus it, a task's model takes it where the task's mask is set, and the base elsewhere. `consensus` uses the
 * same masks to leave out what matters to few.
 *
 * `threshold` of each model (default 0.4; 0.2 to 0.6 suits), `lambda`.
 * @example
 * await merge(['a', 'b', 'c'], { base: 'base', method: tallMask({ threshold: 0.3 }), out: 'merged' })
 * await materializeTask('merged', 'a', 'merged-a')
 */
export const tallMask = defineMergeMethod({
  info: {
    name: 'tall-mask',
    summary: 'The sum of all changes, and for each task one bit a weight; where the task of a text is known.',
    source: 'Wang et al., "Localizing Task Information for Improved Model Merging and Compression", 2024',
    status: 'works',
    results: 'docs/results/merge-methods.md',
  },
  base: 'required',
  models: { least: 1 },
  options: { threshold: perModel(notNegative, 0.4), lambda },
  tasks: { base: true, form: () => ({ kind: 'mask' }) },
  merge(task, { threshold, lambda }) {
    for (let t = 0; t < task.models; t++) task.writePart(t, 'scale', bytesOfScales(1))
    for (const block of task.blocks()) {
      const sum = block.zeros('sum')
      for (let t = 0; t < task.models; t++) task.kernels.addScaled(sum, block.delta(t), lambda)
      for (const [t, limit] of threshold.entries()) {
        const delta = block.delta(t)
        const matters = (i: number) => Math.abs(delta[i]!) > limit * Math.abs(sum[i]! - delta[i]!)
        task.writePart(t, 'bits', packBits(block.length, matters), block.start / 8)
      }
      task.kernels.addScaled(sum, block.base(), 1)
      block.write(sum)
    }
  },
})
