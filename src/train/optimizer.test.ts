import { expect, test } from 'vitest'
import { adamWDefaults, adamWUpdate, updateFactors } from './adamw.ts'
import { plainAdamW } from './adamw-kernel.ts'
import { Optimizer } from './optimizer.ts'

const make = () => {
  const matrix = Float32Array.of(1, -2, 3)
  const bias = Float32Array.of(0.5)
  const table = Float32Array.of(1, 2, 3, 4)
  const tensors = [
    { name: 'matrix', weights: matrix, decays: true, rate: 1 },
    { name: 'bias', weights: bias, decays: false, rate: 5 },
  ]
  const optimizer = new Optimizer(
    tensors,
    [{ name: 'table', weights: table, decays: true, rate: 1, width: 2 }],
    plainAdamW,
    { ...adamWDefaults, weightDecay: 0.5 },
  )
  return { matrix, bias, table, optimizer }
}
const gradients = (matrix: number[], bias: number[]) =>
  new Map([
    ['matrix', Float32Array.from(matrix)],
    ['bias', Float32Array.from(bias)],
  ])
const rows = (values: number[]) => new Map([['table', { ids: Int32Array.of(1), values: Float32Array.from(values) }]])

test('one norm over dense tensors and rows; decay and rate by tensor', () => {
  const { matrix, bias, table, optimizer } = make()
  const norm = optimizer.update(gradients([2, 0, 4], [1]), rows([2, 0]), 0.1, 2.5)
  expect(norm).toBe(5)
  const expected = (weights: number[], gradient: number[], rate: number, weightDecay: number) => {
    const values = Float32Array.from(weights)
    const zeros = () => new Float32Array(values.length)
    const factors = updateFactors({ ...adamWDefaults, weightDecay }, 1, rate, 2.5 / (5 + 1e-6))
    adamWUpdate(values, Float32Array.from(gradient), zeros(), zeros(), factors)
    return values
  }
  expect(matrix).toEqual(expected([1, -2, 3], [2, 0, 4], 0.1, 0.5))
  expect(bias).toEqual(expected([0.5], [1], 0.5, 0))
  expect(table.subarray(2)).toEqual(expected([3, 4], [2, 0], 0.1, 0.5))
  expect(optimizer.table('table').subarray(0, 2)).toEqual(Float32Array.of(0.95, 1.9))
})

test.each([Number.NaN, Number.POSITIVE_INFINITY])('a gradient of %f changes nothing', (fault) => {
  const { matrix, bias, optimizer } = make()
  expect(optimizer.update(gradients([2, 0, 4], [1]), rows([fault, 0]), 0.1, 1)).not.toBeLessThan(
    Number.POSITIVE_INFINITY,
  )
  expect([...matrix, ...bias, ...optimizer.table('table')]).toEqual([1, -2, 3, 0.5, 1, 2, 3, 4])
  expect(optimizer.step).toBe(0)
})
