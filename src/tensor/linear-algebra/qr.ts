/** Thin QR factorization by blocked Householder reflections. */
import { largestMagnitude, type Matrix, matrix } from './matrix.ts'
import type { MatrixKernels } from './matrix-kernels.ts'
import { applyBlock, applyTransposed, blockSize, makeReflector, type Reflectors } from './reflectors.ts'

export interface Qr {
  /** rows x min(rows, columns), orthonormal columns. */
  readonly q: Matrix
  /** min(rows, columns) x columns, upper triangular. */
  readonly r: Matrix
}

/**
 * a = q r.
 * @throws InputError `NOT_FINITE`.
 * @example
 * const { q, r } = qr(await MatrixKernels.open(), matrix(3, 2, [1, 2, 3, 4, 5, 6]))
 */
export function qr(kernels: MatrixKernels, a: Matrix): Qr {
  const { rows, columns } = a
  const rank = Math.min(rows, columns)
  const q = matrix(rows, rank)
  const r = matrix(rank, columns)
  const scale = largestMagnitude(a)
  if (rank === 0) return { q, r }
  kernels.scope(() => {
    const { wasm } = kernels
    const source = kernels.load(a.data)
    if (scale > 0) wasm.scale(1 / scale, source, rows * columns)
    const turned = kernels.reserve(rows * columns)
    wasm.transpose(rows, columns, source, turned)
    const { reflectors, r: upper } = factorRows(kernels, turned, rows, columns)
    const values = kernels.view(upper, rank * columns)
    for (let i = 0; i < values.length; i++) r.data[i] = values[i]! * scale
    const z = thinRows(kernels, reflectors, rank)
    const plain = kernels.reserve(rows * rank)
    wasm.transpose(rank, rows, z, plain)
    q.data.set(kernels.view(plain, rows * rank))
  })
  return { q, r }
}

/** The first `count` columns of Q as rows, at a fresh address. */
function thinRows(kernels: MatrixKernels, reflectors: Reflectors, count: number): number {
  const z = kernels.zeros(count * reflectors.length)
  const values = kernels.view(z, count * reflectors.length)
  for (let i = 0; i < count; i++) values[i * reflectors.length + i] = 1
  applyTransposed(kernels, reflectors, z, count)
  return z
}

/**
 * Factors a matrix given by its columns as the rows at `turned`, which are overwritten. Gives the reflectors of Q and the address of R
 * (min(rows, columns) x columns).
 */
export function factorRows(
  kernels: MatrixKernels,
  turned: number,
  rows: number,
  columns: number,
): { reflectors: Reflectors; r: number } {
  const { wasm } = kernels
  const rank = Math.min(rows, columns)
  const taus: number[] = []
  const vectors = kernels.zeros(rank * rows)
  const r = kernels.zeros(rank * columns)
  const reflectors = { at: vectors, count: rank, length: rows, taus }
  for (let first = 0; first < rank; first += blockSize) {
    const count = Math.min(blockSize, rank - first)
    for (let j = first; j < first + count; j++) {
      const column = turned + j * rows * 8
      const v = vectors + (j * rows + j) * 8
      const length = rows - j
      kernels.view(v, length).set(kernels.view(column + j * 8, length))
      const { tau, value } = makeReflector(kernels, v, length)
      taus.push(tau)
      const reflected = kernels.view(column + j * 8, length).fill(0)
      reflected[0] = value
      for (let next = j + 1; next < first + count; next++) {
        const other = turned + (next * rows + j) * 8
        wasm.axpy(-tau * wasm.dot(v, other, length), v, other, length)
      }
    }
    const next = first + count
    applyBlock(kernels, reflectors, [first, count], turned + next * rows * 8, [columns - next, rows], false)
  }
  const values = kernels.view(turned, rows * columns)
  const upper = kernels.view(r, rank * columns)
  for (let j = 0; j < columns; j++)
    for (let i = 0; i <= Math.min(j, rank - 1); i++) upper[i * columns + j] = values[j * rows + i]!
  return { reflectors, r }
}
