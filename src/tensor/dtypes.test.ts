import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Dtype,
  dtypes,
  elementCount,
  fromFloat32,
  fromFloat64,
  tensorBytes,
  toFloat32,
  toFloat64,
} from './dtypes.ts'

const shortFloats = ['F16', 'BF16', 'F8_E4M3', 'F8_E5M2', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ'] as const
type ShortFloat = (typeof shortFloats)[number]

/** The bytes of every code of a short format, in order. */
function everyCode(dtype: ShortFloat): Uint8Array {
  if (dtypes[dtype].bits === 8) return Uint8Array.from({ length: 256 }, (_, i) => i)
  return new Uint8Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer)
}

function codes(bytes: Uint8Array, dtype: ShortFloat): number[] {
  return [...(dtypes[dtype].bits === 8 ? bytes : new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2))]
}

const next = (value: number, direction: 1 | -1): number => {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, value)
  view.setBigInt64(0, view.getBigInt64(0) + BigInt(value > 0 ? direction : -direction))
  return view.getFloat64(0)
}

describe.each(shortFloats)('%s', (dtype) => {
  const values = toFloat64(everyCode(dtype), dtype)
  const back32 = codes(fromFloat32(Float32Array.from(values), dtype), dtype)
  const back64 = codes(fromFloat64(values, dtype), dtype)

  test('every pattern survives the way to float32 or float64 and back', () => {
    for (let code = 0; code < values.length; code++) {
      if (Number.isNaN(values[code]!)) {
        expect(values[back32[code]!]).toBeNaN()
        expect(values[back64[code]!]).toBeNaN()
      } else if (back32[code] !== code || back64[code] !== code)
        throw new Error(`${code}: ${back32[code]} ${back64[code]}`)
    }
  })

  test('between any two neighbours: the nearer one, and the even one at the middle', () => {
    const order = [...values.keys()].filter(
      (code) => values[code]! >= 0 && !Object.is(values[code], -0) && Number.isFinite(values[code]),
    )
    order.sort((a, b) => values[a]! - values[b]!)
    const inputs: number[] = []
    const expected: number[] = []
    for (let i = 0; i + 1 < order.length; i++) {
      const [below, above] = [order[i]!, order[i + 1]!]
      const middle = (values[below]! + values[above]!) / 2
      inputs.push(next(middle, -1), middle, next(middle, 1))
      expected.push(below, below % 2 === 0 ? below : above, above)
    }
    expect(codes(fromFloat64(Float64Array.from(inputs), dtype), dtype)).toEqual(expected)
    const middles = inputs.filter((_, i) => i % 3 === 1)
    expect(codes(fromFloat32(Float32Array.from(middles), dtype), dtype)).toEqual(expected.filter((_, i) => i % 3 === 1))
    const negative = codes(
      fromFloat64(
        Float64Array.from(inputs, (x) => -x),
        dtype,
      ),
      dtype,
    )
    const half = values.length / 2
    expect(negative).toEqual(expected.map((code) => (code === 0 && dtype.endsWith('FNUZ') ? 0 : code + half)))
  })

  test('too large, infinite, NaN and tiny', () => {
    const largest = Math.max(...values.filter(Number.isFinite))
    const hasInfinity = values.includes(Number.POSITIVE_INFINITY)
    const step = largest - Math.max(...values.filter((value) => value < largest))
    const limit = largest + step / 2 // ties to even: beyond the range, save where the largest code is even
    const read = (value: number) => toFloat64(fromFloat64(Float64Array.of(value), dtype), dtype)[0]
    const over = hasInfinity ? Number.POSITIVE_INFINITY : dtype === 'F8_E4M3' ? largest : Number.NaN
    expect(read(next(limit, -1))).toBe(largest)
    expect(read(limit)).toEqual(dtype === 'F8_E4M3' ? largest : over)
    expect(read(next(limit, 1))).toEqual(over)
    for (const huge of [1e300, 3.4e38, Number.POSITIVE_INFINITY]) {
      if (dtype === 'BF16' && huge === 3.4e38) continue
      expect(read(huge)).toEqual(over)
      expect(read(-huge)).toEqual(-over)
    }
    expect(read(Number.NaN)).toBeNaN()
    expect(read(1e-300)).toBe(0)
    expect(read(-1e-300)).toBe(dtype.endsWith('FNUZ') ? 0 : -0)
  })
})

test('known values', () => {
  const hex = (value: number, dtype: Dtype) => Buffer.from(fromFloat32(Float32Array.of(value), dtype)).toString('hex')
  expect(hex(1, 'F16')).toBe('003c')
  expect(hex(65504, 'F16')).toBe('ff7b')
  expect(hex(2 ** -24, 'F16')).toBe('0100')
  expect(hex(1, 'BF16')).toBe('803f')
  expect(hex(448, 'F8_E4M3')).toBe('7e')
  expect(hex(57344, 'F8_E5M2')).toBe('7b')
  expect(hex(240, 'F8_E4M3FNUZ')).toBe('7f')
  expect([...toFloat32(Uint8Array.of(0, 127, 254, 255), 'F8_E8M0')]).toEqual([2 ** -127, 1, 2 ** 127, Number.NaN])
})

test('float64 to bfloat16 is rounded once', () => {
  // 1 + 2^-8 is the middle of two bfloat16 values; 2^-40 more must go up, but float32 would lose it first.
  const value = 1 + 2 ** -8 + 2 ** -40
  expect(toFloat32(fromFloat64(Float64Array.of(value), 'BF16'), 'BF16')[0]).toBe(1 + 2 ** -7)
  expect(toFloat32(fromFloat32(Float32Array.of(value), 'BF16'), 'BF16')[0]).toBe(1)
})

describe('integers', () => {
  const ranges: [Dtype, bigint, bigint][] = [
    ['I8', -128n, 127n],
    ['I16', -32768n, 32767n],
    ['I32', -(2n ** 31n), 2n ** 31n - 1n],
    ['I64', -(2n ** 53n), 2n ** 53n],
    ['U8', 0n, 255n],
    ['U16', 0n, 65535n],
    ['U32', 0n, 2n ** 32n - 1n],
    ['U64', 0n, 2n ** 53n],
  ]
  test.each(ranges)('%s is exact both ways', (dtype, min, max) => {
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min, max })), (numbers) => {
        const bytes = new Uint8Array((numbers.length * dtypes[dtype].bits) / 8)
        const view = new DataView(bytes.buffer)
        numbers.forEach((value, i) => {
          for (let b = 0; b < dtypes[dtype].bits / 8; b++)
            view.setUint8((i * dtypes[dtype].bits) / 8 + b, Number((value >> BigInt(8 * b)) & 255n))
        })
        const values = toFloat64(bytes, dtype)
        expect([...values]).toEqual(numbers.map(Number))
        expect(fromFloat64(values, dtype)).toEqual(bytes)
      }),
    )
  })

  test('round half to even; refuse what does not fit', () => {
    expect([...fromFloat32(Float32Array.of(0.5, 1.5, -0.5, -1.5, 2.5, 2.4999), 'I8')]).toEqual([0, 2, 0, 254, 2, 2])
    for (const [value, dtype] of [
      [128, 'I8'],
      [-1, 'U8'],
      [Number.NaN, 'I32'],
      [1e30, 'I64'],
      [-129, 'I8'],
    ] as const)
      expect(() => fromFloat32(Float32Array.of(value), dtype)).toThrow(expect.objectContaining({ code: 'VALUE_RANGE' }))
  })

  test('BOOL', () => {
    expect([...fromFloat32(Float32Array.of(0, 1, -2, -0), 'BOOL')]).toEqual([0, 1, 1, 0])
    expect([...toFloat32(Uint8Array.of(0, 1), 'BOOL')]).toEqual([0, 1])
  })
})

test('unaligned bytes and given targets', () => {
  for (const dtype of ['F64', 'F32', 'F16', 'BF16', 'I64', 'I32', 'I16', 'U8', 'F8_E4M3'] as const) {
    const size = dtypes[dtype].bits / 8
    const values = Float32Array.of(
      1,
      2,
      -3 * (dtype === 'U8' ? -1 : 1),
      0.5 * (dtype[0] === 'F' || dtype === 'BF16' ? 1 : 2),
    )
    const plain = fromFloat32(values, dtype)
    const shifted = new Uint8Array(4 * size + 1).subarray(1)
    expect(fromFloat32(values, dtype, shifted)).toBe(shifted)
    expect(Buffer.from(shifted).equals(plain)).toBe(true)
    expect(toFloat32(shifted, dtype)).toEqual(values)
    expect(toFloat64(shifted, dtype, new Float64Array(4))).toEqual(Float64Array.from(values))
    expect(toFloat32(plain, dtype, new Float32Array(4))).toEqual(values)
  }
})

test('types that hold no real numbers are refused', () => {
  for (const dtype of ['C64', 'F4', 'F6_E2M3', 'F6_E3M2'] as const) {
    expect(() => toFloat32(new Uint8Array(24), dtype)).toThrow(expect.objectContaining({ code: 'DTYPE_UNSUPPORTED' }))
    expect(() => fromFloat64(new Float64Array(3), dtype)).toThrow(
      expect.objectContaining({ code: 'DTYPE_UNSUPPORTED' }),
    )
  }
})

test('sizes', () => {
  expect(tensorBytes('BF16', [3, 4])).toBe(24)
  expect(tensorBytes('F32', [])).toBe(4)
  expect(tensorBytes('F4', [3])).toBeUndefined()
  expect(tensorBytes('F6_E2M3', [4])).toBe(3)
  expect(tensorBytes('U8', [2 ** 30, 2 ** 30])).toBeUndefined()
  expect(tensorBytes('F32', [0, 2 ** 40])).toBe(0)
  expect(elementCount([2 ** 27, 2 ** 27])).toBeUndefined()
})
