/**
 * The quadratic loss of merging by Gram matrices, sum over the tasks of |(W - target_t) P_tT|^2 / |tau_t|^2: its gradient is 2 (W C - D) with
 * C = sum of G_t, D = sum of target_t G_t, G_t = P_tT P_t / |tau_t|^2 (Cheng et al., "WUDI", 2025; Wei et al., "OptMerge", 2025).
 */
import { eigh } from '../../tensor/linear-algebra/eigh.ts'
import { frobeniusNorm, type Matrix, matrix, scaleColumns } from '../../tensor/linear-algebra/matrix.ts'
import type { MatrixKernels } from '../../tensor/linear-algebra/matrix-kernels.ts'
import { multiply } from '../../tensor/linear-algebra/multiply.ts'

export interface GramLoss {
  /** columns x columns */
  readonly c: Matrix
  /** rows x columns */
  readonly d: Matrix
}

export function emptyLoss(rows: number, columns: number): GramLoss {
  return { c: matrix(columns, columns), d: matrix(rows, columns) }
}

/** Adds a task: its change, what stands for it in the products, and what W should be there. Changes of zero add nothing. */
export function addTask(
  kernels: MatrixKernels,
  { c, d }: GramLoss,
  { tau, projector = tau, target = tau }: { tau: Matrix; projector?: Matrix; target?: Matrix },
): void {
  const norm = frobeniusNorm(tau)
  if (norm === 0) return
  const gram = multiply(kernels, projector, projector, { transposeA: true })
  for (let i = 0; i < gram.data.length; i++) gram.data[i]! /= norm * norm
  const product = multiply(kernels, target, gram)
  for (let i = 0; i < gram.data.length; i++) c.data[i]! += gram.data[i]!
  for (let i = 0; i < product.data.length; i++) d.data[i]! += product.data[i]!
}

/** 2 (W C - D) */
export function gradient(kernels: MatrixKernels, { c, d }: GramLoss, w: Matrix): Matrix {
  const product = multiply(kernels, w, c)
  for (let i = 0; i < product.data.length; i++) product.data[i] = 2 * (product.data[i]! - d.data[i]!)
  return product
}

/**
 * The optimum D C^+, approached from `start` only along directions that the tasks determine: an eigenvector of C with value x goes the
 * share 1 - exp(-strength x / largest) of its way, as gradient descent would.
 */
export function filteredOptimum(kernels: MatrixKernels, { c, d }: GramLoss, start: Matrix, strength: number): Matrix {
  const { values, vectors } = eigh(kernels, c)
  const largest = values[0] ?? 0
  if (!(largest > 0)) return start
  const counts = values.map((value) => (value > 1e-12 * largest ? 1 : 0))
  const shares = values.map((value, i) => (counts[i] === 1 ? -Math.expm1((-value * strength) / largest) : 0))
  const optimum = scaleColumns(
    multiply(kernels, d, vectors, { transposeB: true }),
    values.map((value, i) => (counts[i] === 1 ? 1 / value : 0)),
  )
  const from = multiply(kernels, start, vectors, { transposeB: true })
  const step = matrix(
    d.rows,
    d.columns,
    optimum.data.map((value, i) => value - from.data[i]!),
  )
  const moved = multiply(kernels, scaleColumns(step, shares), vectors)
  return matrix(
    d.rows,
    d.columns,
    moved.data.map((value, i) => value + start.data[i]!),
  )
}
