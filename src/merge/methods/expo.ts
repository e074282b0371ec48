/** ExPO (Zheng et al., 2024): goes on in the direction of a fine-tuning, beyond its end. */
import { anyNumber, defineMergeMethod, shared } from '../merge-method.ts'

/**
 * The model plus `alpha` times its change from the base: model + alpha (model - base).
 *
 * `alpha` (default 0.1).
 * @example
 * await merge(['tuned'], { base: 'base', method: expo({ alpha: 0.2 }), out: 'further' })
 */
export const expo = defineMergeMethod({
  info: {
    name: 'expo',
    summary: 'Extrapolates one fine-tune beyond its end; for models that were trained too little.',
    source: 'Zheng et al., "Model Extrapolation Expedites Alignment", 2024',
    status: 'works',
    results: 'docs/results/merge-methods.md',
  },
  base: 'required',
  models: { least: 1, most: 1 },
  options: { alpha: shared(anyNumber, 0.1) },
  merge(task, { alpha }) {
    for (const block of task.blocks()) {
      const sum = block.zeros('sum')
      block.addTheta(sum, 0, 1 + alpha)
      task.kernels.addScaled(sum, block.base(), -alpha)
      block.write(sum)
    }
  },
})
