/** NearSwap (alchemonaut, 2024): the second model's weights are taken where they are near the base's. */
import { defineMergeMethod, positive, shared } from '../merge-method.ts'

/**
 * Moves each weight of the base towards the other model by the share min(1, t / |difference|): wholly where they differ by at most `t`,
 * by at most `t` everywhere.
 *
 * `t` is required, in units of the weights; 0.0001 is usual.
 * @example
 * await merge(['b'], { base: 'a', method: nearswap({ t: 0.0001 }), out: 'merged' })
 */
export const nearswap = defineMergeMethod({
  info: {
    name: 'nearswap',
    summary: 'Takes over weights of a second model where they are close to the base; a gentle blend.',
    source: 'alchemonaut, "QuartetAnemoi-70B-t0.0001", 2024',
    status: 'works',
  },
  base: 'required',
  models: { least: 1, most: 1 },
  options: { t: shared(positive) },
  merge(task, { t }) {
    for (const block of task.blocks()) {
      const base = block.base()
      const delta = block.delta(0)
      for (let i = 0; i < block.length; i++)
        delta[i] = base[i]! + Math.min(1, t / Math.max(Math.abs(delta[i]!), 1e-6)) * delta[i]!
      block.write(delta)
    }
  },
})
