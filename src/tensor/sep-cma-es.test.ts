import { describe, expect, it } from 'vitest'
import { random } from './random.ts'
import { maximize } from './sep-cma-es.ts'

describe('separable CMA-ES', () => {
  it('finds the top of a badly scaled hill', async () => {
    const target = Float64Array.from({ length: 10 }, (_, j) => random(1).normal(j))
    const hill = (point: Float64Array) => -point.reduce((sum, x, j) => sum + 10 ** (j / 3) * (x - target[j]!) ** 2, 0)
    const { mean, evaluations } = await maximize(hill, { start: new Float64Array(10), step: 0.5, evaluations: 4000 })
    for (const [j, x] of mean.entries()) expect(x).toBeCloseTo(target[j]!, 3)
    expect(evaluations).toBeLessThanOrEqual(4000)
  })

  it('moves its mean towards the top although values are noisy', async () => {
    const noise = random('noise')
    let call = 0
    const noisy = (point: Float64Array) =>
      -point.reduce((sum, x) => sum + (x - 1) ** 2, 0) + 0.05 * noise.normal(call++)
    const { mean } = await maximize(noisy, { start: [0.5, 0.5, 0.5, 0.5], evaluations: 600 })
    for (const x of mean) expect(Math.abs(x - 1)).toBeLessThan(0.25)
  })

  it('gives the same for the same seed, and stays at the start without evaluations', async () => {
    const run = (seed: number) => maximize(([x]) => -((x! - 3) ** 2), { start: [0], evaluations: 60, seed })
    expect(await run(1)).toEqual(await run(1))
    expect((await run(2)).mean).not.toEqual((await run(1)).mean)
    expect(Array.from((await maximize(() => 0, { start: [7], evaluations: 0 })).mean)).toEqual([7])
  })
})
