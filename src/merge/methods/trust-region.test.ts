import { describe, expect, it } from 'vitest'
import { mergeTensors } from '../merge-tensors.ts'
import { expo } from './expo.ts'
import { trustRegion } from './trust-region.ts'

const base = [1, 1, 1, 1]
const models = [
  [2, 4, 1, 1.5],
  [1, 3, 2, 1.5],
  [1, 1, 1, 1.5],
]

describe('trust region', () => {
  it('leaves the elements of the largest disturbance at the base', async () => {
    // disturbances (0, 2 * 3 * 2, 0, 6 * .25): the second is dropped first, then the fourth
    const merged = async (quantile: number, lambda = 1) =>
      Array.from(await mergeTensors({ method: trustRegion({ quantile, lambda }), base, models }))
    expect(await merged(1)).toEqual([2, 6, 2, 2.5])
    expect(await merged(0.75)).toEqual([2, 1, 2, 2.5])
    expect(await merged(0.5, 0.5)).toEqual([1.5, 1, 1.5, 1])
    expect(await merged(0)).toEqual(base)
  })

  it('of equal disturbances at the quantile keeps all', async () => {
    const received = await mergeTensors({
      method: trustRegion({ quantile: 0.5 }),
      base: [0, 0],
      models: [
        [1, 1],
        [1, 1],
      ],
    })
    expect(Array.from(received)).toEqual([2, 2])
  })
})

describe('ExPO', () => {
  it('goes on beyond the model', async () => {
    expect(Array.from(await mergeTensors({ method: expo({ alpha: 0.5 }), base, models: [models[0]!] }))).toEqual([
      2.5, 5.5, 1, 1.75,
    ])
  })
})
