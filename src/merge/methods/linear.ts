/** Weighted average of the weights: model soups (Wortsman et al., 2022), and the average of checkpoints of one run. */
import { anyNumber, defineMergeMethod, perModel, shared, yesOrNo } from '../merge-method.ts'

/**
 * Weighted average of the models' weights.
 *
 * `weight` of each model (default 1); `normalize` divides by the sum of the weights (default true). Without a base.
 * @example
 * await merge([{ model: 'a', weight: 0.7 }, { model: 'b', weight: 0.3 }], { method: linear(), out: 'merged' })
 */
export const linear = defineMergeMethod({
  info: {
    name: 'linear',
    summary: 'Weighted average of the weights; for checkpoints of one run and close fine-tunes.',
    source: 'Wortsman et al., "Model soups", 2022',
    status: 'works',
  },
  base: 'unused',
  models: { least: 1 },
  options: { weight: perModel(anyNumber, 1), normalize: shared(yesOrNo, true) },
  check: ({ weight, normalize }) =>
    normalize && weight.reduce((sum, w) => sum + w, 0) === 0
      ? 'The weights sum to 0, so they cannot be normalized'
      : undefined,
  merge(task, { weight, normalize }) {
    const total = normalize ? weight.reduce((sum, w) => sum + w, 0) : 1
    for (const block of task.blocks()) {
      const sum = block.zeros('sum')
      for (let t = 0; t < task.models; t++) block.addTheta(sum, t, weight[t]! / total)
      block.write(sum)
    }
  },
})
