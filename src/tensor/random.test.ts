import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fillNormal, fillUint32, fillUniform, permutation, philox, random } from './random.ts'

const hex = (words: Uint32Array) => [...words].map((word) => word.toString(16).padStart(8, '0')).join(' ')

describe('philox', () => {
  // The known-answer vectors that come with Random123 1.14 (tests/kat_vectors, "philox4x32 10").
  test.each([
    [[0, 0, 0, 0, 0, 0], '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    [[0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], '408f276d 41c83b0e a20bc7c6 6d5451fd'],
    [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0], 'd16cfe09 94fdcceb 5001e420 24126ea1'],
  ])('%j', (input, expected) => {
    const out = new Uint32Array(4)
    philox(out, ...(input as [number, number, number, number, number, number]))
    expect(hex(out)).toBe(expected)
  })

  test('equals a big-integer evaluation of the published rounds', () => {
    const reference = (c: bigint[], k: bigint[]) => {
      const mask = 0xffffffffn
      for (let round = 0; round < 10; round++) {
        const p0 = 0xd2511f53n * c[0]!
        const p1 = 0xcd9e8d57n * c[2]!
        c = [(p1 >> 32n) ^ c[1]! ^ k[0]!, p1 & mask, (p0 >> 32n) ^ c[3]! ^ k[1]!, p0 & mask]
        k = [(k[0]! + 0x9e3779b9n) & mask, (k[1]! + 0xbb67ae85n) & mask]
      }
      return Uint32Array.from(c, Number)
    }
    const word = fc.oneof(fc.integer({ min: 0, max: 0xffffffff }), fc.constantFrom(0, 1, 0xffff, 0x10000, 0x80000000))
    fc.assert(
      fc.property(fc.tuple(word, word, word, word, word, word), (input) => {
        const out = new Uint32Array(4)
        philox(out, ...input)
        const big = input.map(BigInt)
        expect(hex(out)).toBe(hex(reference(big.slice(0, 4), big.slice(4))))
      }),
      { numRuns: 500 },
    )
  })
})

describe('random', () => {
  test('is stable: these numbers never change', () => {
    const r = random(42, 'dropout', 7, 'encoder.layer.0')
    expect([r.uint32(0), r.uint32(1), r.uint32(5_000_000_000)]).toMatchInlineSnapshot(`
      [
        25688,
        1677529344,
        80624933,
      ]
    `)
    expect([r.normal(0), r.normal(1)]).toMatchInlineSnapshot(`
      [
        0.11406202523847925,
        -0.1637852878282326,
      ]
    `)
    expect([...permutation(8, r)]).toMatchInlineSnapshot(`
      [
        3,
        5,
        4,
        0,
        6,
        7,
        2,
        1,
      ]
    `)
  })

  test('depends on key and index only, not on the order of calls', () => {
    const indices = fc.array(fc.integer({ min: 0, max: 2 ** 40 }), { maxLength: 20 })
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.double(), fc.integer())), indices, (key, order) => {
        const a = random(...key)
        const forward = order.map((i) => [a.uint32(i), a.uniform(i), a.normal(i)])
        const backward = [...order].reverse().map((i) => {
          const b = random(...key)
          return [b.uint32(i), b.uniform(i), b.normal(i)]
        })
        expect(backward.reverse()).toEqual(forward)
      }),
    )
  })

  test('keys that differ give different numbers', () => {
    const keys: (string | number)[][] = [
      [],
      [0],
      [1],
      ['0'],
      ['', 0],
      [0, ''],
      ['a', 'b'],
      ['ab'],
      ['ab', ''],
      ['a\0b'],
    ]
    keys.push(['', ''], [''], ['12345678'], ['12345678', 0], ['1234567', '8'], [2 ** 53], [2 ** 53 - 1], [0.5], [-1])
    expect(new Set(keys.map((key) => random(...key).uint32(0))).size).toBe(keys.length)
    expect(random(-0).uint32(0)).toBe(random(0).uint32(0))
  })

  test('uniform and normal have the right moments, and their sequences are independent', () => {
    const r = random('moments')
    const n = 200_000
    let uniform = 0
    let normal = 0
    let square = 0
    let fourth = 0
    let product = 0
    for (let i = 0; i < n; i++) {
      const u = r.uniform(i)
      const z = r.normal(i)
      if (!(u >= 0 && u < 1)) throw new Error(`${u} is outside [0, 1)`)
      uniform += u / n
      normal += z / n
      square += (z * z) / n
      fourth += z ** 4 / n
      product += ((u - 0.5) * z) / n
    }
    // Five standard errors of each mean.
    expect(Math.abs(uniform - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / n))
    expect(Math.abs(normal)).toBeLessThan(5 / Math.sqrt(n))
    expect(Math.abs(square - 1)).toBeLessThan(5 * Math.sqrt(2 / n))
    expect(Math.abs(fourth - 3)).toBeLessThan(5 * Math.sqrt(96 / n))
    expect(Math.abs(product)).toBeLessThan(5 * Math.sqrt(1 / 12 / n))
  })
})

describe('fills', () => {
  const length = fc.integer({ min: 0, max: 40 })
  const first = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 2 ** 45 }))

  test('equal the numbers at their indices, from any start', () => {
    fc.assert(
      fc.property(length, first, (n, start) => {
        const r = random('fill')
        const raw = new Uint32Array(n)
        fillUint32(raw, r, start)
        expect([...raw]).toEqual(Array.from(raw, (_, i) => r.uint32(start + i)))
        const uniform = new Float32Array(n)
        fillUniform(uniform, r, -2, 6, start)
        expect([...uniform]).toEqual(
          Array.from(uniform, (_, i) => Math.fround(-2 + (r.uint32(start + i) >>> 8) / 2 ** 21)),
        )
        const normal = new Float32Array(n)
        fillNormal(normal, r, 0, 1, start)
        expect([...normal]).toEqual(Array.from(normal, (_, i) => Math.fround(r.normal(start + i))))
      }),
    )
  })

  test('mean and deviation are applied', () => {
    const r = random('fill')
    const values = new Float32Array(1000)
    fillNormal(values, r, 3, 0.02)
    expect(Math.max(...values.map((v, i) => Math.abs(v - (3 + 0.02 * r.normal(i)))))).toBeLessThan(1e-6)
  })
})

describe('permutation', () => {
  test('holds every index once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 500 }), fc.integer(), (n, seed) => {
        const order = permutation(n, random(seed))
        expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i))
      }),
    )
  })

  test('every order of four is equally likely', () => {
    const runs = 24_000
    const counts = new Map<string, number>()
    for (let seed = 0; seed < runs; seed++) {
      const order = permutation(4, random('orders', seed)).join('')
      counts.set(order, (counts.get(order) ?? 0) + 1)
    }
    expect(counts.size).toBe(24)
    const expected = runs / 24
    const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
    expect(chiSquare).toBeLessThan(58.6) // 23 degrees of freedom, p = 6e-5; the seeds are fixed
  })
})
