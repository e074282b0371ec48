/** SCE (Wan et al., FuseChat, 2024): select elements by variance, calculate weights by squared change, erase minority signs. */
import { type nothing, selectLargest } from '../elements/select.ts'
import { lambda } from '../elements/task-vector-options.ts'
import type { Block, TensorTask } from '../engine/tensor-task.ts'
import { defineMergeMethod, share, shared } from '../merge-method.ts'

/**
 * Within each tensor: keeps the share `selectTopk` (default 1: all) of the elements whose changes vary most between models, weights each
 * model by its mean squared change there, and averages the changes that agree with the sign of their sum. `lambda` scales the result
 * (default 1). Selecting by variance discards what all models changed alike: with fine-tunes far from the base use `selectTopk: 1` or a
 * lambda of 1.5 to 3.
 * @example
 * await merge(['a', 'b', 'c'], { base: 'base', method: sce({ selectTopk: 0.5 }), out: 'merged' })
 */
export const sce = defineMergeMethod({
  info: {
    name: 'sce',
    summary: 'Weights the models of each tensor by how much they changed it, and merges the changes that agree.',
    source: 'Wan et al., "FuseChat", 2024',
    status: 'works',
    results: 'docs/results/merge-methods.md',
  },
  base: 'required',
  models: { least: 1 },
  passes: 4,
  options: { selectTopk: shared(share, 1), lambda },
  merge(task, { selectTopk, lambda }) {
    const begin = selection(task, selectTopk)
    const squares = new Array<number>(task.models).fill(0)
    let keep = begin()
    for (const block of task.blocks()) {
      const deltas = keep(block)
      for (const [t, delta] of deltas.entries()) squares[t] = task.addDot(squares[t]!, delta, delta)
    }
    const total = squares.reduce((sum, square) => sum + square, 0)
    const weights = squares.map((square) => (total === 0 ? 1 / task.models : square / total))
    keep = begin()
    for (const block of task.blocks()) {
      const deltas = keep(block)
      const elected = block.zeros('elected')
      for (const delta of deltas) task.kernels.addScaled(elected, delta, 1)
      const sum = block.zeros('sum')
      const divisor = block.zeros('weights')
      for (const [t, delta] of deltas.entries()) {
        task.kernels.scale(delta, weights[t]!)
        task.kernels.addAgreeing(sum, divisor, elected, delta, weights[t]!)
      }
      task.kernels.addQuotient(sum, block.base(), sum, divisor, lambda)
      block.write(sum)
    }
  },
})

/** Starts a pass that gives each block's differences with the elements of least variance zeroed. */
function selection(task: TensorTask, topk: number): () => (block: Block) => Float64Array[] {
  const deltas = (block: Block) => Array.from({ length: task.models }, (_, t) => block.delta(t))
  if (topk >= 1) return () => deltas
  let nonzero = 0
  for (const block of task.blocks()) for (const value of variances(block, deltas(block))) if (value !== 0) nonzero++
  const k = Math.floor(nonzero * topk)
  const [[cut]] = selectLargest(task, [[k]], (block) => [variances(block, deltas(block))]) as [[typeof nothing]]
  return () => {
    let left = cut.quota
    return (block) => {
      const values = deltas(block)
      const variance = variances(block, values)
      left -= task.kernels.keepLargest(variance, cut.threshold, left)
      for (const delta of values) for (let i = 0; i < block.length; i++) if (variance[i] === 0) delta[i] = 0
      return values
    }
  }
}

function variances(block: Block, deltas: readonly Float64Array[]): Float64Array {
  const result = block.zeros('variances')
  for (let i = 0; i < block.length; i++) {
    let mean = 0
    for (const delta of deltas) mean += delta[i]!
    mean /= deltas.length
    let square = 0
    for (const delta of deltas) square += (delta[i]! - mean) ** 2
    result[i] = square / deltas.length
  }
  return result
}
