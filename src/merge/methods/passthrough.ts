/** Passthrough: copies the tensors of one model, for stacks of layers from several models. */
import { anyNumber, defineMergeMethod, perModel } from '../merge-method.ts'

/**
 * Copies one model's tensors, times `scale` (default 1; with conditions, of some tensors only).
 * @example
 * // in a recipe: slices of layers from two models, merge_method: passthrough
 */
export const passthrough = defineMergeMethod({
  info: {
    name: 'passthrough',
    summary: 'Copies one model; with slices, stacks layers of several models into a deeper one.',
    source: 'standard',
    status: 'works',
  },
  base: 'unused',
  models: { least: 1, most: 1 },
  options: { scale: perModel(anyNumber, 1) },
  copies: ({ scale }) => scale[0] === 1,
  merge(task, { scale }) {
    for (const block of task.blocks()) {
      const theta = block.theta(0)
      if (scale[0] !== 1) task.kernels.scale(theta, scale[0]!)
      block.write(theta)
    }
  },
})
