import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { fromFloat64, toFloat64 } from './dtypes.ts'
import { type MergeDtype, MergeKernels, randomKey } from './merge-kernels.ts'
import { random } from './random.ts'

let k: MergeKernels
beforeAll(async () => {
  k = await MergeKernels.open(1 << 26)
})

const doubles = (name: string, values: ArrayLike<number>): Float64Array => {
  const array = k.doubles(name, values.length)
  array.set(values)
  return array
}

const anyDouble = fc.oneof(
  fc.double(),
  fc.double({ min: -4, max: 4 }),
  fc.double({ min: -1e-7, max: 1e-7 }),
  fc.float().map((x) => x),
  fc.integer({ min: -70000, max: 70000 }),
  fc.constantFrom(0, -0, 65519.999, 65520, 3.3895e38, 6e-8, 2.98e-8, Number.NaN, Number.POSITIVE_INFINITY),
)

describe('conversion', () => {
  const types: MergeDtype[] = ['F64', 'F32', 'F16', 'BF16']
  for (const dtype of types) {
    it(`encodes and decodes ${dtype} like the plain conversion`, () => {
      fc.assert(
        fc.property(fc.array(anyDouble, { minLength: 1, maxLength: 37 }), (values) => {
          const source = doubles('in', values)
          const expected = fromFloat64(source.slice(), dtype)
          const bytes = k.bytes('raw', expected.length)
          k.encode(source, dtype, bytes)
          const back = k.doubles('back', values.length)
          k.decode(bytes, dtype, back)
          // NaN may differ in its payload, not in being NaN.
          expect(Array.from(back)).toEqual(Array.from(toFloat64(expected, dtype)))
          const sum = doubles(
            'sum',
            values.map((_, i) => i),
          )
          k.addScaledStored(sum, bytes, dtype, 0.5)
          expect(Array.from(sum)).toEqual(values.map((_, i) => i + 0.5 * back[i]!))
        }),
        { numRuns: 300 },
      )
    })
  }

  it('decodes every half and every bfloat16', () => {
    for (const dtype of ['F16', 'BF16'] as const) {
      const codes = Uint16Array.from({ length: 65536 }, (_, i) => i)
      const bytes = k.bytes('all', 131072)
      bytes.set(new Uint8Array(codes.buffer))
      const values = k.doubles('values', 65536)
      k.decode(bytes, dtype, values)
      const expected = toFloat64(new Uint8Array(codes.buffer), dtype)
      expect(values.every((value, i) => Object.is(value, expected[i]))).toBe(true)
    }
  })
})

describe('selection', () => {
  it('counts magnitudes in two halves and keeps exactly the largest', () => {
    const values = Float64Array.from({ length: 5000 }, (_, i) => Math.fround(random(1, 'v').normal(i)))
    values.fill(0.25, 100, 140)
    values.fill(-0.25, 200, 210)
    const x = doubles('x', values)
    const counters = k.words('counters', 32768)
    counters.fill(0)
    k.countHigh(x, counters)
    expect(counters.reduce((a, b) => a + b)).toBe(5000)
    const bits = new Uint32Array(Float32Array.of(0.25).buffer)[0]!
    const low = k.words('low', 65536)
    low.fill(0)
    k.countLow(x, bits >>> 16, low)
    expect(low[bits & 0xffff]).toBe(50)
    const used = k.keepLargest(x, bits, 45)
    expect(used).toBe(45)
    expect(Array.from(x)).toEqual(
      Array.from(values, (value, i) => (Math.abs(value) > 0.25 || (Math.abs(value) === 0.25 && i < 205) ? value : 0)),
    )
    const y = doubles('y', values)
    expect(k.dropLargest(y, bits, 3)).toBe(3)
    expect(Array.from(y)).toEqual(
      Array.from(values, (value, i) => (Math.abs(value) < 0.25 || (Math.abs(value) === 0.25 && i >= 103) ? value : 0)),
    )
  })

  it('ranks magnitudes, equal ones by index', () => {
    fc.assert(
      fc.property(fc.array(fc.float({ noNaN: true }), { minLength: 1, maxLength: 300 }), (values) => {
        const x = doubles('x', values)
        const ranks = k.words('ranks', values.length)
        k.rankMagnitudes(x, ranks)
        const order = values.map((_, i) => i).sort((a, b) => Math.abs(values[a]!) - Math.abs(values[b]!) || a - b)
        const expected = new Array<number>(values.length)
        for (const [rank, i] of order.entries()) expected[i] = rank
        expect(Array.from(ranks)).toEqual(expected)
      }),
    )
  })
})

describe('random words', () => {
  it('are those of random()', () => {
    const words = k.words('random', 1003)
    k.fillRandom(words, randomKey(7, 'dare', 'layer.weight', 2), 4096)
    const r = random(7, 'dare', 'layer.weight', 2)
    expect(Array.from(words)).toEqual(Array.from(words, (_, i) => r.uint32(4096 + i)))
  })

  it('keep the asked share', () => {
    const words = k.words('random', 100_000)
    k.fillRandom(words, randomKey(1), 0)
    const x = k.doubles('x', 100_000).fill(1)
    k.keepBelow(x, words, 0.3)
    expect(x.reduce((a, b) => a + b) / 100_000).toBeCloseTo(0.3, 2)
  })
})

describe('arithmetic', () => {
  it('agrees with plain loops', () => {
    const n = 1001
    const normal = (name: string) => Float64Array.from({ length: n }, (_, i) => random(name).normal(i))
    const [a, b, e] = [doubles('a', normal('a')), doubles('b', normal('b')), doubles('e', normal('e'))]
    expect(k.dot(a, b)).toBeCloseTo(
      a.reduce((sum, value, i) => sum + value * b[i]!, 0),
      9,
    )
    expect(k.sumMagnitudes(a)).toBeCloseTo(
      a.reduce((sum, value) => sum + Math.abs(value), 0),
      9,
    )
    expect(k.findNonFinite(a)).toBe(-1)
    const difference = k.doubles('difference', n)
    k.subtract(difference, a, b)
    expect(Array.from(difference)).toEqual(Array.from(a, (value, i) => value - b[i]!))
    const [sum, weights] = [doubles('sum', new Float64Array(n)), doubles('weights', new Float64Array(n))]
    b[3] = 0
    e[4] = 0
    k.addAgreeing(sum, weights, e, b, 0.5)
    const agrees = Array.from(b, (value, i) => value !== 0 && value > 0 === e[i]! >= 0)
    expect(Array.from(sum)).toEqual(Array.from(b, (value, i) => (agrees[i] ? value : 0)))
    expect(Array.from(weights)).toEqual(agrees.map((yes) => (yes ? 0.5 : 0)))
    const target = k.doubles('target', n)
    k.addQuotient(target, a, sum, weights, 2)
    expect(Array.from(target)).toEqual(Array.from(a, (value, i) => value + (2 * sum[i]!) / (weights[i] || 1)))
    a[n - 1] = Number.NaN
    a[700] = Number.NEGATIVE_INFINITY
    expect(k.findNonFinite(a)).toBe(700)
  })
})
