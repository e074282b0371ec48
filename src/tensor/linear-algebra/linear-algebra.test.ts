import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  assign,
  cholesky,
  eigh,
  leastSquares,
  type Matrix,
  MatrixKernels,
  matrix,
  multiply,
  polarFactor,
  qr,
  scaleColumns,
  scaleRows,
  sinkhorn,
  solveCholesky,
  solveRidge,
  svd,
  truncatedSvd,
} from './index.ts'

interface Stored {
  shape: number[]
  values: number[]
}

const fixture = JSON.parse(
  readFileSync(new URL('../../../test/fixtures/linear-algebra/linear-algebra.json', import.meta.url), 'utf8'),
)
const read = ({ shape, values }: Stored): Matrix => matrix(shape[0]!, shape[1]!, values)

let kernels: MatrixKernels
beforeAll(async () => {
  kernels = await MatrixKernels.open()
})

/** Compares values with a tolerance relative to the largest expected one. */
function close(received: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-13): void {
  expect(received.length).toBe(expected.length)
  const scale = Array.from(expected).reduce((largest, x) => Math.max(largest, Math.abs(x)), 0)
  const worst = Array.from(expected).reduce((most, x, i) => Math.max(most, Math.abs(x - received[i]!)), 0)
  expect(worst).toBeLessThanOrEqual(tolerance * scale)
}

const copy = (a: Matrix): Matrix => ({ ...a, data: a.data.slice() })

describe.each(
  fixture.matrices as {
    name: string
    a: Stored
    s: Stored
    absR: Stored
    b: Stored
    leastSquares: Stored
    rank: number
  }[],
)('as NumPy: $name', (expected) => {
  it('singular values', () => {
    const a = read(expected.a)
    const { u, s, vt } = svd(kernels, a)
    close(s, expected.s.values)
    close(multiply(kernels, scaleColumns(copy(u), s), vt).data, a.data)
    close(truncatedSvd(kernels, a, { rank: 3 }).s, expected.s.values.slice(0, 3), 1e-3)
  })

  it('QR up to signs', () => {
    const a = read(expected.a)
    const { q, r } = qr(kernels, a)
    close(multiply(kernels, q, r).data, a.data)
    // Rows of R below the rank are rounding errors.
    if (expected.rank === Math.min(a.rows, a.columns)) close(r.data.map(Math.abs), expected.absR.values, 1e-12)
  })

  it('least squares of least norm', () => {
    const { x, rank } = leastSquares(kernels, read(expected.a), read(expected.b))
    expect(rank).toBe(expected.rank)
    // The condition of "graded" is 1e12.
    close(x.data, expected.leastSquares.values, expected.name === 'graded' ? 1e-3 : 1e-11)
  })
})

describe('as NumPy and SciPy', () => {
  it.each(fixture.symmetric as { name: string; a: Stored; values: Stored }[])('eigenvalues: $name', ({ a, values }) => {
    const found = eigh(kernels, read(a))
    close(found.values, values.values)
    const scaled = { ...found.vectors, data: found.vectors.data.slice() }
    scaleRows(scaled, found.values)
    close(multiply(kernels, found.vectors, scaled, { transposeA: true }).data, a.values)
  })

  it('Cholesky and its solution', () => {
    const { a, cholesky: l, right, solution } = fixture.definite
    close(cholesky(kernels, read(a)).data, l.values)
    close(solveCholesky(kernels, cholesky(kernels, read(a)), read(right)).data, solution.values, 1e-12)
  })

  it('ridge regression', () => {
    const { x, y, lambda, w } = fixture.ridge
    close(solveRidge(kernels, read(x), read(y), lambda).data, w.values, 1e-12)
  })

  it('polar factor', () => {
    close(polarFactor(kernels, read(fixture.polar.a)).data, fixture.polar.factor.values, 1e-12)
  })

  it.each(fixture.assignment as { c: Stored; least: number; greatest: number }[])(
    'assignment',
    ({ c, least, greatest }) => {
      const costs = read(c)
      const { columns, cost } = assign(costs)
      expect(cost).toBeCloseTo(least, 12)
      expect(assign(costs, { maximize: true }).cost).toBeCloseTo(greatest, 12)
      const used = Array.from(columns).filter((j) => j >= 0)
      expect(new Set(used).size).toBe(Math.min(costs.rows, costs.columns))
    },
  )

  it('optimal transport', () => {
    const { cost, rows, columns, epsilon, plan } = fixture.sinkhorn
    const found = sinkhorn(read(cost), {
      rows: rows.values,
      columns: columns.values,
      epsilon,
      tolerance: 1e-13,
      iterations: 20_000,
    })
    expect(found.converged).toBe(true)
    close(found.plan.data, plan.values, 1e-9)
  })

  it('transports where exponentials would underflow', () => {
    const { plan, converged } = sinkhorn(matrix(2, 2, [0, 1, 1, 0]), { epsilon: 1e-4 })
    expect(converged).toBe(true)
    close(plan.data, [0.5, 0, 0, 0.5])
  })
})
