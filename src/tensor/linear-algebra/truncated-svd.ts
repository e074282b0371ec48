/**
 * The largest singular values and vectors by random projection with power iterations (Halko, Martinsson and Tropp, 2011). Random numbers are
 * keyed, so equal inputs give equal results.
 */
import { InputError } from '../../util/errors.ts'
import { random } from '../random.ts'
import { firstColumns, firstRows, largestMagnitude, type Matrix, matrix } from './matrix.ts'
import type { MatrixKernels } from './matrix-kernels.ts'
import { multiply } from './multiply.ts'
import { qr } from './qr.ts'
import { type Svd, svd } from './svd.ts'

export interface TruncatedSvdOptions {
  /** Singular values wanted, at least 1. */
  rank: number
  /** Directions sampled beyond the rank (default 10). */
  oversampling?: number
  /** Power iterations (default 4): more where singular values fall slowly. */
  iterations?: number
  /** Keys the random numbers (default "truncated-svd"). */
  key?: readonly (string | number)[]
}

/**
 * The best approximation of `a` by a matrix of this rank, nearly: u (rows x rank), s, vt (rank x columns). Where the sampled directions would
 * be as many as the matrix has, the thin decomposition is calculated and cut.
 * @throws InputError `MATRIX` for a rank below 1, `NOT_FINITE`.
 * @example
 * const { u, s, vt } = truncatedSvd(await MatrixKernels.open(), matrix(2, 2, [3, 0, 0, 2]), { rank: 1 })
 */
export function truncatedSvd(kernels: MatrixKernels, a: Matrix, options: TruncatedSvdOptions): Svd {
  const { rank, oversampling = 10, iterations = 4, key = ['truncated-svd'] } = options
  if (!Number.isInteger(rank) || rank < 1)
    throw new InputError('MATRIX', `Expected a rank of at least 1, received ${rank}`)
  const least = Math.min(a.rows, a.columns)
  const wanted = Math.min(rank, least)
  const sampled = Math.min(least, rank + oversampling)
  if (sampled >= 0.8 * least) return cut(svd(kernels, a), wanted)
  if (a.rows < a.columns) {
    const at = transposeOf(kernels, a)
    const { u, s, vt } = truncatedSvd(kernels, at, options)
    return { u: transposeOf(kernels, vt), s, vt: transposeOf(kernels, u) }
  }
  largestMagnitude(a)
  const normals = random(...key)
  const probe = matrix(a.columns, sampled)
  for (let i = 0; i < probe.data.length; i++) probe.data[i] = normals.normal(i)
  let basis = qr(kernels, multiply(kernels, a, probe)).q
  for (let i = 0; i < iterations; i++) {
    const back = qr(kernels, multiply(kernels, a, basis, { transposeA: true })).q
    basis = qr(kernels, multiply(kernels, a, back)).q
  }
  const small = svd(kernels, multiply(kernels, basis, a, { transposeA: true }))
  return cut({ ...small, u: multiply(kernels, basis, small.u) }, wanted)
}

/** The first `rank` singular values and their vectors. */
export function cut({ u, s, vt }: Svd, rank: number): Svd {
  return { u: firstColumns(u, rank), s: s.slice(0, rank), vt: firstRows(vt, rank) }
}

function transposeOf(kernels: MatrixKernels, { rows, columns, data }: Matrix): Matrix {
  const result = matrix(columns, rows)
  kernels.scope(() => {
    const target = kernels.reserve(rows * columns)
    kernels.wasm.transpose(rows, columns, kernels.load(data), target)
    result.data.set(kernels.view(target, rows * columns))
  })
  return result
}
