/** MagMax (Marczak et al., 2024): each element takes the change with the largest magnitude. */
import { lambda } from '../elements/task-vector-options.ts'
import { defineMergeMethod } from '../merge-method.ts'

/**
 * The base plus, for each element, the largest change of any model (of equal ones the later model's), times `lambda` (default 1; the
 * paper uses 0.5).
 * @example
 * await merge(['a', 'b', 'c'], { base: 'base', method: magmax({ lambda: 0.5 }), out: 'merged' })
 */
export const magmax = defineMergeMethod({
  info: {
    name: 'magmax',
    summary: 'Takes the largest change of each element; for models fine-tuned one after the other.',
    source: 'Marczak et al., "MagMax", 2024',
    status: 'works',
    results: 'docs/results/merge-methods.md',
  },
  base: 'required',
  models: { least: 1 },
  options: { lambda },
  merge(task, { lambda }) {
    for (const block of task.blocks()) {
      const largest = block.zeros('largest')
      for (let t = 0; t < task.models; t++) {
        const delta = block.delta(t)
        for (let i = 0; i < block.length; i++) if (Math.abs(delta[i]!) >= Math.abs(largest[i]!)) largest[i] = delta[i]!
      }
      task.kernels.scale(largest, lambda)
      task.kernels.addScaled(largest, block.base(), 1)
      block.write(largest)
    }
  },
})
