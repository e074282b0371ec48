/** Temperature scaling (Guo et al., 2017): one number that divides all logits so that probabilities on held-out rows mean what they say. */
import type { HeadLayout, HeadTargets } from '../labels/head-layout.ts'
import { InputError } from '../util/errors.ts'

export interface Temperature {
  /** Above 1 makes the model less sure, below 1 surer. */
  temperature: number
  /** Negative log-likelihood a row, in nats, with the temperature and without it. */
  nll: number
  nllBefore: number
}

/** Temperatures are sought in this range; on rows that are all right, the best one would be 0. */
export const temperatureRange = [0.05, 20] as const

/**
 * The temperature that minimises the negative log-likelihood of held-out rows. The likelihood is that of the head: softmax over each active
 * group, or a sigmoid for each unit of the active groups. As a function of 1/T it is convex, so Newton steps kept inside a shrinking
 * bracket find its one minimum.
 * @param logits rows x units
 * @throws InputError `SCORES_NAN`, `EVALUATE_ROWS`
 */
export function fitTemperature(layout: HeadLayout, targets: HeadTargets, logits: Float32Array): Temperature {
  const rows = targets.groupOffsets.length - 1
  const units = layout.unitNodes.length
  if (rows === 0 || logits.length !== rows * units)
    throw new InputError('EVALUATE_ROWS', `Expected logits of ${rows} x ${units} values, received ${logits.length}`, {
      help: 'calibrate on at least one row, with the logits of every unit',
    })
  checkLogits(layout, targets, logits)
  const at = layout.activation === 'softmax' ? softmaxLikelihood : sigmoidLikelihood
  const slopeAt = (sharpness: number): Likelihood => at(layout, targets, logits, sharpness)
  let low = 1 / temperatureRange[1]
  let high = 1 / temperatureRange[0]
  let sharpness = 1
  for (let step = 0; step < 60; step++) {
    const { slope, curvature } = slopeAt(sharpness)
    if (slope > 0) high = sharpness
    else low = sharpness
    const newton = sharpness - slope / curvature
    const next = newton > low && newton < high ? newton : Math.sqrt(low * high)
    const moved = Math.abs(next / sharpness - 1)
    sharpness = next
    if (moved < 1e-9) break
  }
  return { temperature: 1 / sharpness, nll: slopeAt(sharpness).nll, nllBefore: slopeAt(1).nll }
}

/** Per row, in nats, with its derivatives by 1/T. */
interface Likelihood {
  nll: number
  slope: number
  curvature: number
}

function checkLogits(layout: HeadLayout, targets: HeadTargets, logits: Float32Array): void {
  const units = layout.unitNodes.length
  const fail = (row: number, unit: number, value: number): never => {
    throw new InputError('SCORES_NAN', `Row ${row + 1}, unit ${unit}: expected a finite score, received ${value}`, {
      help: "the model's weights are damaged: train it again or fetch it again",
      data: { row, unit },
    })
  }
  const nan = logits.findIndex(Number.isNaN)
  if (nan >= 0) fail(Math.floor(nan / units), nan % units, Number.NaN)
  for (let row = 0; row < targets.unitOffsets.length - 1; row++) {
    for (let at = targets.unitOffsets[row]!; at < targets.unitOffsets[row + 1]!; at++) {
      const value = logits[row * units + targets.rightUnits[at]!]!
      if (!Number.isFinite(value)) fail(row, targets.rightUnits[at]!, value)
    }
  }
}

function softmaxLikelihood(
  { groups }: HeadLayout,
  { groupOffsets, activeGroups, unitOffsets, rightUnits }: HeadTargets,
  logits: Float32Array,
  sharpness: number,
): Likelihood {
  const rows = groupOffsets.length - 1
  const units = logits.length / rows
  const total = { nll: 0, slope: 0, curvature: 0 }
  for (let row = 0; row < rows; row++) {
    const base = row * units
    for (let at = groupOffsets[row]!; at < groupOffsets[row + 1]!; at++) {
      const { start, end } = groups[activeGroups[at]!]!
      let most = Number.NEGATIVE_INFINITY
      for (let unit = base + start; unit < base + end; unit++) most = Math.max(most, logits[unit]!)
      let weight = 0
      let first = 0
      let second = 0
      for (let unit = base + start; unit < base + end; unit++) {
        const below = logits[unit]! - most
        if (below === Number.NEGATIVE_INFINITY) continue
        const w = Math.exp(below * sharpness)
        weight += w
        first += w * below
        second += w * below * below
      }
      const mean = first / weight
      total.nll += Math.log(weight) + most * sharpness
      total.slope += mean + most
      total.curvature += second / weight - mean * mean
    }
    for (let at = unitOffsets[row]!; at < unitOffsets[row + 1]!; at++) {
      const logit = logits[base + rightUnits[at]!]!
      total.nll -= logit * sharpness
      total.slope -= logit
    }
  }
  return { nll: total.nll / rows, slope: total.slope / rows, curvature: total.curvature / rows }
}

function sigmoidLikelihood(
  { groups }: HeadLayout,
  { groupOffsets, activeGroups, unitOffsets, rightUnits }: HeadTargets,
  logits: Float32Array,
  sharpness: number,
): Likelihood {
  const rows = groupOffsets.length - 1
  const units = logits.length / rows
  const total = { nll: 0, slope: 0, curvature: 0 }
  for (let row = 0; row < rows; row++) {
    const base = row * units
    for (let at = groupOffsets[row]!; at < groupOffsets[row + 1]!; at++) {
      const { start, end } = groups[activeGroups[at]!]!
      for (let unit = base + start; unit < base + end; unit++) {
        const logit = logits[unit]!
        if (logit === Number.NEGATIVE_INFINITY) continue
        const z = logit * sharpness
        const p = 1 / (1 + Math.exp(-z))
        total.nll += Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)))
        total.slope += p * logit
        total.curvature += p * (1 - p) * logit * logit
      }
    }
    for (let at = unitOffsets[row]!; at < unitOffsets[row + 1]!; at++) {
      const logit = logits[base + rightUnits[at]!]!
      total.nll -= logit * sharpness
      total.slope -= logit
    }
  }
  return { nll: total.nll / rows, slope: total.slope / rows, curvature: total.curvature / rows }
}
