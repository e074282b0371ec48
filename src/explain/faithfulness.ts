/**
 * Whether attributions point at the tokens that the model uses: comprehensiveness and sufficiency over shares of the tokens (ERASER, DeYoung et al.,
 * 2020), and the area under the deletion curve (Petsiuk et al., 2018), beside random attributions of the same texts.
 */
import { nodeScore } from '../labels/node-score.ts'
import { permutation, random } from '../tensor/random.ts'
import { InputError, throwIfAborted } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import type { ExplainMethod } from './explain-method.ts'
import { type Explainable, partsOf } from './explainable.ts'
import { type MaskedText, type Removal, removalsOf } from './masked-text.ts'
import { checkMethod, checkTexts, defaultMethod, prepareText } from './texts.ts'

/** Shares of the tokens that are kept or taken away. */
export const shares = [0.01, 0.05, 0.1, 0.2, 0.5] as const
/** Points of a deletion curve at most, beside its beginning; longer texts lose several tokens at once. */
const mostDeletions = 50
/** Random orders per text. */
const randomOrders = 3

export interface FaithfulnessScores {
  /** f(x) - f(x without the strongest tokens), mean over `shares`: high is good. */
  comprehensiveness: number
  /** f(x) - f(the strongest tokens alone), mean over `shares`: low is good. */
  sufficiency: number
  /** Area under f while tokens are taken away, the strongest first: low is good. */
  deletionAuc: number
}

export interface RemovalFaithfulness {
  /** What stands in the place of tokens: it decides the result, so every way that the model allows is measured. */
  removal: Removal
  /** f is the probability of the predicted label. */
  probability: { method: FaithfulnessScores; random: FaithfulnessScores }
  /** f is its log-odds, which tell apart what probabilities near 0 and 1 hide. */
  logOdds: { method: FaithfulnessScores; random: FaithfulnessScores }
}

export interface Faithfulness {
  method: string
  options: Readonly<Record<string, unknown>>
  /** Texts measured: all that were drawn, rightly classified or not, each for its predicted label. */
  texts: number
  seed: number
  shares: readonly number[]
  removals: RemovalFaithfulness[]
}

export interface FaithfulnessOptions extends RunOptions {
  /** Default: `linearExplanation()` for ngram models, `integratedGradients()` for encoders. */
  method?: ExplainMethod
  /** Texts drawn; all if there are fewer. Default 100. */
  sample?: number
  /** Seed of the drawing, of the method and of the random attributions. Default 0. */
  seed?: number
}

/** Area under a curve of equal steps by the trapezoid rule, over the unit interval. */
export function areaUnder(curve: ArrayLike<number>): number {
  if (curve.length < 2) return curve[0] ?? 0
  let sum = -(curve[0]! + curve[curve.length - 1]!) / 2
  for (let i = 0; i < curve.length; i++) sum += curve[i]!
  return sum / (curve.length - 1)
}

/** The masks that one order of tokens, strongest first, is judged by. */
function masksOf(order: ArrayLike<number>): { without: Uint8Array[]; alone: Uint8Array[]; deleted: Uint8Array[] } {
  const count = order.length
  const mask = (first: number, value: 0 | 1) => {
    const keep = new Uint8Array(count).fill(1 - value)
    for (let i = 0; i < first; i++) keep[order[i]!] = value
    return keep
  }
  const sizes = shares.map((share) => Math.ceil(share * count))
  const steps = Math.min(count, mostDeletions)
  return {
    without: sizes.map((size) => mask(size, 0)),
    alone: sizes.map((size) => mask(size, 1)),
    deleted: Array.from({ length: steps + 1 }, (_, step) => mask(Math.round((step * count) / steps), 0)),
  }
}

/** Scores of one order from `f` of its masks, in the order of `masksOf`. */
function judge(full: number, f: ArrayLike<number>): FaithfulnessScores {
  const bins = shares.length
  let without = 0
  let alone = 0
  for (let i = 0; i < bins; i++) {
    without += f[i]! / bins
    alone += f[bins + i]! / bins
  }
  const curve = Array.from({ length: f.length - 2 * bins }, (_, i) => f[2 * bins + i]!)
  return { comprehensiveness: full - without, sufficiency: full - alone, deletionAuc: areaUnder(curve) }
}

type Sums = { method: FaithfulnessScores; random: FaithfulnessScores }
const zero = (): FaithfulnessScores => ({ comprehensiveness: 0, sufficiency: 0, deletionAuc: 0 })
function add(sum: FaithfulnessScores, scores: FaithfulnessScores, factor: number): void {
  for (const name of Object.keys(sum) as (keyof FaithfulnessScores)[]) sum[name] += factor * scores[name]
}

/**
 * Measures a method's attributions for the predicted labels of texts.
 * @param texts any number; `sample` of them are drawn. Texts without a token are left out.
 * @throws InputError as `explain` does; `DATA_EMPTY` without texts.
 * @example
 * const { removals } = await faithfulness(model, texts, { method: occlusion() })
 * removals[0].probability.method.comprehensiveness // 0.6
 */
export async function faithfulness(
  model: Explainable,
  texts: readonly string[],
  options: FaithfulnessOptions = {},
): Promise<Faithfulness> {
  const parts = partsOf(model)
  const { method = defaultMethod(parts), sample = 100, seed = 0, signal, onProgress } = options
  checkMethod(method, parts)
  checkTexts(texts)
  if (!Number.isInteger(sample) || sample < 1)
    throw new InputError('OPTION_RANGE', `Expected sample to be a whole number from 1, received ${sample}`)
  if (texts.length === 0) throw new InputError('DATA_EMPTY', 'There is no text to explain')
  const drawn = permutation(texts.length, random(seed, 'faithfulness sample')).subarray(0, sample).sort()
  const removals = removalsOf(parts).map((removal) => ({
    removal,
    probability: { method: zero(), random: zero() },
    logOdds: { method: zero(), random: zero() },
  }))
  const explainer = await method.open(parts)
  let measured = 0
  try {
    for (const [index, row] of drawn.entries()) {
      throwIfAborted(signal)
      const text = await prepareText(model, texts[row]!, { seed, signal })
      const count = text.masked.tokens.length
      onProgress?.({ step: 'explain', done: index + 1, total: drawn.length, unit: 'texts' })
      if (count === 0) continue
      measured++
      const { values } = await explainer.attribute(text)
      const strongest = Array.from(values.keys()).sort((a, b) => values[b]! - values[a]! || a - b)
      const orders: ArrayLike<number>[] = [strongest]
      for (let draw = 0; draw < randomOrders; draw++)
        orders.push(permutation(count, random(seed, 'random attribution', row, draw)))
      for (const result of removals) await measure(model, text, orders, result)
    }
  } finally {
    await explainer.close()
  }
  if (measured === 0) throw new InputError('DATA_EMPTY', 'No text has a token that can be taken away')
  for (const { probability, logOdds } of removals)
    for (const sums of [probability.method, probability.random, logOdds.method, logOdds.random])
      for (const name of Object.keys(sums) as (keyof FaithfulnessScores)[]) sums[name] /= measured
  return { method: method.name, options: method.options, texts: measured, seed, shares, removals }
}

/** Adds up how the orders of one text do: the first is the method's, the others are random. */
async function measure(
  model: Explainable,
  {
    masked,
    node,
    logits,
    signal,
  }: { masked: MaskedText; node: number; logits: Float32Array; signal: AbortSignal | undefined },
  orders: readonly ArrayLike<number>[],
  { removal, probability, logOdds }: { removal: Removal; probability: Sums; logOdds: Sums },
): Promise<void> {
  const { layout, temperature } = model.settings
  const units = { ...layout, unitNodes: Int32Array.from(layout.unitNodes) }
  const masks = orders.map((order) => Object.values(masksOf(order)).flat())
  const rows = await masked.logits(masks.flat(), removal, signal)
  for (const [kind, sums] of [
    ['probability', probability],
    ['log-odds', logOdds],
  ] as const) {
    const score = nodeScore(units, model.tree, temperature, node, kind)
    const f = rows.map((row) => score.value(row))
    let at = 0
    for (const [index, { length }] of masks.entries()) {
      const scores = judge(score.value(logits), f.slice(at, at + length))
      add(index === 0 ? sums.method : sums.random, scores, index === 0 ? 1 : 1 / randomOrders)
      at += length
    }
  }
}
