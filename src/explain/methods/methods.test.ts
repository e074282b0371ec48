import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { random } from '../../tensor/random.ts'
import { ridgeRegression, solvePositive } from '../least-squares.ts'
import { gaussPoints, midpoints, pathIntegral } from '../path-integral.ts'
import { rollout } from './attention-rollout.ts'
import { coalitions, shapleyKernel, shapleyValues } from './kernel-shap.ts'
import { limeMasks, limeWeight } from './lime.ts'

/** Shapley values by their definition: mean gains over all subsets. */
function bruteForce(count: number, f: (keep: Uint8Array) => number): number[] {
  const factorial = (n: number): number => (n <= 1 ? 1 : n * factorial(n - 1))
  const maskOf = (bits: number) => Uint8Array.from({ length: count }, (_, i) => (bits >> i) & 1)
  return Array.from({ length: count }, (_, i) => {
    let value = 0
    for (let bits = 0; bits < 2 ** count; bits++) {
      if ((bits >> i) & 1) continue
      const size = maskOf(bits).reduce((sum, one) => sum + one, 0)
      const share = (factorial(size) * factorial(count - size - 1)) / factorial(count)
      value += share * (f(maskOf(bits | (1 << i))) - f(maskOf(bits)))
    }
    return value
  })
}

function kernelValues(count: number, samples: number, f: (keep: Uint8Array) => number, seed = 0): Float64Array {
  const drawn = coalitions(count, samples, seed)
  const base = f(new Uint8Array(count))
  return shapleyValues(drawn, drawn.masks.map(f), base, f(new Uint8Array(count).fill(1)), count)
}

describe('kernel-shap', () => {
  test('the kernel of three tokens is one third for sizes one and two', () => {
    expect(shapleyKernel(3, 1)).toBeCloseTo(1 / 3, 12)
    expect(shapleyKernel(3, 2)).toBeCloseTo(1 / 3, 12)
  })

  test('x1 x2 + 2 x3 at (1, 1, 1) gives 0.5, 0.5, 2', () => {
    const values = kernelValues(3, 100, ([a, b, c]) => a! * b! + 2 * c!)
    for (const [i, expected] of [0.5, 0.5, 2].entries()) expect(values[i]).toBeCloseTo(expected, 10)
  })

  test('equals the definition where every coalition is scored', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 7 }), fc.integer(), (count, seed) => {
        const r = random(seed, 'game')
        const f = (keep: Uint8Array) => r.normal(keep.reduce((bits, one, i) => bits + one * 2 ** i, 0))
        const values = kernelValues(count, 2 ** count, f)
        for (const [i, expected] of bruteForce(count, f).entries()) expect(values[i]).toBeCloseTo(expected, 8)
      }),
      { numRuns: 40 },
    )
  })

  test('all coalitions within the budget, each once; else pairs, without repeats of the full sizes', () => {
    const few = coalitions(11, 2048 + 22, 0)
    expect(few.complete).toBe(true)
    expect(new Set(few.masks.map((keep) => keep.join(''))).size).toBe(2 ** 11 - 2)
    const many = coalitions(20, 2088, 0)
    expect(many.complete).toBe(false)
    expect(many.masks.length).toBeLessThanOrEqual(2088 + 2)
    for (let i = 0; i < many.masks.length; i += 2)
      expect(many.masks[i]!.map((one, k) => one + many.masks[i + 1]![k]!).every((sum) => sum === 1)).toBe(true)
    const total = (list: readonly number[]) => list.reduce((sum, weight) => sum + weight, 0)
    const exact = total(Array.from({ length: 19 }, (_, i) => 19 / ((i + 1) * (19 - i))))
    expect(total(many.weights)).toBeCloseTo(exact, 9)
  })

  test('sampled values come near the exact ones and sum exactly', () => {
    const count = 14
    const r = random(3, 'weights')
    const f = (keep: Uint8Array) => {
      let sum = 0
      for (let i = 0; i < count; i++)
        sum += keep[i]! * r.normal(i) + keep[i]! * keep[(i + 1) % count]! * r.normal(100 + i)
      return sum
    }
    // A pair's product is shared equally by its two.
    const exact = Array.from(
      { length: count },
      (_, i) => r.normal(i) + (r.normal(100 + i) + r.normal(100 + ((i + count - 1) % count))) / 2,
    )
    const values = kernelValues(count, 3000, f, 1)
    for (const [i, expected] of exact.entries()) expect(Math.abs(values[i]! - expected)).toBeLessThan(0.1)
    expect(values.reduce((sum, value) => sum + value, 0)).toBeCloseTo(f(new Uint8Array(count).fill(1)), 9)
  })
})

describe('lime', () => {
  test('weights fall with the cosine distance', () => {
    expect(limeWeight(4, 4, 0.25)).toBe(1)
    expect(limeWeight(1, 4, 0.25)).toBeCloseTo(Math.exp(-(0.5 ** 2) / 0.25 ** 2), 12)
    expect(limeWeight(0, 4, 0.25)).toBeCloseTo(Math.exp(-16), 12)
  })

  test('masks begin with the whole text and lack one to all tokens, all numbers alike', () => {
    const masks = limeMasks(5, 2001, 7)
    expect(masks[0]).toEqual(new Uint8Array(5).fill(1))
    const counts = new Array<number>(6).fill(0)
    for (const keep of masks.slice(1)) counts[5 - keep.reduce((sum, one) => sum + one, 0)]!++
    expect(counts[0]).toBe(0)
    for (const count of counts.slice(1)) expect(Math.abs(count - 400)).toBeLessThan(80)
    expect(limeMasks(5, 20, 7)).toEqual(masks.slice(0, 20))
  })

  test('a score that is linear in the tokens gives its coefficients back', () => {
    const masks = limeMasks(6, 500, 0)
    const truth = [1, -2, 0, 3, 0.5, -0.25]
    const y = masks.map((keep) => 4 + truth.reduce((sum, value, i) => sum + value * keep[i]!, 0))
    const weights = masks.map((keep) =>
      limeWeight(
        keep.reduce((sum, one) => sum + one, 0),
        6,
        0.25,
      ),
    )
    const { coefficients, intercept, r2 } = ridgeRegression(masks, y, weights, 0)
    for (const [i, value] of truth.entries()) expect(coefficients[i]).toBeCloseTo(value, 8)
    expect(intercept).toBeCloseTo(4, 8)
    expect(r2).toBeCloseTo(1, 10)
    expect(Math.abs(ridgeRegression(masks, y, weights, 1).coefficients[3]!)).toBeLessThan(3)
  })
})

test('ridge regression of two points: slope 1 / (1 + 2 ridge)', () => {
  const { coefficients, intercept } = ridgeRegression([[0], [1]], [0, 1], [1, 1], 0.5)
  expect(coefficients[0]).toBeCloseTo(0.5, 12)
  expect(intercept).toBeCloseTo(0.25, 12)
})

test('solvePositive solves', () => {
  expect([...solvePositive(Float64Array.of(4, 2, 2, 3), Float64Array.of(10, 9))].map((x) => +x.toFixed(12))).toEqual([
    1.5, 2,
  ])
})

describe('path integral', () => {
  const square = async (alphas: readonly number[]) => alphas.map((alpha) => [2 * 3 * alpha])
  test('of x^2 at 3: 9 exactly from midpoints, 9.09 from a hundred right ends', async () => {
    for (const steps of [1, 2, 7])
      expect((await pathIntegral([3], [0], midpoints(steps), square))[0]).toBeCloseTo(9, 12)
    expect((await pathIntegral([3], [0], gaussPoints(2), square))[0]).toBeCloseTo(9, 12)
    const cubes = async (alphas: readonly number[]) => alphas.map((alpha) => [4 * (3 * alpha) ** 3])
    expect((await pathIntegral([3], [0], gaussPoints(1), cubes))[0]).toBeCloseTo(81, 10)
    const ends = Array.from({ length: 100 }, (_, k) => (k + 1) / 100)
    expect((await pathIntegral([3], [0], ends, square))[0]).toBeCloseTo(9.09, 12)
  })
})

test('rollout of two equal layers', () => {
  const layer = [0.5, 0.5, 0.2, 0.8]
  const product = rollout([layer, layer], 2)
  for (const [i, value] of [0.5875, 0.4125, 0.165, 0.835].entries()) expect(product[i]).toBeCloseTo(value, 12)
  // A last layer with one query gives the first row alone.
  const first = rollout([layer, layer.slice(0, 2)], 2)
  expect([...first].map((x) => +x.toFixed(12))).toEqual([0.5875, 0.4125])
})
