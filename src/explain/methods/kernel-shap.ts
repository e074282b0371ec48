/**
 * Kernel SHAP (Lundberg and Lee, 2017): Shapley values of the tokens by weighted least squares over coalitions, with the whole text and the empty one
 * as hard constraints. All coalitions where there are few enough: the values are then exact. Else the outer sizes in full, as far as the budget
 * goes, and the rest sampled in pairs with their complements (Covert and Lee, 2021).
 */
import * as v from 'valibot'
import { permutation, random } from '../../tensor/random.ts'
import { defineExplainMethod, removalOption, stateless } from '../explain-method.ts'
import { solvePositive } from '../least-squares.ts'

/** (M-1) / (C(M, size) size (M-size)): the weight of one coalition of `size` out of M tokens. */
export function shapleyKernel(count: number, size: number): number {
  return (count - 1) / (binomial(count, size) * size * (count - size))
}

function binomial(n: number, k: number): number {
  let value = 1
  for (let i = 1; i <= k; i++) value = (value * (n - k + i)) / i
  return value
}

export interface Coalitions {
  readonly masks: Uint8Array[]
  readonly weights: number[]
  /** Every coalition is among them: the values are exact. */
  readonly complete: boolean
}

/** Coalitions of `count` tokens, at most about `samples`, with their weights. */
export function coalitions(count: number, samples: number, seed: number): Coalitions {
  const masks: Uint8Array[] = []
  const weights: number[] = []
  const half = Math.floor(count / 2)
  // Of all coalitions of one size and its complement's, the share of the whole weight.
  const share = (size: number) => ((count - 1) / (size * (count - size))) * (2 * size === count ? 1 : 2)
  let rest = Array.from({ length: half }, (_, i) => i + 1)
  let left = samples
  const restShare = () => rest.reduce((sum, size) => sum + share(size), 0)
  while (rest.length > 0) {
    const size = rest[0]!
    const all = binomial(count, size) * (2 * size === count ? 1 : 2)
    if (all > left * (share(size) / restShare()) * (1 + 1e-9) && !(count <= 30 && 2 ** count - 2 <= samples)) break
    for (const keep of subsets(count, size)) {
      masks.push(keep)
      weights.push(shapleyKernel(count, size))
      if (2 * size === count) continue
      masks.push(keep.map((one) => 1 - one))
      weights.push(shapleyKernel(count, size))
    }
    left -= all
    rest = rest.slice(1)
  }
  const complete = rest.length === 0
  const pairs = complete ? 0 : Math.max(1, Math.floor(left / 2))
  const draws = random(seed, 'kernel-shap sizes', count)
  const whole = restShare()
  for (let pair = 0; pair < pairs; pair++) {
    let point = draws.uniform(pair) * whole
    const size = rest.find((candidate) => (point -= share(candidate)) < 0) ?? rest.at(-1)!
    const keep = new Uint8Array(count)
    for (const i of permutation(count, random(seed, 'kernel-shap', count, pair)).subarray(0, size)) keep[i] = 1
    masks.push(
      keep,
      keep.map((one) => 1 - one),
    )
    weights.push(whole / (2 * pairs), whole / (2 * pairs))
  }
  return { masks, weights, complete }
}

/** All masks of `count` tokens that keep `size` of them. */
function* subsets(count: number, size: number): Generator<Uint8Array> {
  const chosen = Array.from({ length: size }, (_, i) => i)
  while (true) {
    const keep = new Uint8Array(count)
    for (const i of chosen) keep[i] = 1
    yield keep
    let at = size - 1
    while (at >= 0 && chosen[at] === count - size + at) at--
    if (at < 0) return
    chosen[at]!++
    for (let i = at + 1; i < size; i++) chosen[i] = chosen[i - 1]! + 1
  }
}

/** Values that sum to `full` - `base` and come nearest to the scores of the coalitions, in weighted squares. */
export function shapleyValues(
  { masks, weights }: Coalitions,
  scores: ArrayLike<number>,
  base: number,
  full: number,
  count: number,
): Float64Array {
  const delta = full - base
  if (count === 0) return new Float64Array(0)
  if (count === 1) return Float64Array.of(delta)
  // The last value is what the others leave of the sum.
  const n = count - 1
  const matrix = new Float64Array(n * n)
  const right = new Float64Array(n)
  for (const [r, keep] of masks.entries()) {
    const last = keep[n]!
    const y = scores[r]! - base - last * delta
    for (let i = 0; i < n; i++) {
      const x = keep[i]! - last
      if (x === 0) continue
      right[i]! += weights[r]! * x * y
      for (let j = 0; j < n; j++) matrix[i * n + j]! += weights[r]! * x * (keep[j]! - last)
    }
  }
  const others = solvePositive(matrix, right)
  return Float64Array.from([...others, delta - others.reduce((sum, value) => sum + value, 0)])
}

/**
 * Shapley values: a token's mean gain over all orders in which tokens can come in. With the score of the text without any token they sum to the
 * score of the whole. Exact up to about eleven tokens at the default budget.
 * @example
 * const [explanation] = await explain(model, ['book a table for two'], { method: kernelShap() })
 */
export const kernelShap = defineExplainMethod(
  {
    name: 'kernel-shap',
    summary: 'Shapley values by weighted regression: any model, fair shares that sum to the score, thousands of calls',
    source: 'Lundberg and Lee, A Unified Approach to Interpreting Model Predictions, 2017',
    status: 'works',
    results: 'docs/results/explain.md',
  },
  v.object({
    samples: v.optional(
      v.pipe(
        v.number(),
        v.integer(),
        v.minValue(16),
        v.description('masked texts that are scored, beside two for each token'),
      ),
      2048,
    ),
    removal: removalOption,
  }),
  'any',
  (_, { samples, removal }) =>
    stateless(async ({ masked, full, score, seed }) => {
      const count = masked.tokens.length
      const drawn = coalitions(count, samples + 2 * count, seed)
      const [base, ...scores] = await score([new Uint8Array(count), ...drawn.masks], removal)
      return {
        values: shapleyValues(drawn, scores, base!, full, count),
        base: base!,
        details: { samples: drawn.masks.length, exact: drawn.complete ? 1 : 0 },
      }
    }),
)
