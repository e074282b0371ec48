/**
 * From margins to logits: one sharpness for all units (Platt, Probabilistic outputs for support vector machines, 1999; temperature scaling, Guo
 * et al., 2017), fitted to the margins of held-out rows. Units of a sigmoid layout share a shift too.
 */
import type { HeadLayout, HeadTargets } from '../labels/head-layout.ts'
import type { Combination } from './linear-problems.ts'

export interface Calibration {
  readonly sharpness: number
  readonly shift: number
}

/** Where too few rows can be held out. */
const usual: Record<HeadLayout['activation'], Calibration> = {
  softmax: { sharpness: 4, shift: 0 },
  sigmoid: { sharpness: 2, shift: 0 },
}
const sharpnessRange = [0.1, 100] as const

/** Scores of rows from their problems' margins: [rows x units]. */
export function combineMargins(combination: Combination, margins: Float32Array, problems: number): Float32Array {
  const { offsets, problems: ids, factors } = combination
  const units = offsets.length - 1
  const rows = problems === 0 ? 0 : margins.length / problems
  const scores = new Float32Array(rows * units)
  for (let row = 0; row < rows; row++) {
    for (let unit = 0; unit < units; unit++) {
      let sum = 0
      for (let i = offsets[unit]!; i < offsets[unit + 1]!; i++) sum += factors[i]! * margins[row * problems + ids[i]!]!
      scores[row * units + unit] = sum
    }
  }
  return scores
}

/** The calibration that makes the held-out rows' labels most likely. `rows` are their numbers in `targets`, `scores` [rows x units]. */
export function calibrate(
  layout: HeadLayout,
  targets: HeadTargets,
  rows: Uint32Array,
  scores: Float32Array,
): Calibration {
  const { activation } = layout
  if (rows.length === 0) return usual[activation]
  const derivatives = activation === 'softmax' ? softmaxDerivatives : sigmoidDerivatives
  let { sharpness, shift } = usual[activation]
  // Newton's method with the diagonal damped: the likelihood is concave in both numbers.
  for (let step = 0; step < 50; step++) {
    const d = derivatives(layout, targets, rows, scores, sharpness, shift)
    if (d.count === 0) return usual[activation]
    const damping = 1e-6 * d.count
    const aa = d.aa + damping
    const bb = d.bb + damping
    const determinant = aa * bb - d.ab * d.ab
    const bySharpness = (d.a * bb - d.b * d.ab) / determinant
    const byShift = (d.b * aa - d.a * d.ab) / determinant
    const next = Math.min(
      sharpnessRange[1],
      Math.max(sharpnessRange[0], sharpness + Math.max(-sharpness / 2, Math.min(sharpness, bySharpness))),
    ) // prettier-ignore
    const moved = Math.abs(next / sharpness - 1) + Math.abs(byShift)
    sharpness = next
    shift += byShift
    if (moved < 1e-6) break
  }
  return { sharpness, shift }
}

/** First derivatives of the log-likelihood by sharpness (a) and shift (b), and the negatives of the second ones. */
interface Derivatives {
  a: number
  b: number
  aa: number
  ab: number
  bb: number
  count: number
}

type DerivativesOf = (
  layout: HeadLayout,
  targets: HeadTargets,
  rows: Uint32Array,
  scores: Float32Array,
  sharpness: number,
  shift: number,
) => Derivatives

const softmaxDerivatives: DerivativesOf = (layout, targets, rows, scores, sharpness) => {
  const units = layout.unitNodes.length
  const sum: Derivatives = { a: 0, b: 0, aa: 0, ab: 0, bb: 1, count: 0 }
  for (const [i, row] of rows.entries()) {
    for (let g = targets.groupOffsets[row]!; g < targets.groupOffsets[row + 1]!; g++) {
      const { start, end } = layout.groups[targets.activeGroups[g]!]!
      const score = (unit: number) => scores[i * units + unit]!
      let most = Number.NEGATIVE_INFINITY
      for (let unit = start; unit < end; unit++) most = Math.max(most, score(unit))
      let mass = 0
      let mean = 0
      let square = 0
      for (let unit = start; unit < end; unit++) {
        const e = Math.exp(sharpness * (score(unit) - most))
        mass += e
        mean += e * score(unit)
        square += e * score(unit) ** 2
      }
      mean /= mass
      sum.a -= mean
      sum.aa += square / mass - mean * mean
      sum.count++
    }
    for (let u = targets.unitOffsets[row]!; u < targets.unitOffsets[row + 1]!; u++)
      sum.a += scores[i * units + targets.rightUnits[u]!]!
  }
  return sum
}

const sigmoidDerivatives: DerivativesOf = (layout, targets, rows, scores, sharpness, shift) => {
  const units = layout.unitNodes.length
  const sum: Derivatives = { a: 0, b: 0, aa: 0, ab: 0, bb: 0, count: 0 }
  for (const [i, row] of rows.entries()) {
    const right = new Set(targets.rightUnits.subarray(targets.unitOffsets[row]!, targets.unitOffsets[row + 1]!))
    for (let g = targets.groupOffsets[row]!; g < targets.groupOffsets[row + 1]!; g++) {
      const { start, end } = layout.groups[targets.activeGroups[g]!]!
      for (let unit = start; unit < end; unit++) {
        const score = scores[i * units + unit]!
        const probability = 1 / (1 + Math.exp(-sharpness * score - shift))
        const error = (right.has(unit) ? 1 : 0) - probability
        const curvature = probability * (1 - probability)
        sum.a += error * score
        sum.b += error
        sum.aa += curvature * score * score
        sum.ab += curvature * score
        sum.bb += curvature
        sum.count++
      }
    }
  }
  return sum
}
