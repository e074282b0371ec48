/**
 * The exact explanation of an `ngram` model: its logits are sums over n-grams, so each n-gram's share is known. A score that is not linear in the
 * logits (log-odds, probability) is integrated along the straight path from an empty text, which is integrated gradients over n-grams (Sundararajan
 * et al., 2017), or the Aumann-Shapley value. An n-gram's share is divided equally among its places, and there among its letters.
 */
import * as v from 'valibot'
import { ngramPlaces, ngramText } from '../../text/ngram-places.ts'
import { defineExplainMethod, stateless } from '../explain-method.ts'
import { gaussPoints } from '../path-integral.ts'

/** Parts of the path, two points in each; a point costs one gradient over the outputs, no model call. */
const parts = 250

/**
 * What each word of a text adds to the score, exact for `ngram` models: with the score of an empty text, the attributions sum to the score, to
 * rounding for a logit and to the error of a fine integral for log-odds and probability.
 * @example
 * const [explanation] = await explain(model, ['book a table for two'], { method: linearExplanation(), score: 'logit' })
 */
export const linearExplanation = defineExplainMethod(
  {
    name: 'linear',
    summary: 'What each word adds to the score, exact: ngram models only, at the cost of one prediction',
    source: 'standard; Sundararajan, Taly and Yan, Axiomatic Attribution for Deep Networks, 2017, for log-odds',
    status: 'works',
    results: 'docs/results/explain.md',
  },
  v.object({}),
  'ngram',
  ({ model }) =>
    stateless(async ({ text, target, logits }) => {
      const empty = model.score([''])
      const unitWeights = new Float64Array(model.units)
      const points = target.kind === 'logit' ? [1] : gaussPoints(parts)
      for (const alpha of points) {
        const z = Float64Array.from(logits, (logit, unit) => empty[unit]! + alpha * (logit - empty[unit]!))
        target.addGradient(z, unitWeights, 1 / points.length)
      }
      const parsed = ngramText(text)
      const places = ngramPlaces(parsed, model.ngrams)
      const values = new Float64Array(parsed.words.length)
      for (const { hash, value } of model.weightedContributions(text, unitWeights)) {
        const ranges = places.get(hash)!
        for (const { start, end } of ranges) {
          const words = parsed.wordOf.subarray(start, end).filter((word) => word >= 0)
          for (const word of words) values[word]! += value / ranges.length / words.length
        }
      }
      return { values, base: target.value(empty), details: { steps: points.length } }
    }),
)
