/** Model Stock (Jang et al., 2024): how far to go from the base towards the average follows from the angle between the fine-tunes. */
import { gramMatrix, writeCombination } from '../elements/gram.ts'
import type { TensorTask } from '../engine/tensor-task.ts'
import { defineMergeMethod, shared, yesOrNo } from '../merge-method.ts'

/**
 * Interpolates between the base and the average at t = N c / (1 + (N - 1) c), with c the mean cosine between the N models' differences
 * from the base.
 *
 * `filterWise` does so for each row on its own (default false).
 * @example
 * await merge(['a', 'b', 'c'], { base: 'base', method: modelStock(), out: 'merged' })
 */
export const modelStock = defineMergeMethod({
  info: {
    name: 'model-stock',
    summary:
      'Goes from the base towards the average as far as the angle between the fine-tunes suggests; no weights to choose.',
    source: 'Jang et al., "Model Stock", 2024',
    status: 'works',
  },
  base: 'required',
  models: { least: 2 },
  passes: 2,
  memory: 'row',
  options: { filterWise: shared(yesOrNo, false) },
  merge(task, { filterWise }) {
    if (filterWise) return mergeRows(task)
    const models = Array.from({ length: task.models }, (_, t) => t)
    const t = towardsAverage(gramMatrix(task, task.models, (block) => models.map((model) => block.delta(model))))
    writeCombination(
      task,
      models.map(() => t / task.models),
      1 - t,
    )
  },
})

/** The share of the average, from the inner products of the differences; 0 where there is none. */
function towardsAverage(gram: readonly Float64Array[]): number {
  const count = gram.length
  let sum = 0
  for (let i = 0; i < count; i++)
    for (let j = i + 1; j < count; j++) {
      const norms = Math.max(1e-6, Math.sqrt(gram[i]![i]!) * Math.sqrt(gram[j]![j]!))
      sum += Math.min(1, Math.max(-1, gram[i]![j]! / norms))
    }
  const cosine = sum / ((count * (count - 1)) / 2)
  const denominator = 1 + (count - 1) * cosine
  return Math.abs(denominator) < 1e-6 ? 0 : (count * cosine) / denominator
}

function mergeRows(task: TensorTask): void {
  const { columns, models } = task
  for (const block of task.rowBlocks()) {
    const deltas = Array.from({ length: models }, (_, t) => block.delta(t))
    const sum = block.zeros('sum')
    for (let at = 0; at < block.length; at += columns) {
      const rows = deltas.map((delta) => delta.subarray(at, at + columns))
      const gram = rows.map((a) => Float64Array.from(rows, (b) => task.addDot(0, a, b)))
      const t = towardsAverage(gram)
      for (const row of rows) task.kernels.addScaled(sum.subarray(at, at + columns), row, t / models)
    }
    task.kernels.addScaled(sum, block.base(), 1)
    block.write(sum)
  }
}
