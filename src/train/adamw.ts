/**
 * AdamW: Adam with decoupled weight decay (Loshchilov and Hutter, 2019), as in-place loops over typed arrays. The arithmetic follows PyTorch:
 * decay first, bias-corrected moments, epsilon outside the square root.
 */
import { InputError } from '../util/errors.ts'

export interface AdamWOptions {
  /** Decay of the first moment, 0 <= beta1 < 1; default .9. */
  readonly beta1: number
  /** Decay of the second moment, 0 <= beta2 < 1; default .999. */
  readonly beta2: number
  /** Added to the root of the second moment; default 1e-8. */
  readonly epsilon: number
  /** Share of a weight that is taken away per unit of learning rate; default .01. */
  readonly weightDecay: number
}

export const adamWDefaults: AdamWOptions = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 }

/** The scalars of one update, the same for every element. */
export interface UpdateFactors {
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  /** 1 - learning rate * weight decay. */
  readonly keep: number
  /** Learning rate over the first moment's bias correction. */
  readonly stepSize: number
  /** One over the root of the second moment's bias correction. */
  readonly rootCorrection: number
  /** Multiplies the gradient first: the clipping factor. */
  readonly gradientScale: number
}

/**
 * The scalars of update number `step`.
 * @param step counts updates from 1.
 * @param gradientScale see `clipFactor`.
 */
export function updateFactors(
  options: AdamWOptions,
  step: number,
  learningRate: number,
  gradientScale = 1,
): UpdateFactors {
  const { beta1, beta2, epsilon, weightDecay } = options
  return {
    beta1,
    beta2,
    epsilon,
    keep: 1 - learningRate * weightDecay,
    stepSize: learningRate / (1 - beta1 ** step),
    rootCorrection: 1 / Math.sqrt(1 - beta2 ** step),
    gradientScale,
  }
}

/** One update in place: weights, first moments and second moments change, the gradient does not. All four have the same length. */
export function adamWUpdate(
  weights: Float32Array,
  gradient: Float32Array,
  first: Float32Array,
  second: Float32Array,
  factors: UpdateFactors,
): void {
  const { beta1, beta2, epsilon, keep, stepSize, rootCorrection, gradientScale } = factors
  const fresh1 = 1 - beta1
  const fresh2 = 1 - beta2
  const length = weights.length
  for (let i = 0; i < length; i++) {
    const g = gradient[i]! * gradientScale
    const m = first[i]! * beta1 + g * fresh1
    const v = second[i]! * beta2 + g * g * fresh2
    first[i] = m
    second[i] = v
    weights[i] = weights[i]! * keep - (stepSize * m) / (Math.sqrt(v) * rootCorrection + epsilon)
  }
}

/** Sum of squares in double precision; four partial sums, always in the same order. */
export function squaredNorm(values: Float32Array): number {
  let a = 0
  let b = 0
  let c = 0
  let d = 0
  const whole = values.length & ~3
  for (let i = 0; i < whole; i += 4) {
    a += values[i]! * values[i]!
    b += values[i + 1]! * values[i + 1]!
    c += values[i + 2]! * values[i + 2]!
    d += values[i + 3]! * values[i + 3]!
  }
  for (let i = whole; i < values.length; i++) a += values[i]! * values[i]!
  return a + b + (c + d)
}

/** The factor that brings a gradient of global norm `norm` down to `limit` (0: no limit), at most 1. PyTorch's `clip_grad_norm_` has the same 1e-6. */
export const clipFactor = (norm: number, limit: number): number => (limit > 0 ? Math.min(1, limit / (norm + 1e-6)) : 1)

/** Throws InputError `OPTION_RANGE` if an option lies outside its range. */
export function checkAdamW(options: AdamWOptions): void {
  const { beta1, beta2, epsilon, weightDecay } = options
  const check = (key: string, value: number, sound: boolean, expected: string) => {
    if (!sound)
      throw new InputError('OPTION_RANGE', `Expected ${key} ${expected}, received ${value}`, { where: { key } })
  }
  check('beta1', beta1, beta1 >= 0 && beta1 < 1, 'from 0 to below 1')
  check('beta2', beta2, beta2 >= 0 && beta2 < 1, 'from 0 to below 1')
  check('epsilon', epsilon, epsilon > 0 && Number.isFinite(epsilon), 'above 0')
  check('weightDecay', weightDecay, weightDecay >= 0 && Number.isFinite(weightDecay), 'of at least 0')
}
