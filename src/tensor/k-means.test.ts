import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { kMeans } from './k-means.ts'
import { random } from './random.ts'

describe('k-means', () => {
  it('finds clusters that lie apart', () => {
    const noise = random(1)
    const points = Array.from({ length: 60 }, (_, i) => [10 * (i % 3) + noise.normal(2 * i), noise.normal(2 * i + 1)])
    const { clusters } = kMeans(points, 3)
    expect([...clusters]).toEqual(points.map((_, i) => i % 3))
  })

  it('leaves no cluster empty, and is least spread with one cluster a point', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: -3, max: 3 }), fc.integer({ min: -3, max: 3 })), {
          minLength: 1,
          maxLength: 12,
        }),
        (points) => {
          for (let k = 1; k <= points.length; k++)
            expect(new Set(kMeans(points, k, { restarts: 3 }).clusters).size).toBe(k)
          expect(kMeans(points, points.length).spread).toBe(0)
        },
      ),
      { numRuns: 40 },
    )
  })

  it('gives the same for the same seed, and refuses impossible counts', () => {
    const points = Array.from({ length: 20 }, (_, i) => [random(2).normal(i)])
    expect(kMeans(points, 4, { seed: 3 })).toEqual(kMeans(points, 4, { seed: 3 }))
    expect(() => kMeans(points, 21)).toThrow('1 to 20')
  })
})
