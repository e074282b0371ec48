/**
 * LIME (Ribeiro et al., 2016): a linear model of the score over which tokens are kept, fitted around the whole text. Every token is a feature (the
 * authors' code keeps the ten best).
 */
import * as v from 'valibot'
import { permutation, random } from '../../tensor/random.ts'
import { defineExplainMethod, removalOption, stateless } from '../explain-method.ts'
import { ridgeRegression } from '../least-squares.ts'

/** exp(-d^2 / width^2) of the cosine distance d between a mask that keeps `kept` of `count` tokens and the whole text. */
export function limeWeight(kept: number, count: number, width: number): number {
  const distance = 1 - Math.sqrt(kept / count)
  return Math.exp(-(distance ** 2) / width ** 2)
}

/** Masks as LIME draws them: the whole text, then texts that lack 1 to all tokens, each number equally often. */
export function limeMasks(count: number, samples: number, seed: number): Uint8Array[] {
  const sizes = random(seed, 'lime sizes', count)
  return Array.from({ length: samples }, (_, sample) => {
    const keep = new Uint8Array(count).fill(1)
    if (sample === 0) return keep
    const removed = 1 + Math.floor(sizes.uniform(sample) * count)
    for (const i of permutation(count, random(seed, 'lime', count, sample)).subarray(0, removed)) keep[i] = 0
    return keep
  })
}

/**
 * Ridge regression of the score on which tokens are kept, near the whole text. Its coefficients are the attributions.
 * @example
 * const [explanation] = await explain(model, ['book a table for two'], { method: lime({ samples: 1000 }) })
 */
export const lime = defineExplainMethod(
  {
    name: 'lime',
    summary: 'A linear model of the score over kept tokens, fitted around the text: any model, hundreds of calls',
    source: 'Ribeiro, Singh and Guestrin, "Why Should I Trust You?", 2016',
    status: 'works',
    results: 'docs/results/explain.md',
  },
  v.object({
    samples: v.optional(
      v.pipe(v.number(), v.integer(), v.minValue(10), v.description('masked texts that are scored')),
      500,
    ),
    width: v.optional(v.pipe(v.number(), v.gtValue(0), v.description('width of the kernel, in cosine distance')), 0.25),
    ridge: v.optional(v.pipe(v.number(), v.minValue(0), v.description('penalty on the squared coefficients')), 1),
    removal: removalOption,
  }),
  'any',
  (_, { samples, width, ridge, removal }) =>
    stateless(async ({ masked, score, seed }) => {
      const count = masked.tokens.length
      if (count === 0) return { values: new Float64Array(0), details: { samples: 0, r2: 1 } }
      const masks = limeMasks(count, samples, seed)
      const scores = await score(masks, removal)
      const weights = masks.map((keep) =>
        limeWeight(
          keep.reduce((sum, one) => sum + one, 0),
          count,
          width,
        ),
      )
      const { coefficients, r2 } = ridgeRegression(masks, scores, weights, ridge)
      return { values: coefficients, details: { samples, r2 } }
    }),
)
