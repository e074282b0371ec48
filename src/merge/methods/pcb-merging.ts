/**
 * PCB-Merging (Du et al., 2024): each element of each model competes, by its own size and by its agreement with the other models; the losers
 * are dropped, the winners averaged by their scores.
 */
import * as v from 'valibot'
import { orderStatistics } from '../elements/order-statistics.ts'
import { lambda, weight } from '../elements/task-vector-options.ts'
import type { Block, TensorTask } from '../engine/tensor-task.ts'
import { defineMergeMethod, share, shared } from '../merge-method.ts'

interface Bounds {
  readonly least: number
  readonly most: number
}

/** By the models' keys: the bounds of magnitudes, and of scores. */
interface Settled {
  readonly magnitudes: ReadonlyMap<string, Bounds>
  readonly scores?: ReadonlyMap<string, Bounds>
}

type Inter = 'sum' | 'normalized'

/**
 * Magnitudes of each model's changes are limited to their quantiles `clamp` and 1 - `clamp` over the whole model (default 1e-4) and scaled
 * to 0..1: N. The score of an element is exp(models N^2), times tanh of its change times `inter`: the `sum` of all models' changes there
 * (default), or the sum of their signed N (`normalized`, which does not depend on the scale of the other models). The share `ratio` of each
 * model's elements with the highest signed scores is kept (default 0.1; 0.05 to 0.2 suits), scaled to 0..1 and used as weights of a mean.
 *
 * `weight` of each model multiplies its changes (default 1), `lambda` the result (default 1; 1.2 in the authors' scripts).
 * @example
 * await merge(['a', 'b', 'c'], { base: 'base', method: pcbMerging({ ratio: 0.1 }), out: 'merged' })
 */
export const pcbMerging = defineMergeMethod({
  info: {
    name: 'pcb-merging',
    summary: 'Averages the changes that win by size and agreement with other models; without weights to choose.',
    source: 'Du et al., "Parameter Competition Balancing for Model Merging", 2024',
    status: 'partial',
    results: 'docs/results/merge-methods.md',
  },
  base: 'required',
  models: { least: 1 },
  passes: 5,
  options: {
    ratio: shared(share, 0.1),
    clamp: shared(v.pipe(share, v.ltValue(0.5, 'Expected a quantile below 0.5')), 1e-4),
    inter: shared(v.picklist(['sum', 'normalized'], 'Expected sum or normalized for inter'), 'sum' as const),
    weight,
    lambda,
  },
  surveys: ({ ratio, clamp, inter }) => [
    ...orderStatistics<undefined, Settled>({
      values: (task, block) => task.keys.map((key, t) => [key, block.delta(t).map((x) => Math.abs(x))] as const),
      ranks: (count) => {
        const least = count - Math.floor(count * clamp)
        return [least, Math.min(least, count - Math.floor(count * (1 - clamp) - 1))]
      },
      settle: (found) => ({ magnitudes: boundsOf(found) }),
    }),
    ...orderStatistics<Settled, Settled>({
      values: (task, block, settled) => scoresOf(task, block, settled, inter).map((score, t) => [task.keys[t]!, score]),
      ranks: (count) => [Math.max(1, count - Math.floor(count * (1 - ratio))), 1],
      settle: (found, settled) => ({ ...settled, scores: boundsOf(found) }),
    }),
  ],
  merge(task, { inter, weight, lambda }, settled) {
    const { magnitudes, scores } = settled as Settled
    for (const block of task.blocks()) {
      const sum = block.zeros('sum')
      const divisor = block.zeros('divisor')
      for (const [t, score] of scoresOf(task, block, settled as Settled, inter).entries()) {
        const { least, most } = scores!.get(task.keys[t]!)!
        const limits = magnitudes.get(task.keys[t]!)!
        const delta = block.delta(t)
        for (let i = 0; i < block.length; i++) {
          const gamma = most > least ? Math.max(0, score[i]! - least) / (most - least) : 0
          sum[i]! += weight[t]! * gamma * Math.sign(delta[i]!) * limited(delta[i]!, limits)
          divisor[i]! += gamma
        }
      }
      const base = block.base()
      for (let i = 0; i < block.length; i++) sum[i] = base[i]! + (lambda * sum[i]!) / Math.max(divisor[i]!, 1e-12)
      block.write(sum)
    }
  },
})

const boundsOf = (found: ReadonlyMap<string, readonly number[]>): Map<string, Bounds> =>
  new Map(Array.from(found, ([key, [least, most]]) => [key, { least: least!, most: most! }]))

/** The magnitude of a change within its model's bounds. */
const limited = (delta: number, { least, most }: Bounds): number => Math.min(most, Math.max(least, Math.abs(delta)))

/** The scores of each model's elements, as float32, in which they are ranked. */
function scoresOf(task: TensorTask, block: Block, { magnitudes }: Settled, inter: Inter): Float64Array[] {
  const deltas = task.keys.map((_, t) => block.delta(t))
  const normalized = deltas.map((delta, t) => {
    const bounds = magnitudes.get(task.keys[t]!)!
    const range = bounds.most - bounds.least
    return delta.map((x) => (range > 0 ? (limited(x, bounds) - bounds.least) / range : 0))
  })
  const total = block.zeros('total')
  for (const [t, delta] of deltas.entries())
    for (let i = 0; i < block.length; i++)
      total[i]! += inter === 'sum' ? delta[i]! : Math.sign(delta[i]!) * normalized[t]![i]!
  return deltas.map((delta, t) =>
    delta.map((x, i) => Math.fround(Math.exp(task.models * normalized[t]![i]! ** 2) * Math.tanh(x * total[i]!))),
  )
}
