import { describe, expect, it } from 'vitest'
import { mergeTensors } from '../merge-tensors.ts'
import { pcbMerging } from './pcb-merging.ts'

const models = [
  [1, -2, 3, 0],
  [2, 2, -1, 1],
]
const merged = async (ratio: number, options: Parameters<typeof pcbMerging>[0] = {}) =>
  Array.from(await mergeTensors({ method: pcbMerging({ ratio, clamp: 0, ...options }), base: [0, 0, 0, 0], models }))

function close(received: readonly number[], expected: readonly number[]): void {
  for (const [i, value] of expected.entries()) expect(received[i]).toBeCloseTo(value, 6)
}

describe('PCB-Merging', () => {
  it('weights every element by its score', async () => {
    // scores (1.242673, 0, 7.388965, 0) and (7.388965, 0, -.964028, .761594), scaled to (.16818, 0, 1, 0) and (1, .115411, 0, .206587)
    close(await merged(1), [1.856033, 2, 3, 1])
    close(await merged(1, { lambda: 0.5 }), [0.9280164, 1, 1.5, 0.5])
  })

  it('keeps the share with the highest signed scores', async () => {
    close(await merged(0.5), [2, 0, 3, 0])
  })

  it('limits magnitudes to their quantiles, by the index rule of the authors: of four values the third is the largest', async () => {
    // the magnitudes of the first become (1, 2, 2, 0), those of the second stay
    const received = await merged(1, { clamp: 0.01 })
    const tanh = Math.tanh
    const [e, half] = [Math.exp(2), Math.exp(2 * 0.25)]
    const scores = [
      [half * tanh(3), 0, e * tanh(6), 0],
      [e * tanh(6), 0, tanh(-2), tanh(1)],
    ]
    const scaled = scores.map((list) => {
      const [least, most] = [Math.min(...list), Math.max(...list)]
      return list.map((x) => (x - least) / (most - least))
    })
    const limited = [
      [1, -2, 2, 0],
      [2, 2, -1, 1],
    ]
    const expected = [0, 1, 2, 3].map((i) => {
      const weights = scaled.map((list) => list[i]!)
      const total = weights[0]! + weights[1]!
      return total === 0 ? 0 : (weights[0]! * limited[0]![i]! + weights[1]! * limited[1]![i]!) / total
    })
    close(received, expected)
  })

  it('does not depend on the scale of the others with normalized agreement', async () => {
    const options = { ratio: 0.5, inter: 'normalized' as const, clamp: 0 }
    const of = async (factor: number) =>
      mergeTensors({
        method: pcbMerging(options),
        base: [0, 0, 0, 0],
        models: [models[0]!, models[1]!.map((x) => x * factor)],
        settings: [{}, { weight: 1 / factor }],
      })
    // the second model's own changes stand in its scores; the first keeps the same elements
    expect((await of(1))[2]).toBeCloseTo((await of(4))[2]!, 6)
  })

  it('leaves the base where nothing changed, and refuses quantiles that cross', async () => {
    const same = await mergeTensors({ method: pcbMerging(), base: [1, 2], models: [[1, 2]] })
    expect(Array.from(same)).toEqual([1, 2])
    expect(() => pcbMerging({ clamp: 0.5 })).toThrow('below 0.5')
  })
})
