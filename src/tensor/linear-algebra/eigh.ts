/**
 * Eigenvalues and eigenvectors of a symmetric matrix: blocked Householder tridiagonalization (Dongarra, Hammarling and Sorensen, 1989),
 * then the implicit QR iteration with Wilkinson's shift.
 */
import { InputError, RunError } from '../../util/errors.ts'
import { largestMagnitude, type Matrix, matrix } from './matrix.ts'
import type { MatrixKernels } from './matrix-kernels.ts'
import { applyTransposed, blockSize, makeReflector, type Reflectors } from './reflectors.ts'
import { RotationQueue, rotation } from './rotations.ts'

export interface Eigh {
  /** In descending order. */
  readonly values: Float64Array
  /** Row i is the unit eigenvector of value i. */
  readonly vectors: Matrix
}

const epsilon = 2 ** -52

/**
 * a = vectorsT diag(values) vectors for a symmetric a, of which the mean of both triangles is taken.
 * @throws InputError `MATRIX` unless square, `NOT_FINITE`.
 * @example
 * eigh(await MatrixKernels.open(), matrix(2, 2, [2, 1, 1, 2])).values // [3, 1]
 */
export function eigh(kernels: MatrixKernels, a: Matrix): Eigh {
  const n = a.rows
  if (a.columns !== n) throw new InputError('MATRIX', `Expected a square matrix, received ${n} x ${a.columns}`)
  const scale = largestMagnitude(a)
  const values = new Float64Array(n)
  const vectors = matrix(n, n)
  if (n === 0) return { values, vectors }
  kernels.scope(() => {
    const at = kernels.reserve(n * n)
    const work = kernels.view(at, n * n)
    const factor = scale === 0 ? 0 : 0.5 / scale
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) work[i * n + j] = factor * (a.data[i * n + j]! + a.data[j * n + i]!)
    const { d, e, reflectors } = tridiagonalize(kernels, at, n)
    const rows = kernels.zeros(n * n)
    const z = kernels.view(rows, n * n)
    for (let i = 0; i < n; i++) z[i * n + i] = 1
    iterate(kernels, d, e, rows)
    if (reflectors.count > 0) applyTransposed(kernels, reflectors, rows, n)
    const order = Array.from(d.keys()).sort((i, j) => d[j]! - d[i]! || i - j)
    const found = kernels.view(rows, n * n)
    for (const [to, from] of order.entries()) {
      values[to] = d[from]! * scale
      vectors.data.set(found.subarray(from * n, (from + 1) * n), to * n)
    }
  })
  return { values, vectors }
}

interface Tridiagonal {
  readonly d: Float64Array
  readonly e: Float64Array
  readonly reflectors: Reflectors
}

/** Reduces the full symmetric matrix at `at`; both triangles are kept up to date. */
function tridiagonalize(kernels: MatrixKernels, at: number, n: number): Tridiagonal {
  const { wasm } = kernels
  const count = Math.max(0, n - 2)
  const vectors = kernels.zeros(count * n)
  const taus: number[] = []
  const partners = kernels.zeros(blockSize * n)
  const column = kernels.reserve(n)
  const small = kernels.reserve(2 * blockSize)
  const d = new Float64Array(n)
  const e = new Float64Array(Math.max(0, n - 1))
  /** Column j from row j on, with the pending updates of the block that starts at `first`. */
  const current = (j: number, first: number) => {
    const length = n - j
    wasm.gather(at + (j * n + j) * 8, n, column, length)
    for (let i = first; i < j; i++) {
      const v = vectors + (i * n + j) * 8
      const w = partners + ((i - first) * n + j) * 8
      wasm.axpy(-kernels.view(w, 1)[0]!, v, column, length)
      wasm.axpy(-kernels.view(v, 1)[0]!, w, column, length)
    }
    return kernels.view(column, length)
  }
  let first = 0
  while (first < count) {
    const block = Math.min(blockSize, count - first)
    for (let j = first; j < first + block; j++) {
      const length = n - j - 1
      const values = current(j, first)
      d[j] = values[0]!
      const v = vectors + (j * n + j + 1) * 8
      kernels.view(v, length).set(values.subarray(1))
      const { tau, value } = makeReflector(kernels, v, length)
      taus.push(tau)
      e[j] = value
      const w = partners + ((j - first) * n + j + 1) * 8
      wasm.gemv(length, length, tau, at + ((j + 1) * n + j + 1) * 8, n, v, w)
      const done = j - first
      const vs = vectors + (first * n + j + 1) * 8
      const ws = partners + (j + 1) * 8
      wasm.gemv(done, length, 1, ws, n, v, small)
      wasm.gemv(done, length, 1, vs, n, v, small + blockSize * 8)
      wasm.gemvT(done, length, -tau, vs, n, small, w)
      wasm.gemvT(done, length, -tau, ws, n, small + blockSize * 8, w)
      wasm.axpy(-0.5 * tau * wasm.dot(w, v, length), v, w, length)
    }
    const next = first + block
    const left = n - next
    const trailing = at + (next * n + next) * 8
    const vs = vectors + (first * n + next) * 8
    const ws = partners + next * 8
    wasm.gemm(left, left, block, -1, vs, 1, n, ws, n, 1, trailing, n)
    wasm.gemm(left, left, block, -1, ws, 1, n, vs, n, 1, trailing, n)
    first = next
    kernels.view(partners, blockSize * n).fill(0)
  }
  for (let j = count; j < n; j++) {
    const values = current(j, j)
    d[j] = values[0]!
    if (j + 1 < n) e[j] = values[1]!
  }
  return { d, e, reflectors: { at: vectors, count, length: n, taus } }
}

/** Diagonalizes the tridiagonal matrix in place, turning the rows of z along. */
function iterate(kernels: MatrixKernels, d: Float64Array, e: Float64Array, z: number): void {
  const n = d.length
  const queue = new RotationQueue(kernels, [z, n, n])
  let last = n - 1
  let steps = 60 * n
  while (last > 0) {
    for (let i = 0; i < last; i++)
      if (Math.abs(e[i]!) <= epsilon * Math.sqrt(Math.abs(d[i]!)) * Math.sqrt(Math.abs(d[i + 1]!)) || tiny(e[i]!))
        e[i] = 0
    if (e[last - 1] === 0) {
      last--
      continue
    }
    let first = last - 1
    while (first > 0 && e[first - 1] !== 0) first--
    if (steps-- === 0) throw new RunError('NOT_CONVERGED', 'The eigenvalue iteration did not converge')
    queue.add(first, step(d, e, first, last))
  }
  queue.flush()
}

/** Off-diagonal values this small are rounding errors of a matrix whose largest entry is 1. */
const tiny = (x: number): boolean => Math.abs(x) <= 1e-17

/** One implicit QR step on rows first to last; returns its rotations. */
function step(d: Float64Array, e: Float64Array, first: number, last: number): Float64Array {
  const half = (d[last - 1]! - d[last]!) / 2
  const off = e[last - 1]!
  const root = Math.hypot(half, off)
  const shift = d[last]! - (off * off) / (half + (half >= 0 ? root : -root))
  const turns = new Float64Array(2 * (last - first))
  let x = d[first]! - shift
  let bulge = e[first]!
  for (let k = first; k < last; k++) {
    const [c, s, r] = rotation(x, bulge)
    turns[2 * (k - first)] = c
    turns[2 * (k - first) + 1] = s
    if (k > first) e[k - 1] = r
    const [a, b, g] = [d[k]!, d[k + 1]!, e[k]!]
    d[k] = c * c * a + 2 * c * s * g + s * s * b
    d[k + 1] = s * s * a - 2 * c * s * g + c * c * b
    e[k] = c * s * (b - a) + (c * c - s * s) * g
    x = e[k]!
    if (k + 1 < last) {
      bulge = s * e[k + 1]!
      e[k + 1]! *= c
    }
  }
  return turns
}
