/** Task arithmetic (Ilharco et al., 2023): the differences from the base, weighted and summed, are added to the base. */
import { lambda, normalize, weight } from '../elements/task-vector-options.ts'
import { defineMergeMethod } from '../merge-method.ts'

/**
 * The base plus the weighted sum of the models' differences from it.
 *
 * `weight` of each model (default 1), `lambda` scales the sum (default 1; 0.3 to 0.5 suits many models), `normalize` divides by the sum
 * of the weights (default false).
 * @example
 * await merge(['a', 'b'], { base: 'base', method: taskArithmetic({ lambda: 0.4 }), out: 'merged' })
 */
export const taskArithmetic = defineMergeMethod({
  info: {
    name: 'task-arithmetic',
    summary: 'Adds the weighted sum of the differences from the base; the plain way to add skills together.',
    source: 'Ilharco et al., "Editing Models with Task Arithmetic", 2023',
    status: 'works',
  },
  base: 'required',
  models: { least: 1 },
  options: { weight, lambda, normalize: normalize(false) },
  merge(task, { weight, lambda, normalize }) {
    const total = weight.reduce((sum, w) => sum + w, 0)
    const factor = normalize && Math.abs(total) >= 1e-8 ? lambda / total : lambda
    for (const block of task.blocks()) {
      const sum = block.zeros('sum')
      for (let t = 0; t < task.models; t++) block.addTheta(sum, t, factor * weight[t]!)
      task.kernels.addScaled(sum, block.base(), 1 - factor * total)
      block.write(sum)
    }
  },
})
