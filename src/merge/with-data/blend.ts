/** Models blended by coefficients: the base plus the sum of the models' differences, each times the coefficient of its model and group of layers. */
import type { Weights } from './specialists.ts'

/** By group, the coefficient of each model. */
export type Coefficients = ReadonlyMap<string, Float64Array>

export interface BlendInput {
  readonly base: Weights
  readonly models: readonly { readonly weights: Weights }[]
  readonly group: (name: string) => string
}

/** Writes elements `start` to `end` of a parameter of the blend into `target`, at the same places. */
export function blendInto(
  target: Float32Array,
  { base, models, group }: BlendInput,
  name: string,
  coefficients: Coefficients,
  start = 0,
  end = target.length,
): void {
  const own = coefficients.get(group(name))!
  const origin = base.get(name)!
  const sum = Float64Array.from(origin.subarray(start, end))
  for (const [t, { weights }] of models.entries()) {
    const theta = weights.get(name)!
    const factor = own[t]!
    for (let i = 0; i < sum.length; i++) sum[i]! += factor * (theta[start + i]! - origin[start + i]!)
  }
  target.set(sum, start)
}

/** Adds what the gradient of a parameter says of the coefficients, the inner products with the models' differences: d loss / d c_t = <g, theta_t - base>. */
export function addSlopes(
  slopes: ReadonlyMap<string, Float64Array>,
  { base, models, group }: BlendInput,
  name: string,
  gradient: ArrayLike<number>,
  start = 0,
): void {
  const own = slopes.get(group(name))!
  const origin = base.get(name)!
  for (const [t, { weights }] of models.entries()) {
    const theta = weights.get(name)!
    let sum = 0
    for (let i = 0; i < gradient.length; i++) sum += gradient[i]! * (theta[start + i]! - origin[start + i]!)
    own[t]! += sum
  }
}
