/**
 * Householder reflectors H = I - tau v vT with v[0] = 1, made one by one and applied in blocks: the product of several is I - W T WT with
 * an upper triangular T (Schreiber and Van Loan, 1989). Vectors are stored as rows of equal length, zero before their first element.
 */
import type { MatrixKernels } from './matrix-kernels.ts'

/** Reflectors are gathered into blocks of this many. */
export const blockSize = 32

export interface Reflected {
  readonly tau: number
  /** What the reflector makes of the vector's first element; the others become zero. */
  readonly value: number
}

/** The reflector of the n values at address `x`; its vector v takes their place. */
export function makeReflector(kernels: MatrixKernels, x: number, n: number): Reflected {
  const v = kernels.view(x, n)
  const first = v[0]!
  const rest = n > 1 ? kernels.wasm.dot(x + 8, x + 8, n - 1) : 0
  v[0] = 1
  if (rest === 0) return { tau: 0, value: first }
  const norm = Math.sqrt(first * first + rest)
  const value = first <= 0 ? norm : -norm
  kernels.wasm.scale(1 / (first - value), x + 8, n - 1)
  return { tau: (value - first) / value, value }
}

/** Reflectors of one factorization: `count` vectors of `length` values, one a row. */
export interface Reflectors {
  readonly at: number
  readonly count: number
  readonly length: number
  readonly taus: readonly number[]
}

/** T of the reflectors first to first + count - 1, at a fresh address (count x count, row-major). */
function triangle(kernels: MatrixKernels, { at, length, taus }: Reflectors, first: number, count: number): number {
  const { wasm } = kernels
  const gram = kernels.zeros(count * count)
  const t = kernels.zeros(count * count)
  const rows = at + (first * length + first) * 8
  wasm.gemm(count, count, length - first, 1, rows, length, 1, rows, 1, length, gram, count)
  const g = kernels.view(gram, count * count)
  const triangle = kernels.view(t, count * count)
  for (let j = 0; j < count; j++) {
    const tau = taus[first + j]!
    triangle[j * count + j] = tau
    for (let i = 0; i < j; i++) {
      let sum = 0
      for (let l = i; l < j; l++) sum += triangle[i * count + l]! * g[l * count + j]!
      triangle[i * count + j] = -tau * sum
    }
  }
  return t
}

/**
 * Z -> Z H for a block of reflectors and `rows` rows at `z` of the reflectors' length: H is the product of the reflectors in order, or in
 * reverse order if `reversed`. Row i starts `stride` elements after row i - 1.
 */
export function applyBlock(
  kernels: MatrixKernels,
  reflectors: Reflectors,
  [first, count]: readonly [number, number],
  z: number,
  [rows, stride]: readonly [number, number],
  reversed: boolean,
): void {
  if (count === 0 || rows === 0) return
  const { wasm } = kernels
  kernels.scope(() => {
    const stored = reflectors.length
    const vectors = reflectors.at + (first * stored + first) * 8 // zero before their first element
    const length = stored - first
    const from = z + first * 8
    const t = triangle(kernels, reflectors, first, count)
    const products = kernels.zeros(rows * count)
    const turned = kernels.zeros(rows * count)
    wasm.gemm(rows, count, length, 1, from, stride, 1, vectors, 1, stored, products, count)
    const [tRow, tColumn] = reversed ? [1, count] : [count, 1]
    wasm.gemm(rows, count, count, 1, products, count, 1, t, tRow, tColumn, turned, count)
    wasm.gemm(rows, length, count, -1, turned, count, 1, vectors, stored, 1, from, stride)
  })
}

/** Z -> Z QT for Q = H_0 H_1 ..., rows contiguous: turns coordinates (as rows) into vectors of the full space. */
export function applyTransposed(kernels: MatrixKernels, reflectors: Reflectors, z: number, rows: number): void {
  const last = Math.floor(Math.max(0, reflectors.count - 1) / blockSize) * blockSize
  for (let first = last; first >= 0; first -= blockSize) {
    const count = Math.min(blockSize, reflectors.count - first)
    applyBlock(kernels, reflectors, [first, count], z, [rows, reflectors.length], true)
  }
}
