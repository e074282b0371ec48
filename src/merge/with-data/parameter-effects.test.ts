import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  gradientEffects,
  interventionEffects,
  keepTop,
  type Landscape,
  type Part,
  partEffects,
  partsOf,
} from './parameter-effects.ts'

const named = (...values: number[]) => new Map([['w', Float64Array.from(values)]])
const elements = (count: number): Part[] =>
  Array.from({ length: count }, (_, i) => ({ name: 'w', start: i, end: i + 1 }))

/** .5 (a^2 + 3 b^2) + a b */
const quadratic: Landscape = {
  async loss(weights) {
    const [a, b] = weights.get('w')! as unknown as [number, number]
    return 0.5 * (a * a + 3 * b * b) + a * b
  },
  async gradient(weights) {
    const [a, b] = weights.get('w')! as unknown as [number, number]
    return named(a + b, 3 * b + a)
  },
}

describe('effects of parts of a change', () => {
  it('are minus gradient times change to the first order', async () => {
    const gradient = [0.5, 1, -4]
    const linear: Landscape = {
      loss: async (weights) => weights.get('w')!.reduce((sum, x, i) => sum + gradient[i]! * x, 0),
      gradient: async () => named(...gradient),
    }
    const [base, model] = [named(0, 0, 0), named(0.4, -0.2, 0.1)]
    const effects = partEffects(await gradientEffects(linear, base, model, [1]), elements(3))
    for (const [i, effect] of [-0.2, 0.2, 0.4].entries()) expect(effects[i]).toBeCloseTo(effect, 6)
    const exact = await interventionEffects(linear, base, model, elements(3))
    for (const [i, effect] of exact.entries()) expect(effect).toBeCloseTo(effects[i]!, 6)
  })

  it('of a quadratic loss are exact by the gradient in the middle', async () => {
    const [model, base] = [named(1, 0.5), named(0.5, 0.75)]
    const exact = await interventionEffects(quadratic, base, model, elements(2))
    expect([...exact]).toEqual([-0.625, 0.71875])
    const first = partEffects(await gradientEffects(quadratic, base, model, [1]), elements(2))
    expect([...first]).toEqual([-0.75, 0.625])
    // Removing one coordinate alone: the base is the model but for it.
    const middle = async (own: Map<string, Float64Array>, i: number) =>
      partEffects(await gradientEffects(quadratic, own, model, [0.5]), elements(2))[i]
    expect(await middle(named(0.5, 0.5), 0)).toBe(-0.625)
    expect(await middle(named(1, 0.75), 1)).toBe(0.71875)
    // Along the path of both, the effects add up to that of removing both: -0.03125.
    const path = partEffects(await gradientEffects(quadratic, base, model, [0, 0.25, 0.5, 0.75, 1]), elements(2))
    expect(path[0]! + path[1]!).toBeCloseTo(-0.03125, 6)
  })

  it('are summed over rows and tensors', async () => {
    const shapes = new Map([
      ['w', [2, 2]],
      ['b', [3]],
    ])
    expect(partsOf(shapes, 'row')).toEqual([
      { name: 'w', start: 0, end: 2 },
      { name: 'w', start: 2, end: 4 },
      { name: 'b', start: 0, end: 3 },
    ])
    expect(partsOf(shapes, 'tensor').length).toBe(2)
    const effects = new Map([
      ['w', Float64Array.of(1, 2, 3, 4)],
      ['b', Float64Array.of(1, 0, -1)],
    ])
    expect([...partEffects(effects, partsOf(shapes, 'row'))]).toEqual([3, 7, 0])
  })
})

describe('keeping the greatest', () => {
  it('keeps exactly the share asked for, the greatest scores, and of equal ones those that changed most', () => {
    const scores = new Map([
      ['a', [0, 0, 3, 0]],
      ['b', [1, 0]],
    ])
    const sizes = new Map([
      ['a', [0.1, -0.4, 0, 0.2]],
      ['b', [0, 0.3]],
    ])
    const kept = (density: number) =>
      Object.fromEntries(Array.from(keepTop(scores, sizes, density), ([n, m]) => [n, [...m]]))
    expect(kept(2 / 6)).toEqual({ a: [0, 0, 1, 0], b: [1, 0] })
    expect(kept(4 / 6)).toEqual({ a: [0, 1, 1, 0], b: [1, 1] })
    expect(kept(0)).toEqual({ a: [0, 0, 0, 0], b: [0, 0] })
    expect(kept(1)).toEqual({ a: [1, 1, 1, 1], b: [1, 1] })
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 0, max: 30 }),
        (list, k) => {
          const count = Math.min(k, list.length)
          const mask = keepTop(new Map([['x', list]]), new Map([['x', list]]), count / list.length).get('x')!
          const [inside, outside] = [list.filter((_, i) => mask[i] === 1), list.filter((_, i) => mask[i] === 0)]
          expect(inside.length).toBe(count)
          expect(Math.min(...inside, 9)).toBeGreaterThanOrEqual(Math.max(...outside, 0))
        },
      ),
    )
  })
})
