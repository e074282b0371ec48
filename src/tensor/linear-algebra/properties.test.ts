import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { random } from '../random.ts'
import {
  assign,
  cholesky,
  eigh,
  frobeniusNorm,
  identity,
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
  svd,
  truncatedSvd,
} from './index.ts'

let kernels: MatrixKernels
beforeAll(async () => {
  kernels = await MatrixKernels.open()
})

function normals(rows: number, columns: number, ...key: (string | number)[]): Matrix {
  const r = random('linear algebra test', rows, columns, ...key)
  return matrix(
    rows,
    columns,
    Float64Array.from({ length: rows * columns }, (_, i) => r.normal(i)),
  )
}

/** Full, of low rank, with repeated singular values, of few small integers, or zero. */
const matrices = fc
  .record({
    rows: fc.integer({ min: 1, max: 90 }),
    columns: fc.integer({ min: 1, max: 90 }),
    kind: fc.constantFrom('normal', 'low rank', 'repeated', 'integers', 'zero'),
    seed: fc.nat(1000),
  })
  .map(({ rows, columns, kind, seed }) => {
    if (kind === 'zero') return matrix(rows, columns)
    const a = normals(rows, columns, seed)
    if (kind === 'integers') return matrix(rows, columns, a.data.map(Math.round))
    if (kind === 'low rank') return multiply(kernels, normals(rows, 2, seed), normals(2, columns, seed))
    if (kind === 'normal') return a
    const { u, vt } = svd(kernels, a)
    return multiply(kernels, u, vt)
  })

const worst = (a: Matrix, b: Matrix): number => {
  expect([a.rows, a.columns]).toEqual([b.rows, b.columns])
  return a.data.reduce((most, x, i) => Math.max(most, Math.abs(x - b.data[i]!)), 0)
}
const orthonormal = (a: Matrix, rows = false) => {
  const gram = multiply(kernels, a, a, rows ? { transposeB: true } : { transposeA: true })
  expect(worst(gram, identity(gram.rows))).toBeLessThan(1e-13)
}
const copy = (a: Matrix): Matrix => ({ ...a, data: a.data.slice() })
const settings = { numRuns: 60 }

describe('decompositions', () => {
  it('thin SVD: orthonormal, descending, reconstructs', () => {
    fc.assert(
      fc.property(matrices, (a) => {
        const { u, s, vt } = svd(kernels, a)
        orthonormal(u)
        orthonormal(vt, true)
        for (let i = 1; i < s.length; i++) expect(s[i]!).toBeLessThanOrEqual(s[i - 1]!)
        expect(s.every((value) => value >= 0)).toBe(true)
        expect(worst(multiply(kernels, scaleColumns(copy(u), s), vt), a)).toBeLessThanOrEqual(1e-13 * (1 + s[0]!))
      }),
      settings,
    )
  })

  it('truncated SVD: no worse than the best approximation but for a little', () => {
    fc.assert(
      fc.property(matrices, fc.integer({ min: 1, max: 20 }), (a, rank) => {
        const { u, s, vt } = truncatedSvd(kernels, a, { rank })
        orthonormal(u)
        orthonormal(vt, true)
        const approximation = multiply(kernels, scaleColumns(copy(u), s), vt)
        const error = frobeniusNorm({ ...a, data: a.data.map((x, i) => x - approximation.data[i]!) })
        const least = frobeniusNorm({ rows: 1, columns: 0, data: svd(kernels, a).s.slice(rank) })
        expect(error).toBeLessThanOrEqual(1.02 * least + 1e-12 * frobeniusNorm(a))
      }),
      settings,
    )
  })

  it('symmetric eigenvectors: orthonormal, descending, reconstruct', () => {
    fc.assert(
      fc.property(matrices, (a) => {
        const gram = multiply(kernels, a, a, { transposeA: true })
        const { values, vectors } = eigh(kernels, gram)
        orthonormal(vectors, true)
        for (let i = 1; i < values.length; i++) expect(values[i]!).toBeLessThanOrEqual(values[i - 1]!)
        const back = multiply(kernels, vectors, scaleRows(copy(vectors), values), { transposeA: true })
        expect(worst(back, gram)).toBeLessThanOrEqual(1e-13 * (1 + values[0]!))
      }),
      settings,
    )
  })

  it('QR: orthonormal, triangular, reconstructs', () => {
    fc.assert(
      fc.property(matrices, (a) => {
        const { q, r } = qr(kernels, a)
        orthonormal(q)
        for (let i = 0; i < r.rows; i++)
          for (let j = 0; j < Math.min(i, r.columns); j++) expect(r.data[i * r.columns + j]).toBe(0)
        expect(worst(multiply(kernels, q, r), a)).toBeLessThanOrEqual(1e-13 * (1 + frobeniusNorm(a)))
      }),
      settings,
    )
  })

  it('polar factor: singular values of 1 or 0, same row space', () => {
    fc.assert(
      fc.property(matrices, (a) => {
        const tall = a.rows >= a.columns ? a : normals(a.columns, a.rows)
        const factor = polarFactor(kernels, tall)
        for (const value of svd(kernels, factor).s) expect(Math.min(value, Math.abs(value - 1))).toBeLessThan(1e-9)
        // aT p is symmetric and positive.
        const stretch = multiply(kernels, tall, factor, { transposeA: true })
        const turned = multiply(kernels, factor, tall, { transposeA: true })
        expect(worst(stretch, turned)).toBeLessThanOrEqual(1e-9 * (1 + frobeniusNorm(tall)))
      }),
      settings,
    )
  })
})

describe('equations', () => {
  it('Cholesky solves what least squares solves', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 120 }), fc.integer({ min: 1, max: 9 }), (n, width) => {
        const x = normals(n + 5, n)
        const gram = multiply(kernels, x, x, { transposeA: true })
        for (let i = 0; i < n; i++) gram.data[i * n + i]! += 1
        const b = normals(n, width)
        const l = cholesky(kernels, gram)
        expect(worst(multiply(kernels, l, l, { transposeB: true }), gram)).toBeLessThan(1e-12 * frobeniusNorm(gram))
        expect(worst(solveCholesky(kernels, l, b), leastSquares(kernels, gram, b).x)).toBeLessThan(1e-9)
      }),
      { numRuns: 25 },
    )
  })

  it('assignment: no exchange of two rows helps, permutations are found', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 0, max: 10 }),
        fc.boolean(),
        (rows, more, ties) => {
          const costs = normals(rows, rows + more)
          if (ties) for (const [i, x] of costs.data.entries()) costs.data[i] = Math.round(x)
          const { columns } = assign(costs)
          expect(new Set(columns).size).toBe(rows)
          const at = (i: number, j: number) => costs.data[i * costs.columns + j]!
          for (let i = 0; i < rows; i++)
            for (let k = 0; k < i; k++)
              expect(at(i, columns[i]!) + at(k, columns[k]!)).toBeLessThanOrEqual(
                at(i, columns[k]!) + at(k, columns[i]!) + 1e-12,
              )
        },
      ),
      settings,
    )
  })

  it('transport meets its masses', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 }), (rows, columns) => {
        const { plan, converged } = sinkhorn(normals(rows, columns), { epsilon: 0.5, iterations: 5000 })
        expect(converged).toBe(true)
        for (let i = 0; i < rows; i++)
          expect(plan.data.subarray(i * columns, (i + 1) * columns).reduce((a, b) => a + b)).toBeCloseTo(1 / rows, 7)
      }),
      settings,
    )
  })
})

describe('faults', () => {
  const bad = matrix(2, 2, [1, 2, Number.NaN, 4])
  it.each([
    ['svd', () => svd(kernels, bad)],
    ['truncatedSvd', () => truncatedSvd(kernels, bad, { rank: 1 })],
    ['eigh', () => eigh(kernels, bad)],
    ['qr', () => qr(kernels, bad)],
    ['cholesky', () => cholesky(kernels, bad)],
    ['polarFactor', () => polarFactor(kernels, bad)],
    ['leastSquares', () => leastSquares(kernels, bad, bad)],
    ['assign', () => assign(bad)],
    ['sinkhorn', () => sinkhorn(bad)],
  ])('%s refuses NaN', (_, run) => {
    expect(run).toThrow(expect.objectContaining({ code: 'NOT_FINITE' }))
  })

  it('refuses what does not fit', () => {
    const code = (expected: string) => expect.objectContaining({ code: expected })
    expect(() => matrix(2, 2, [1])).toThrow(code('MATRIX'))
    expect(() => multiply(kernels, matrix(2, 3), matrix(2, 3))).toThrow(code('MATRIX'))
    expect(() => eigh(kernels, matrix(2, 3))).toThrow(code('MATRIX'))
    expect(() => truncatedSvd(kernels, identity(3), { rank: 0 })).toThrow(code('MATRIX'))
    expect(() => cholesky(kernels, matrix(2, 2, [1, 2, 2, 1]))).toThrow(code('NOT_POSITIVE_DEFINITE'))
    expect(() => sinkhorn(identity(2), { rows: [1, 0], columns: [2, 0] })).toThrow(code('MATRIX'))
  })
})
