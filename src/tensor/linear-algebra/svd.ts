/**
 * Thin singular value decomposition: QR first where the matrix is tall, blocked Householder bidiagonalization (Dongarra, Hammarling and
 * Sorensen, 1989), then the implicit QR iteration of Golub and Reinsch (1970) with zero shifts where a singular value vanishes (Demmel and
 * Kahan, 1990). Accurate relative to the largest singular value.
 */
import { RunError } from '../../util/errors.ts'
import { largestMagnitude, type Matrix, matrix, transposed } from './matrix.ts'
import type { MatrixKernels } from './matrix-kernels.ts'
import { factorRows } from './qr.ts'
import { applyTransposed, blockSize, makeReflector, type Reflectors } from './reflectors.ts'
import { RotationQueue, rotation } from './rotations.ts'

export interface Svd {
  /** rows x r, orthonormal columns; r is min(rows, columns). */
  readonly u: Matrix
  /** Singular values in descending order. */
  readonly s: Float64Array
  /** r x columns, orthonormal rows. */
  readonly vt: Matrix
}

const epsilon = 2 ** -52
/** Rows for a column from which a QR factorization pays first. */
const tall = 1.4

/**
 * a = u diag(s) vt. Of each pair of singular vectors the one of `vt` has its largest element positive, so that equal inputs give equal signs.
 * @throws InputError `NOT_FINITE`.
 * @example
 * svd(await MatrixKernels.open(), matrix(2, 2, [3, 0, 0, 2])).s // [3, 2]
 */
export function svd(kernels: MatrixKernels, a: Matrix): Svd {
  if (a.rows < a.columns) {
    const { u, s, vt } = svd(kernels, transposed(a))
    return { u: transposed(vt), s, vt: transposed(u) }
  }
  const { rows: m, columns: n } = a
  const scale = largestMagnitude(a)
  const s = new Float64Array(n)
  const u = matrix(m, n)
  const vt = matrix(n, n)
  if (n === 0) return { u, s, vt }
  kernels.scope(() => {
    const { wasm } = kernels
    let at = kernels.load(a.data)
    if (scale > 0) wasm.scale(1 / scale, at, m * n)
    let outer: Reflectors | undefined
    let height = m
    if (m > tall * n) {
      const turned = kernels.reserve(m * n)
      wasm.transpose(m, n, at, turned)
      const { reflectors, r } = factorRows(kernels, turned, m, n)
      outer = reflectors
      at = r
      height = n
    }
    const { d, e, left, right } = bidiagonalize(kernels, at, height, n)
    const v = unitRows(kernels, n, n)
    let uRows = unitRows(kernels, n, height)
    iterate(kernels, d, e, [uRows, n, height], [v, n, n])
    applyTransposed(kernels, left, uRows, n)
    if (right.count > 0) applyTransposed(kernels, right, v, n)
    if (outer) {
      const wide = kernels.zeros(n * m)
      const from = kernels.view(uRows, n * n)
      const to = kernels.view(wide, n * m)
      for (let i = 0; i < n; i++) to.set(from.subarray(i * n, (i + 1) * n), i * m)
      applyTransposed(kernels, outer, wide, n)
      uRows = wide
    }
    const ordered = kernels.reserve(n * m)
    const order = Array.from(d.keys()).sort((i, j) => Math.abs(d[j]!) - Math.abs(d[i]!) || i - j)
    const uFrom = kernels.view(uRows, n * m)
    const uTo = kernels.view(ordered, n * m)
    const vFrom = kernels.view(v, n * n)
    for (const [to, from] of order.entries()) {
      s[to] = Math.abs(d[from]!) * scale
      vt.data.set(vFrom.subarray(from * n, (from + 1) * n), to * n)
      uTo.set(uFrom.subarray(from * m, (from + 1) * m), to * m)
      const vRow = vt.data.subarray(to * n, (to + 1) * n)
      const flip = leads(vRow) < 0 ? -1 : 1
      if (flip < 0) negate(vRow)
      if (flip * Math.sign(d[from]! || 1) < 0) negate(uTo.subarray(to * m, (to + 1) * m))
    }
    const plain = kernels.reserve(m * n)
    wasm.transpose(n, m, ordered, plain)
    u.data.set(kernels.view(plain, m * n))
  })
  return { u, s, vt }
}

/** Unit vectors as rows, at a fresh address. */
function unitRows(kernels: MatrixKernels, count: number, length: number): number {
  const at = kernels.zeros(count * length)
  const values = kernels.view(at, count * length)
  for (let i = 0; i < count; i++) values[i * length + i] = 1
  return at
}

/** The element of largest magnitude, the first of equal ones. */
function leads(values: Float64Array): number {
  let lead = 0
  for (const value of values) if (Math.abs(value) > Math.abs(lead) * (1 + 1e-9)) lead = value
  return lead
}

function negate(values: Float64Array): void {
  for (let i = 0; i < values.length; i++) values[i] = -values[i]!
}

interface Bidiagonal {
  readonly d: Float64Array
  readonly e: Float64Array
  readonly left: Reflectors
  readonly right: Reflectors
}

/** Reduces the m x n matrix at `at` (m >= n) to upper bidiagonal form; the matrix is overwritten. */
function bidiagonalize(kernels: MatrixKernels, at: number, m: number, n: number): Bidiagonal {
  const { wasm } = kernels
  const rightCount = Math.max(0, n - 1)
  const left = { at: kernels.zeros(n * m), count: n, length: m, taus: [] as number[] }
  const right = { at: kernels.zeros(rightCount * n), count: rightCount, length: n, taus: [] as number[] }
  // Within a block the matrix is A - U Y - XT V, with U and V the reflectors' vectors as rows.
  const y = kernels.zeros(blockSize * n)
  const x = kernels.zeros(blockSize * m)
  const small = kernels.reserve(2 * blockSize)
  const other = small + blockSize * 8
  const d = new Float64Array(n)
  const e = new Float64Array(rightCount)
  for (let first = 0; first < n; first += blockSize) {
    const block = Math.min(blockSize, n - first)
    for (let j = first; j < first + block; j++) {
      const done = j - first
      const height = m - j
      const width = n - j - 1
      const u = left.at + (j * m + j) * 8
      wasm.gather(at + (j * n + j) * 8, n, u, height)
      for (let i = 0; i < done; i++) {
        wasm.axpy(-kernels.view(y + (i * n + j) * 8, 1)[0]!, left.at + ((first + i) * m + j) * 8, u, height)
        wasm.axpy(-kernels.view(right.at + ((first + i) * n + j) * 8, 1)[0]!, x + (i * m + j) * 8, u, height)
      }
      const { tau, value } = makeReflector(kernels, u, height)
      left.taus.push(tau)
      d[j] = value
      if (width === 0) continue
      const row = y + (done * n + j + 1) * 8
      kernels.view(row, width).fill(0)
      wasm.gemvT(height, width, tau, at + (j * n + j + 1) * 8, n, u, row)
      wasm.gemv(done, height, 1, left.at + (first * m + j) * 8, m, u, small)
      wasm.gemv(done, height, 1, x + j * 8, m, u, other)
      wasm.gemvT(done, width, -tau, y + (j + 1) * 8, n, small, row)
      wasm.gemvT(done, width, -tau, right.at + (first * n + j + 1) * 8, n, other, row)
      const v = right.at + (j * n + j + 1) * 8
      kernels.view(v, width).set(kernels.view(at + (j * n + j + 1) * 8, width))
      for (let i = 0; i <= done; i++)
        wasm.axpy(-kernels.view(left.at + ((first + i) * m + j) * 8, 1)[0]!, y + (i * n + j + 1) * 8, v, width)
      for (let i = 0; i < done; i++)
        wasm.axpy(-kernels.view(x + (i * m + j) * 8, 1)[0]!, right.at + ((first + i) * n + j + 1) * 8, v, width)
      const turned = makeReflector(kernels, v, width)
      right.taus.push(turned.tau)
      e[j] = turned.value
      const below = height - 1
      const column = x + (done * m + j + 1) * 8
      wasm.gemv(below, width, turned.tau, at + ((j + 1) * n + j + 1) * 8, n, v, column)
      wasm.gemv(done + 1, width, 1, y + (j + 1) * 8, n, v, small)
      wasm.gemv(done, width, 1, right.at + (first * n + j + 1) * 8, n, v, other)
      wasm.gemvT(done + 1, below, -turned.tau, left.at + (first * m + j + 1) * 8, m, small, column)
      wasm.gemvT(done, below, -turned.tau, x + (j + 1) * 8, m, other, column)
    }
    const next = first + block
    const [height, width] = [m - next, n - next]
    if (width > 0) {
      const trailing = at + (next * n + next) * 8
      wasm.gemm(height, width, block, -1, left.at + (first * m + next) * 8, 1, m, y + next * 8, n, 1, trailing, n)
      wasm.gemm(height, width, block, -1, x + next * 8, 1, m, right.at + (first * n + next) * 8, n, 1, trailing, n)
    }
    kernels.view(y, blockSize * n).fill(0)
    kernels.view(x, blockSize * m).fill(0)
  }
  return { d, e, left, right }
}

type Target = readonly [at: number, rows: number, width: number]

/** Diagonalizes the bidiagonal matrix in place, turning the rows of u and v along. Singular values may come out negative. */
function iterate(kernels: MatrixKernels, d: Float64Array, e: Float64Array, u: Target, v: Target): void {
  const n = d.length
  const uTurns = new RotationQueue(kernels, u)
  const vTurns = new RotationQueue(kernels, v)
  let norm = 0
  for (let i = 0; i < n; i++) norm = Math.max(norm, Math.abs(d[i]!), Math.abs(e[i] ?? 0))
  let last = n - 1
  let steps = 60 * n
  while (last > 0) {
    for (let i = 0; i < last; i++)
      if (Math.abs(e[i]!) <= epsilon * Math.max(Math.abs(d[i]!) + Math.abs(d[i + 1]!), 0.1 * norm)) e[i] = 0
    if (e[last - 1] === 0) {
      last--
      continue
    }
    let first = last - 1
    while (first > 0 && e[first - 1] !== 0) first--
    if (steps-- === 0) throw new RunError('NOT_CONVERGED', 'The singular value iteration did not converge')
    const shift = shiftOf(d, e, first, last, norm)
    const [right, left] = shift === 0 ? zeroShiftStep(d, e, first, last) : shiftedStep(d, e, first, last, shift)
    vTurns.add(first, right)
    uTurns.add(first, left)
  }
  vTurns.flush()
  uTurns.flush()
}

/** The square root of Wilkinson's shift of BT B; 0 where a singular value of the block vanishes or the shift would not be felt. */
function shiftOf(d: Float64Array, e: Float64Array, first: number, last: number, norm: number): number {
  for (let i = first; i <= last; i++)
    if (Math.abs(d[i]!) <= epsilon * 0.1 * norm) {
      d[i] = 0
      return 0
    }
  const [f, g, h] = [d[last - 1]!, e[last - 1]!, d[last]!]
  // The smaller singular value of [[f, g], [0, h]].
  const sum = Math.hypot(f + h, g)
  const difference = Math.hypot(f - h, g)
  const largest = (sum + difference) / 2
  const smallest = largest === 0 ? 0 : Math.abs((f * h) / largest)
  const lead = Math.abs(d[first]!)
  return (smallest / lead) ** 2 < epsilon ? 0 : smallest
}

function shiftedStep(d: Float64Array, e: Float64Array, first: number, last: number, shift: number) {
  const right = new Float64Array(2 * (last - first))
  const left = new Float64Array(2 * (last - first))
  let f = (Math.abs(d[first]!) - shift) * (Math.sign(d[first]!) + shift / d[first]!)
  let g = e[first]!
  for (let k = first; k < last; k++) {
    const at = 2 * (k - first)
    const [c, s, r] = rotation(f, g)
    if (k > first) e[k - 1] = r
    f = c * d[k]! + s * e[k]!
    e[k] = c * e[k]! - s * d[k]!
    g = s * d[k + 1]!
    d[k + 1]! *= c
    const [c2, s2, r2] = rotation(f, g)
    d[k] = r2
    f = c2 * e[k]! + s2 * d[k + 1]!
    d[k + 1] = c2 * d[k + 1]! - s2 * e[k]!
    if (k < last - 1) {
      g = s2 * e[k + 1]!
      e[k + 1]! *= c2
    }
    right[at] = c
    right[at + 1] = s
    left[at] = c2
    left[at + 1] = s2
  }
  e[last - 1] = f
  return [right, left] as const
}

function zeroShiftStep(d: Float64Array, e: Float64Array, first: number, last: number) {
  const right = new Float64Array(2 * (last - first))
  const left = new Float64Array(2 * (last - first))
  let c = 1
  let c2 = 1
  let s2 = 0
  for (let k = first; k < last; k++) {
    const at = 2 * (k - first)
    const [nextC, s, r] = rotation(d[k]! * c, e[k]!)
    if (k > first) e[k - 1] = s2 * r
    c = nextC
    const [turnC, turnS, value] = rotation(c2 * r, d[k + 1]! * s)
    d[k] = value
    c2 = turnC
    s2 = turnS
    right[at] = c
    right[at + 1] = s
    left[at] = c2
    left[at + 1] = s2
  }
  const h = d[last]! * c
  d[last] = h * c2
  e[last - 1] = h * s2
  return [right, left] as const
}
