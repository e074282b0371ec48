import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { adamWDefaults, adamWUpdate, checkAdamW, clipFactor, squaredNorm, updateFactors } from './adamw.ts'
import { type AdamWKernel, plainAdamW, simdAdamW } from './adamw-kernel.ts'
import { RowSparseAdamW } from './row-sparse-adamw.ts'

interface Tensors {
  dense: number[]
  bias: number[]
  table: number[]
}
interface Fixture {
  rates: number[]
  limit: number
  decay: number
  start: Tensors
  steps: (Tensors & { ids: number[]; norm: number; after?: Tensors })[]
}
const fixture = JSON.parse(
  readFileSync(new URL('../../test/fixtures/adamw/adamw.json', import.meta.url), 'utf8'),
) as Fixture

/** Largest difference, relative to the tensor's largest value. */
function difference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let most = 0
  let scale = 0
  for (let i = 0; i < expected.length; i++) {
    most = Math.max(most, Math.abs(actual[i]! - expected[i]!))
    scale = Math.max(scale, Math.abs(expected[i]!))
  }
  expect(actual.length).toBe(expected.length)
  return most / scale
}

describe('AdamW', () => {
  test.each([
    ['plain loop', async () => plainAdamW],
    ['SIMD kernel', () => simdAdamW([15, 7])],
  ])('%s and row-sparse updates match PyTorch over 40 clipped steps', async (_, make) => {
    const kernel: AdamWKernel = await make()
    const dense = Float32Array.from(fixture.start.dense)
    const bias = Float32Array.from(fixture.start.bias)
    const table = Float32Array.from(fixture.start.table)
    const decayed = { ...adamWDefaults, weightDecay: fixture.decay }
    const kept = { ...adamWDefaults, weightDecay: 0 }
    const moments = [15, 15, 7, 7].map((length) => kernel.moments(length))
    const sparse = new RowSparseAdamW(table, 4, decayed)
    let compared = 0
    for (const [t, step] of fixture.steps.entries()) {
      const gradients = [step.dense, step.bias, step.table].map((values) => Float32Array.from(values))
      const norm = Math.sqrt(gradients.reduce((sum, gradient) => sum + squaredNorm(gradient), 0))
      expect(Math.abs(norm / step.norm - 1)).toBeLessThan(1e-6)
      const scale = clipFactor(norm, fixture.limit)
      kernel.update(
        dense,
        gradients[0]!,
        moments[0]!,
        moments[1]!,
        updateFactors(decayed, t + 1, fixture.rates[t]!, scale),
      )
      kernel.update(bias, gradients[1]!, moments[2]!, moments[3]!, updateFactors(kept, t + 1, fixture.rates[t]!, scale))
      sparse.update(step.ids, gradients[2]!, fixture.rates[t]!, scale)
      if (!step.after) continue
      compared++
      expect(difference(dense, step.after.dense)).toBeLessThan(1e-6)
      expect(difference(bias, step.after.bias)).toBeLessThan(1e-6)
      expect(difference(sparse.current(), step.after.table)).toBeLessThan(1e-6)
    }
    expect(compared).toBe(3)
  })

  test('the SIMD kernel agrees with the plain loop over several blocks and an odd tail', async () => {
    const length = 40_003
    const simd = await simdAdamW([5, length])
    simd.moments(5)
    simd.moments(5)
    const start = Float32Array.from({ length }, (_, i) => Math.sin(i))
    const gradient = Float32Array.from({ length }, (_, i) => Math.cos(i * 1.7) * 1e-2)
    const run = (kernel: AdamWKernel) => {
      const weights = start.slice()
      const first = kernel.moments(length)
      const second = kernel.moments(length)
      for (let t = 1; t <= 3; t++)
        kernel.update(weights, gradient, first, second, updateFactors(adamWDefaults, t, 1e-2, 0.5))
      return weights
    }
    expect(difference(run(simd), run(plainAdamW))).toBeLessThan(1e-6)
  })

  test('the clipping factor never enlarges a gradient', () => {
    expect(clipFactor(0.5, 1)).toBe(1)
    expect(clipFactor(4, 1)).toBeCloseTo(0.25, 6)
    expect(clipFactor(4, 0)).toBe(1)
  })

  test('options out of range are refused by name', () => {
    expect(() => checkAdamW({ ...adamWDefaults, beta2: 1 })).toThrow(/beta2/)
    expect(() => checkAdamW({ ...adamWDefaults, weightDecay: Number.NaN })).toThrow(/weightDecay/)
    expect(() => checkAdamW(adamWDefaults)).not.toThrow()
  })
})

describe('row-sparse AdamW', () => {
  const options = { ...adamWDefaults, weightDecay: 0.05 }
  /** Gradients of very different sizes, sleeps of up to 300 steps. */
  function compare(steps: number, touch: (t: number) => number[]) {
    const width = 5
    const rows = 4
    const start = Float32Array.from({ length: rows * width }, (_, i) => Math.sin(i + 1))
    // The dense run in double precision: 700 roundings of its own would hide the difference that is looked for.
    const doubles = (values: ArrayLike<number>) => Float64Array.from(values) as unknown as Float32Array
    const dense = doubles(start)
    const first = doubles(dense).fill(0)
    const second = first.slice()
    const sparse = new RowSparseAdamW(start.slice(), width, options)
    for (let t = 1; t <= steps; t++) {
      const rate = 1e-3 * (1 - t / (2 * steps))
      const ids = touch(t)
      const gradient = Float32Array.from(
        { length: ids.length * width },
        (_, i) => Math.cos(t * 31 + i) * 10 ** -(i % 5),
      )
      const whole = new Float32Array(dense.length)
      for (const [k, id] of ids.entries()) whole.set(gradient.subarray(k * width, (k + 1) * width), id * width)
      adamWUpdate(dense, whole, first, second, updateFactors(options, t, rate))
      sparse.update(ids, gradient, rate)
    }
    return { dense, sparse }
  }

  test('equals dense AdamW whatever the gaps between touches', () => {
    const { dense, sparse } = compare(700, (t) => [0, ...(t % 7 === 0 ? [1] : []), ...(t % 300 === 1 ? [2] : [])])
    expect(difference(sparse.current(), dense)).toBeLessThan(1e-6)
  })

  test('gather shows the present rows and changes nothing', () => {
    const { dense, sparse } = compare(20, (t) => (t < 9 ? [1, 3] : [0]))
    const rows = new Float32Array(10)
    sparse.gather([3, 1], rows)
    expect(difference(rows.subarray(0, 5), dense.subarray(15, 20))).toBeLessThan(1e-6)
    const again = new Float32Array(10)
    sparse.gather([3, 1], again)
    expect(again).toEqual(rows)
    expect([...sparse.last]).toEqual([20, 8, 0, 8])
  })

  test('a restored state goes on bit-identically', () => {
    const { sparse } = compare(30, (t) => (t % 4 === 0 ? [2] : [1]))
    const saved = {
      weights: Float32Array.from(sparse.weights),
      first: sparse.first.slice(),
      second: sparse.second.slice(),
    }
    const copy = new RowSparseAdamW(saved.weights, 5, options)
    copy.restore(saved.first, saved.second, sparse.last.slice(), sparse.rates)
    const gradient = Float32Array.from({ length: 10 }, (_, i) => Math.sin(i))
    for (const each of [sparse, copy]) each.update([2, 3], gradient, 1e-3, 0.5)
    expect(copy.current()).toEqual(sparse.current())
  })
})
