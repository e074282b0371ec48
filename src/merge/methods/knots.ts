/** KnOTS (Stoica et al., 2024): changes are brought into one common basis by a joint decomposition, and merged there by TIES. */
import { eigh } from '../../tensor/linear-algebra/eigh.ts'
import { firstRows, type Matrix, matrix, scaleRows, transposed } from '../../tensor/linear-algebra/matrix.ts'
import type { MatrixKernels } from '../../tensor/linear-algebra/matrix-kernels.ts'
import { multiply } from '../../tensor/linear-algebra/multiply.ts'
import { keptCount } from '../elements/magnitude-trim.ts'
import { density, lambda, normalize, weight } from '../elements/task-vector-options.ts'
import { deltaMatrix, embeddings, isMatrix, rest, svdDoubles, writeDelta, writeOther } from '../matrices/matrix-task.ts'
import { defineMergeMethod } from '../merge-method.ts'

/** Singular values of the joint matrix below this share of the largest are dropped. */
const negligible = 1e-4

/**
 * Decomposes all changes of a matrix side by side, [T1 T2 ...] = U S [V1 V2 ...]T, merges the parts V by TIES (trim, elect signs, average
 * those that agree) and multiplies back. Made for LoRA adapters, whose raw weights do not line up.
 *
 * `density` of each model: share of V that is kept (default 1); `weight` of each model (default 1); `normalize`: divide by the weights that
 * agree (default true); `lambda` (default 1); `rest` for vectors; `embeddings` as in TSV-M. Matrices with more rows than
 * columns are decomposed one below the other. Singular values under 1e-4 of the largest are dropped (in the authors' code: under 1e-4).
 * @example
 * await merge(['base+adapter-a', 'base+adapter-b'], { base: 'base', method: knots({ density: 0.3 }), out: 'merged' })
 */
export const knots = defineMergeMethod({
  info: {
    name: 'knots',
    summary: 'TIES in a basis that all changes share; for LoRA fine-tunes of one base.',
    source: 'Stoica et al., "Model Merging with SVD to Tie the KnOTS", 2024',
    status: 'works',
    results: 'docs/results/spectral-methods.md',
  },
  base: 'required',
  models: { least: 1 },
  matrix: (rows, columns, models) =>
    svdDoubles(Math.min(rows, columns), Math.min(rows, columns)) + 3 * (models + 1) * rows * columns,
  passes: 300,
  options: {
    weight,
    density,
    lambda,
    normalize: normalize(true),
    rest: rest(),
    embeddings: embeddings('ties'),
  },
  merge(task, options) {
    const { weight, density, lambda, normalize, embeddings } = options
    if (!isMatrix(task, embeddings)) return writeOther(task, options, weight)
    const tall = task.rows > task.columns
    const deltas = weight.map((_, t) => (tall ? transposed(deltaMatrix(task, t)) : deltaMatrix(task, t)))
    const { basis, parts } = jointBasis(task.matrices, deltas)
    for (const [t, part] of parts.entries()) keepLargest(part.data, keptCount(density[t]!, part.data.length))
    const merged = multiply(task.matrices, basis, elect(parts, weight, normalize))
    writeDelta(task, tall ? transposed(merged) : merged, lambda)
  },
})

/** U S and the parts VT of [T1 T2 ...] = U S [V1 V2 ...]T, from the Gram matrix of the rows. */
export function jointBasis(kernels: MatrixKernels, deltas: readonly Matrix[]): { basis: Matrix; parts: Matrix[] } {
  const rows = deltas[0]!.rows
  const gram = matrix(rows, rows)
  for (const delta of deltas) {
    const square = multiply(kernels, delta, delta, { transposeB: true })
    for (let i = 0; i < gram.data.length; i++) gram.data[i]! += square.data[i]!
  }
  const { values, vectors } = eigh(kernels, gram)
  const s = values.map((value) => Math.sqrt(Math.max(0, value)))
  const rank = s.filter((value) => value > negligible * s[0]!).length
  const ut = firstRows(vectors, rank)
  const inverse = s.subarray(0, rank).map((value) => 1 / value)
  const parts = deltas.map((delta) => scaleRows(multiply(kernels, ut, delta), inverse))
  return { basis: transposed(scaleRows(ut, s)), parts }
}

/** Zeroes all but the k largest magnitudes; of equal ones the first stay. */
function keepLargest(values: Float64Array, k: number): void {
  if (k >= values.length) return
  const sorted = values.map(Math.abs).sort()
  const limit = k === 0 ? Number.POSITIVE_INFINITY : sorted[sorted.length - k]!
  let equal = k - (sorted.length - (sorted.findLastIndex((value) => value <= limit) + 1))
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i]!)
    if (size > limit || (size === limit && equal-- > 0)) continue
    values[i] = 0
  }
}

/** Weighted values that agree with the sign of their sum (zero counts as positive), divided by the weights that agree. */
function elect(parts: readonly Matrix[], weights: readonly number[], normalize: boolean): Matrix {
  const { rows, columns } = parts[0]!
  const result = matrix(rows, columns)
  for (let i = 0; i < result.data.length; i++) {
    let elected = 0
    for (const [t, { data }] of parts.entries()) elected += weights[t]! * data[i]!
    const positive = elected >= 0
    let sum = 0
    let divisor = 0
    for (const [t, { data }] of parts.entries()) {
      const value = weights[t]! * data[i]!
      if (value === 0 || value > 0 !== positive) continue
      sum += value
      divisor += weights[t]!
    }
    result.data[i] = normalize && divisor !== 0 ? sum / divisor : sum
  }
  return result
}
