/** Blocked Cholesky factorization and the systems of equations that it solves. */
import { InputError } from '../../util/errors.ts'
import { largestMagnitude, type Matrix, matrix } from './matrix.ts'
import type { MatrixKernels } from './matrix-kernels.ts'
import { multiply } from './multiply.ts'

const block = 48

/**
 * The lower triangular l with a = l lT, for a symmetric positive definite a (its lower triangle is read).
 * @throws InputError `MATRIX` unless square, `NOT_POSITIVE_DEFINITE`, `NOT_FINITE`.
 * @example
 * cholesky(await MatrixKernels.open(), matrix(2, 2, [4, 2, 2, 5])).data // [2, 0, 1, 2]
 */
export function cholesky(kernels: MatrixKernels, a: Matrix): Matrix {
  const n = a.rows
  if (a.columns !== n) throw new InputError('MATRIX', `Expected a square matrix, received ${n} x ${a.columns}`)
  largestMagnitude(a)
  const result = matrix(n, n)
  kernels.scope(() => {
    const { wasm } = kernels
    const at = kernels.load(a.data)
    const l = kernels.view(at, n * n)
    const row = (i: number, j: number) => at + (i * n + j) * 8
    for (let first = 0; first < n; first += block) {
      const end = Math.min(n, first + block)
      for (let i = first; i < n; i++)
        for (let j = first; j < Math.min(i + 1, end); j++) {
          const value = l[i * n + j]! - wasm.dot(row(i, first), row(j, first), j - first)
          if (i > j) l[i * n + j] = value / l[j * n + j]!
          else if (value > 0) l[i * n + i] = Math.sqrt(value)
          else throw notPositive(i)
        }
      if (end < n)
        wasm.gemm(n - end, n - end, end - first, -1, row(end, first), n, 1, row(end, first), 1, n, row(end, end), n)
    }
    for (let i = 0; i < n; i++) result.data.set(l.subarray(i * n, i * n + i + 1), i * n)
  })
  return result
}

function notPositive(index: number): InputError {
  return new InputError('NOT_POSITIVE_DEFINITE', `Expected a positive definite matrix, it fails at row ${index}`, {
    help: 'add a ridge to the diagonal, or use least squares',
    data: { row: index },
  })
}

/** Solves l lT x = b for the columns of b. */
export function solveCholesky(kernels: MatrixKernels, l: Matrix, b: Matrix): Matrix {
  const n = l.rows
  const width = b.columns
  if (b.rows !== n) throw new InputError('MATRIX', `Expected ${n} rows on the right side, received ${b.rows}`)
  largestMagnitude(b)
  const result = matrix(n, width)
  kernels.scope(() => {
    const { wasm } = kernels
    const at = kernels.load(l.data)
    const xt = kernels.load(b.data)
    const row = (i: number) => xt + i * width * 8
    const value = (i: number, j: number) => l.data[i * n + j]!
    for (let first = 0; first < n; first += block) {
      const end = Math.min(n, first + block)
      wasm.gemm(end - first, width, first, -1, at + first * n * 8, n, 1, xt, width, 1, row(first), width)
      for (let i = first; i < end; i++) {
        for (let j = first; j < i; j++) wasm.axpy(-value(i, j), row(j), row(i), width)
        wasm.scale(1 / value(i, i), row(i), width)
      }
    }
    const starts = Array.from({ length: Math.ceil(n / block) }, (_, i) => i * block).reverse()
    for (const first of starts) {
      const end = Math.min(n, first + block)
      const below = at + (end * n + first) * 8
      wasm.gemm(end - first, width, n - end, -1, below, 1, n, row(end), width, 1, row(first), width)
      for (let i = end - 1; i >= first; i--) {
        for (let j = i + 1; j < end; j++) wasm.axpy(-value(j, i), row(j), row(i), width)
        wasm.scale(1 / value(i, i), row(i), width)
      }
    }
    result.data.set(kernels.view(xt, n * width))
  })
  return result
}

/**
 * Ridge regression: the w (columns of x by columns of y) that minimizes |x w - y|^2 + lambda |w|^2, lambda > 0.
 * @throws InputError `MATRIX`, `NOT_POSITIVE_DEFINITE`, `NOT_FINITE`.
 * @example
 * solveRidge(await MatrixKernels.open(), matrix(2, 1, [1, 1]), matrix(2, 1, [1, 3]), 2).data // [1]
 */
export function solveRidge(kernels: MatrixKernels, x: Matrix, y: Matrix, lambda: number): Matrix {
  const gram = multiply(kernels, x, x, { transposeA: true })
  for (let i = 0; i < gram.rows; i++) gram.data[i * gram.rows + i]! += lambda
  return solveCholesky(kernels, cholesky(kernels, gram), multiply(kernels, x, y, { transposeA: true }))
}
