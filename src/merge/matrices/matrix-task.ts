/** What methods on whole matrices share: differences read as matrices, merged differences written, and a rule for all other tensors. */
import * as v from 'valibot'
import { type Matrix, matrix } from '../../tensor/linear-algebra/matrix.ts'
import { addElected } from '../elements/combine.ts'
import { keepLargestShare } from '../elements/magnitude-trim.ts'
import type { TensorTask } from '../engine/tensor-task.ts'
import { shared } from '../merge-method.ts'
import { isInputEmbedding, isOutputEmbedding } from '../plan/tensor-names.ts'

/** What becomes of vectors, and of all that is no matrix: the mean of the differences, their sum times lambda, or nothing. */
export type Rest = 'mean' | 'sum' | 'base'

export const rest = (fallback: Rest = 'mean') =>
  shared(v.picklist(['mean', 'sum', 'base'], 'Expected mean, sum or base for rest'), fallback)

/**
 * What becomes of embeddings of tokens: merged as matrices, as the rest, or element by element by TIES. Their rows are looked up, not
 * multiplied: tasks of different words change different rows, which do not interfere and which few singular vectors cannot hold.
 */
export type Embeddings = 'matrix' | 'rest' | 'ties'

export const embeddings = (fallback: Embeddings) =>
  shared(v.picklist(['matrix', 'rest', 'ties'], 'Expected matrix, rest or ties for embeddings'), fallback)

/** The share of each change of an embedding that TIES keeps, as in its paper. */
const tiesDensity = 0.2

const isEmbedding = ({ name }: TensorTask): boolean => isInputEmbedding(name) || isOutputEmbedding(name)

/** Whether the tensor is merged as a matrix: two dimensions at least (convolutions count as rows by all else), each of at least `least`. */
export function isMatrix(task: TensorTask, embeddings: Embeddings, least = 1): boolean {
  if (task.shape.length < 2 || Math.min(task.rows, task.columns) < Math.max(1, least)) return false
  return embeddings === 'matrix' || !isEmbedding(task)
}

/** A model's difference from the base, times `factor`. */
export function deltaMatrix(task: TensorTask, model: number, factor = 1): Matrix {
  const result = matrix(task.rows, task.columns)
  for (const block of task.blocks()) {
    const delta = block.delta(model)
    if (factor !== 1) task.kernels.scale(delta, factor)
    result.data.set(delta, block.start)
  }
  return result
}

/** The weighted sum of the differences. */
export function deltaSum(task: TensorTask, weights: readonly number[]): Matrix {
  const result = matrix(task.rows, task.columns)
  for (const block of task.blocks()) {
    const sum = block.zeros('sum')
    for (const [t, w] of weights.entries()) task.kernels.addScaled(sum, block.delta(t), w)
    result.data.set(sum, block.start)
  }
  return result
}

/** Writes base + lambda * delta. */
export function writeDelta(task: TensorTask, delta: Matrix, lambda: number): void {
  for (const block of task.blocks()) {
    const sum = block.zeros('sum')
    sum.set(delta.data.subarray(block.start, block.start + block.length))
    task.kernels.scale(sum, lambda)
    task.kernels.addScaled(sum, block.base(), 1)
    block.write(sum)
  }
}

/** Writes a tensor that is not merged as a matrix: embeddings by TIES if asked for, all else as the rest. */
export function writeOther(
  task: TensorTask,
  { embeddings, rest, lambda }: { embeddings: Embeddings; rest: Rest; lambda: number },
  weight: readonly number[],
): void {
  if (embeddings !== 'ties' || !isEmbedding(task)) {
    writeRest(task, rest, lambda, weight)
    return
  }
  const trim = keepLargestShare(task, new Array<number>(task.models).fill(tiesDensity))
  addElected(task, { weight, lambda, normalize: true }, { ...trim, factors: new Array<number>(task.models).fill(1) })
}

/** Writes the base, and the models' differences by the rule for the rest. */
export function writeRest(task: TensorTask, rest: Rest, lambda: number, weights: readonly number[]): void {
  const total = weights.reduce((sum, w) => sum + w, 0)
  const factor = rest === 'base' ? 0 : rest === 'sum' ? lambda : total === 0 ? 1 : 1 / total
  for (const block of task.blocks()) {
    const sum = block.zeros('sum')
    if (factor !== 0) for (const [t, w] of weights.entries()) task.kernels.addScaled(sum, block.delta(t), w * factor)
    task.kernels.addScaled(sum, block.base(), 1)
    block.write(sum)
  }
}

/** Doubles that a thin decomposition of a matrix holds at once, with the matrix itself. */
export function svdDoubles(rows: number, columns: number): number {
  const least = Math.min(rows, columns)
  return 8 * rows * columns + 6 * least * least
}
