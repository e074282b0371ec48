/** Learning-rate schedules: a linear warm-up, then constant, linear to zero, or half a cosine to zero (Loshchilov and Hutter, 2017). */
import { InputError } from '../util/errors.ts'

export const scheduleNames = ['constant', 'linear', 'cosine'] as const
export type ScheduleName = (typeof scheduleNames)[number]

export interface Schedule {
  readonly name: ScheduleName
  /** Below 1: share of all steps; from 1: number of steps. */
  readonly warmUp: number
}

/** Number of warm-up steps out of `steps`; a share is rounded to the nearest step. */
export const warmUpSteps = (warmUp: number, steps: number): number => (warmUp < 1 ? Math.round(warmUp * steps) : warmUp)

/**
 * The factor on the learning rate for update number `step`.
 * @param step counts updates from 1 to `steps`. The first update after the warm-up has the full rate; a decaying schedule would reach 0 one update after the last.
 * @example learningRateFactor({ name: 'linear', warmUp: 2 }, 1, 10) // .5
 */
export function learningRateFactor(schedule: Schedule, step: number, steps: number): number {
  const warm = warmUpSteps(schedule.warmUp, steps)
  if (step <= warm) return step / warm
  if (schedule.name === 'constant') return 1
  const rest = Math.max(0, Math.min(1, (step - 1 - warm) / Math.max(1, steps - warm)))
  return schedule.name === 'linear' ? 1 - rest : (1 + Math.cos(Math.PI * rest)) / 2
}

/** Throws InputError `OPTION_RANGE` for a warm-up below 0 or a fractional number of steps. */
export function checkSchedule(schedule: Schedule): void {
  const { name, warmUp } = schedule
  if (!scheduleNames.includes(name))
    throw new InputError('OPTION_RANGE', `Expected schedule ${scheduleNames.join(', ')}; received ${name}`, {
      where: { key: 'schedule' },
    })
  if (!(warmUp >= 0) || (warmUp >= 1 && !Number.isInteger(warmUp)))
    throw new InputError('OPTION_RANGE', `Expected a share below 1 or a whole number of steps, received ${warmUp}`, {
      where: { key: 'warmUp' },
    })
}
