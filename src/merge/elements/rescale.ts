/** How what is left of a difference makes up for what was dropped. */
import * as v from 'valibot'
import type { TensorTask } from '../engine/tensor-task.ts'
import { shared } from '../merge-method.ts'
import { matchMagnitudes, type TrimPlan } from './combine.ts'

type Rescale = boolean | 'density'

export const rescale = (fallback: boolean) =>
  shared(
    v.union(
      [v.boolean(), v.literal('density')],
      ({ received }) => `Expected true, false or density for rescale, received ${received}`,
    ),
    fallback as Rescale,
  )

/** Adds the factors: `true` restores each difference's sum of magnitudes, `density` divides by the share that is kept. */
export function withFactors(
  task: TensorTask,
  plan: Omit<TrimPlan, 'factors'>,
  density: readonly number[],
  rescale: Rescale,
): TrimPlan {
  if (rescale === true && density.some((share) => share < 1)) return { ...plan, factors: matchMagnitudes(task, plan) }
  return { ...plan, factors: density.map((share) => (rescale === 'density' && share > 0 ? 1 / share : 1)) }
}
