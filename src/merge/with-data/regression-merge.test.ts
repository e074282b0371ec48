import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  leastSquares,
  type Matrix,
  MatrixKernels,
  matrix,
  multiply,
  transposed,
} from '../../tensor/linear-algebra/index.ts'
import { random } from '../../tensor/random.ts'
import { addGram, addModel, emptyRegression, mergeRows, shrunk, solveRegression } from './regression-merge.ts'

let kernels: MatrixKernels
beforeAll(async () => {
  kernels = await MatrixKernels.open()
})

const drawn = (rows: number, columns: number, key: string | number): Matrix => {
  const normals = random('regression', key)
  return matrix(
    rows,
    columns,
    Float64Array.from({ length: rows * columns }, (_, i) => normals.normal(i)),
  )
}
const stacked = (parts: readonly Matrix[]): Matrix =>
  matrix(
    parts.reduce((sum, { rows }) => sum + rows, 0),
    parts[0]!.columns,
    Float64Array.from(parts.flatMap(({ data }) => [...data])),
  )
const mergedOf = (inputs: readonly Matrix[], weights: readonly Matrix[], alpha: number, ridge = 1e-12): Matrix => {
  const regression = emptyRegression(weights[0]!.rows, matrix(inputs[0]!.columns, inputs[0]!.columns))
  for (const [t, x] of inputs.entries()) {
    const gram = shrunk({ sum: multiply(kernels, x, x, { transposeA: true }), count: x.rows }, alpha)
    addGram(regression.inputs, gram)
    addModel(kernels, regression, Float32Array.from(weights[t]!.data), gram)
  }
  return solveRegression(kernels, regression, ridge)
}
const single = (w: Matrix): Matrix => matrix(w.rows, w.columns, Float64Array.from(Float32Array.from(w.data)))
const far = (a: Matrix, b: Matrix): number => Math.max(...a.data.map((value, i) => Math.abs(value - b.data[i]!)))

describe('merging linear maps by regression', () => {
  it('is the least-squares solution of all tasks together', () => {
    const inputs = [drawn(12, 4, 'x1'), drawn(12, 4, 'x2')]
    const weights = [single(drawn(3, 4, 'w1')), single(drawn(3, 4, 'w2'))]
    const outputs = inputs.map((x, t) => multiply(kernels, x, weights[t]!, { transposeB: true }))
    const { x } = leastSquares(kernels, stacked(inputs), stacked(outputs))
    expect(far(mergedOf(inputs, weights, 1), transposed(x))).toBeLessThan(1e-9)
  })

  it('weights each column by the energy of its input when alpha is 0', () => {
    // Gram diagonals (4, 1) and (1, 1) per input: column 0 is (4 * 1 + 1 * 6) / 5, column 1 the mean.
    const inputs = [matrix(1, 2, [2, 1]), matrix(1, 2, [1, 1])]
    const merged = mergedOf(inputs, [matrix(1, 2, [1, 2]), matrix(1, 2, [6, 4])], 0)
    expect(merged.data[0]).toBeCloseTo(2, 9)
    expect(merged.data[1]).toBeCloseTo(3, 9)
  })

  it('is the mean where inputs are alike, and where they say nothing', () => {
    const x = drawn(9, 3, 'alike')
    const weights = [single(drawn(2, 3, 'a')), single(drawn(2, 3, 'b'))]
    const mean = matrix(
      2,
      3,
      weights[0]!.data.map((value, i) => (value + weights[1]!.data[i]!) / 2),
    )
    expect(far(mergedOf([x, x], weights, 0.9), mean)).toBeLessThan(1e-9)
    expect(far(mergedOf([matrix(2, 3), matrix(2, 3)], weights, 0.9), mean)).toBeLessThan(1e-12)
    // Only the first unit is ever on: the others are drawn to the mean.
    const silent = mergedOf([matrix(1, 3, [1, 0, 0]), matrix(1, 3, [3, 0, 0])], weights, 1, 1e-6)
    expect(silent.data[1]).toBeCloseTo(mean.data[1]!, 6)
    expect(silent.data[0]).toBeCloseTo((weights[0]!.data[0]! + 9 * weights[1]!.data[0]!) / 10, 5)
  })

  it('gives a model back that is merged with itself', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.double({ min: 0, max: 1, noNaN: true }), (size, alpha) => {
        const weight = single(drawn(2, size, `same ${size}`))
        const inputs = [drawn(3, size, `p ${size}`), drawn(5, size, `q ${size}`)]
        expect(far(mergedOf(inputs, [weight, weight], alpha, 1e-6), weight)).toBeLessThan(1e-6)
      }),
    )
  })

  it('weights rows of a token table by how often each task has seen the token', () => {
    const tables = [Float32Array.of(1, 1, 1, 1), Float32Array.of(3, 5, 7, 9)]
    // Shares: token 0 is 3/4 and 1/2 of its task's tokens; token 1 is 1/4 and 1/2.
    const merged = mergeRows(tables, [Float64Array.of(3, 1), Float64Array.of(1, 1)], 2)
    expect(merged[0]).toBeCloseTo((0.75 + 1.5) / 1.25, 6)
    expect(merged[3]).toBeCloseTo((0.25 + 4.5) / 0.75, 6)
    const unseen = mergeRows(tables, [Float64Array.of(2, 0), Float64Array.of(0, 0.5)], 2)
    expect([...unseen]).toEqual([1, 1, 7, 9])
    const both = mergeRows(tables, [Float64Array.of(2, 0), Float64Array.of(1, 0)], 2)
    expect(both[2]).toBe(4)
  })
})
