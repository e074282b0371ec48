/**
 * Merging linear maps by regression (Jin et al., "RegMean", 2023): the weight whose outputs are nearest to those of each model on that model's own
 * inputs, W = (sum of W_t G_t) (sum of G_t)^-1 with G_t the Gram matrix of the inputs.
 */
import {
  cholesky,
  type Matrix,
  type MatrixKernels,
  matrix,
  multiply,
  solveCholesky,
  transposed,
} from '../../tensor/linear-algebra/index.ts'
import type { Gram } from './linear-grams.ts'

/** The sums over models that the merged weight of one map is made of. */
export interface Regression {
  /** Sum of G_t, in x in; maps with one input may share it. */
  readonly inputs: Matrix
  /** Sum of W_t G_t, and of W_t alone, out x in. */
  readonly targets: Matrix
  readonly weights: Matrix
  models: number
}

export function emptyRegression(out: number, inputs: Matrix): Regression {
  return { inputs, targets: matrix(out, inputs.rows), weights: matrix(out, inputs.rows), models: 0 }
}

/**
 * A Gram matrix for one input, so that every model counts the same whatever its number of texts, with off-diagonal elements times `alpha`: what two
 * units have in common on one task's texts says less about other texts.
 */
export function shrunk({ sum, count }: Gram, alpha: number): Matrix {
  const { rows } = sum
  const result = matrix(rows, rows)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < rows; j++) result.data[i * rows + j] = (sum.data[i * rows + j]! * (i === j ? 1 : alpha)) / count
  return result
}

const addTo = (sum: Matrix, part: Matrix): void => {
  for (let i = 0; i < sum.data.length; i++) sum.data[i]! += part.data[i]!
}

/** Adds a model's weight; its Gram matrix is added to `inputs` by whoever holds it, once for all maps that share it. */
export function addModel(kernels: MatrixKernels, regression: Regression, weight: Float32Array, gram: Matrix): void {
  const w = matrix(regression.targets.rows, gram.rows, Float64Array.from(weight))
  addTo(regression.targets, multiply(kernels, w, gram))
  addTo(regression.weights, w)
  regression.models++
}

export const addGram = addTo

/**
 * The merged weight. A ridge of this share of the mean diagonal draws it to the mean of the models where inputs say nothing.
 * @param ridge above 0.
 */
export function solveRegression(kernels: MatrixKernels, regression: Regression, ridge: number): Matrix {
  const { inputs, targets, weights, models } = regression
  const n = inputs.rows
  let trace = 0
  for (let i = 0; i < n; i++) trace += inputs.data[i * n + i]!
  const mean = matrix(
    weights.rows,
    n,
    weights.data.map((value) => value / models),
  )
  if (!(trace > 0)) return mean
  const pull = (ridge * trace) / n
  const c = matrix(n, n, inputs.data.slice())
  for (let i = 0; i < n; i++) c.data[i * n + i]! += pull
  const d = matrix(
    targets.rows,
    n,
    targets.data.map((value, i) => value + pull * mean.data[i]!),
  )
  return transposed(solveCholesky(kernels, cholesky(kernels, c), transposed(d)))
}

/** RegMean for a token table: inputs are one-hot, so each row is the mean of the models' by how often each has seen the token; unseen: the plain mean. */
export function mergeRows(
  tables: readonly Float32Array[],
  counts: readonly Float64Array[],
  width: number,
): Float32Array {
  const rows = counts[0]!.length
  const totals = counts.map((count) => count.reduce((sum, value) => sum + value, 0))
  const result = new Float32Array(rows * width)
  const shares = new Float64Array(tables.length)
  for (let row = 0; row < rows; row++) {
    let sum = 0
    for (const [t, count] of counts.entries()) sum += shares[t] = count[row]! / totals[t]!
    for (let j = row * width; j < (row + 1) * width; j++) {
      let value = 0
      for (const [t, table] of tables.entries()) value += (sum > 0 ? shares[t]! / sum : 1 / tables.length) * table[j]!
      result[j] = value
    }
  }
  return result
}
