/** Least squares by singular value decomposition: of all solutions the one of least norm, also where columns depend on each other. */
import { InputError } from '../../util/errors.ts'
import { type Matrix, scaleRows, transposed } from './matrix.ts'
import type { MatrixKernels } from './matrix-kernels.ts'
import { multiply } from './multiply.ts'
import { svd } from './svd.ts'

export interface LeastSquares {
  /** columns of a x columns of b. */
  readonly x: Matrix
  /** How many singular values of `a` counted. */
  readonly rank: number
}

/**
 * The x that minimizes |a x - b|.
 * @param tolerance singular values up to this share of the largest count as zero (default: 2^-52 times the larger dimension).
 * @throws InputError `MATRIX`, `NOT_FINITE`.
 * @example
 * leastSquares(await MatrixKernels.open(), matrix(2, 1, [1, 1]), matrix(2, 1, [1, 3])).x.data // [2]
 */
export function leastSquares(kernels: MatrixKernels, a: Matrix, b: Matrix, tolerance?: number): LeastSquares {
  if (a.rows !== b.rows) throw new InputError('MATRIX', `Expected ${a.rows} rows on the right side, received ${b.rows}`)
  const { u, s, vt } = svd(kernels, a)
  const limit = (tolerance ?? 2 ** -52 * Math.max(a.rows, a.columns)) * (s[0] ?? 0)
  const inverse = s.map((value) => (value > limit ? 1 / value : 0))
  const coordinates = scaleRows(multiply(kernels, u, b, { transposeA: true }), inverse)
  return { x: multiply(kernels, transposed(vt), coordinates), rank: inverse.filter((value) => value > 0).length }
}
