/** The polar factor: the matrix with orthonormal columns that is nearest to a given one (Higham, 1986). */
import { eigh } from './eigh.ts'
import { type Matrix, scaleRows } from './matrix.ts'
import type { MatrixKernels } from './matrix-kernels.ts'
import { multiply } from './multiply.ts'

/**
 * a (aT a)^(-1/2) for rows >= columns. Directions whose eigenvalue of aT a is below `tolerance` of the largest are dropped, not
 * made up: where columns depend on each other the result spans the same space as `a` and its singular values are 1 or 0.
 * @param tolerance default 1e-6.
 * @throws InputError `NOT_FINITE`.
 * @example
 * polarFactor(await MatrixKernels.open(), matrix(2, 2, [3, 0, 0, 0.5])).data // [1, 0, 0, 1]
 */
export function polarFactor(kernels: MatrixKernels, a: Matrix, tolerance = 1e-6): Matrix {
  return multiply(kernels, a, inverseRoot(kernels, multiply(kernels, a, a, { transposeA: true }), tolerance))
}

/** The symmetric gram^(-1/2) on the eigenvectors whose eigenvalue is at least `tolerance` of the largest, zero on the others. */
export function inverseRoot(kernels: MatrixKernels, gram: Matrix, tolerance = 1e-6): Matrix {
  const { values, vectors } = eigh(kernels, gram)
  const limit = tolerance * Math.max(0, values[0] ?? 0)
  const roots = values.map((value) => (value > 0 && value >= limit ? value ** -0.25 : 0))
  const half = scaleRows(vectors, roots)
  return multiply(kernels, half, half, { transposeA: true })
}
