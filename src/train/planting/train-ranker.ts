/**
 * The learning-to-rank model of PLANT (Roy et al., 2024), step 3: which tokens matter for which label, as a product of factors, trained with LambdaRank on
 * lists of 64 tokens and a quarter of the labels at a time.
 */
import { permutation, random } from '../../tensor/random.ts'
import { RunError, throwIfAborted } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { relevanceGrades } from './grades.ts'
import { gainOf, listLambdas } from './lambda-rank.ts'

export interface RankerOptions extends RunOptions {
  /** Width of the factors. */
  readonly factors: number
  readonly epochs: number
  readonly learningRate: number
  readonly seed: number
}

export interface Ranker {
  /** [vocabulary, factors]; rows of tokens that were not ranked are 0. */
  readonly tokens: Float32Array
  /** [vocabulary]; a token that was not ranked has the lowest of all. */
  readonly tokenBias: Float32Array
  /** [units, factors]. */
  readonly units: Float32Array
  /** Mean nDCG@6 of the lists in the last epoch, 0 to 1. */
  readonly ndcg: number
}

const listLength = 64
const labelChunks = 4
const depth = 6
const momentum = 0.9
/** First factors are small, so that scores start near 0 and their products still have a gradient. */
const firstDeviation = 0.1
const breathMilliseconds = 50

/** Rows of parameters under stochastic gradient descent with momentum; rows that a batch does not touch stand still. */
class Rows {
  readonly values: Float32Array
  readonly #width: number
  readonly #velocity: Float32Array

  constructor(count: number, width: number, first: (i: number) => number) {
    this.#width = width
    this.values = Float32Array.from({ length: count * width }, (_, i) => first(i))
    this.#velocity = new Float32Array(count * width)
  }

  step(row: number, gradient: Float64Array, from: number, rate: number): void {
    for (let k = 0, at = row * this.#width; k < this.#width; k++, at++) {
      this.#velocity[at] = momentum * this.#velocity[at]! + gradient[from + k]!
      this.values[at]! -= rate * this.#velocity[at]!
    }
  }
}

/**
 * Trains on the tokens that say something for some unit.
 * @param information [vocabulary, units], see `tokenInformation`.
 * @throws InterruptedError when the signal fires; RunError `LOSS_NOT_FINITE` if the learning rate is too high.
 */
export async function trainRanker(information: Float32Array, units: number, options: RankerOptions): Promise<Ranker> {
  const { factors, epochs, learningRate, seed, signal, onProgress } = options
  const vocabulary = information.length / units
  const ranked = Uint32Array.from({ length: vocabulary }, (_, token) => token).filter((token) =>
    information.subarray(token * units, (token + 1) * units).some((value) => value > 0),
  )
  const gains = gainsOf(information, units, ranked)
  const draw = { tokens: random(seed, 'ranker', 'tokens'), units: random(seed, 'ranker', 'units') }
  const tokens = new Rows(ranked.length, factors, (i) => firstDeviation * draw.tokens.normal(i))
  const bias = new Rows(ranked.length, 1, () => 0)
  const labels = new Rows(units, factors, (i) => firstDeviation * draw.units.normal(i))
  const chunkSize = Math.ceil(units / labelChunks)
  let ndcg = 0
  let breath = performance.now()
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = permutation(ranked.length, random(seed, 'ranker', 'order', epoch))
    let sum = 0
    let lists = 0
    for (let start = 0; start < order.length; start += listLength) {
      const list = order.subarray(start, start + listLength)
      for (let first = 0; first < units; first += chunkSize) {
        const found = updateBatch({ tokens, bias, labels }, list, first, Math.min(units, first + chunkSize), {
          gains,
          ranked: ranked.length,
          factors,
          learningRate,
        })
        sum += found.sum
        lists += found.lists
      }
      if (performance.now() - breath < breathMilliseconds) continue
      throwIfAborted(signal)
      onProgress?.({
        step: 'rank tokens',
        done: epoch * order.length + start,
        total: epochs * order.length,
        unit: 'tokens',
      })
      await new Promise((resolve) => setImmediate(resolve))
      breath = performance.now()
    }
    ndcg = lists === 0 ? 0 : sum / lists
    if (!labels.values.every(Number.isFinite))
      throw new RunError('LOSS_NOT_FINITE', `The ranking of tokens diverged in epoch ${epoch + 1}`, {
        help: `try a lower learning rate of the ranker, such as ${(learningRate / 3).toPrecision(1)}`,
        data: { epoch, learningRate },
      })
  }
  return { ...spreadOut(ranked, vocabulary, factors, tokens.values, bias.values), units: labels.values, ndcg }
}

/** Gains by unit, then by ranked token. */
function gainsOf(information: Float32Array, units: number, ranked: Uint32Array): Float64Array {
  const gains = new Float64Array(units * ranked.length)
  const values = new Float32Array(ranked.length)
  for (let unit = 0; unit < units; unit++) {
    for (const [i, token] of ranked.entries()) values[i] = information[token * units + unit]!
    for (const [i, grade] of relevanceGrades(values).entries()) gains[unit * ranked.length + i] = gainOf(grade)
  }
  return gains
}

interface Batch {
  readonly gains: Float64Array
  readonly ranked: number
  readonly factors: number
  readonly learningRate: number
}

/** One update with the lists of some units over the same tokens. */
function updateBatch(
  { tokens, bias, labels }: { tokens: Rows; bias: Rows; labels: Rows },
  list: Uint32Array,
  first: number,
  last: number,
  { gains, ranked, factors, learningRate }: Batch,
): { sum: number; lists: number } {
  const scores = new Float64Array(list.length)
  const own = new Float64Array(list.length)
  const lambdas = new Float64Array(list.length)
  const tokenGradient = new Float64Array(list.length * factors)
  const biasGradient = new Float64Array(list.length)
  const labelGradient = new Float64Array((last - first) * factors)
  let sum = 0
  let lists = 0
  for (let unit = first; unit < last; unit++) {
    for (const [i, token] of list.entries()) {
      let score = bias.values[token]!
      for (let k = 0; k < factors; k++)
        score += tokens.values[token * factors + k]! * labels.values[unit * factors + k]!
      scores[i] = score
      own[i] = gains[unit * ranked + token]!
    }
    const ndcg = listLambdas(scores, own, depth, lambdas)
    if (ndcg === undefined) continue
    sum += ndcg
    lists++
    const at = (unit - first) * factors
    for (const [i, token] of list.entries()) {
      const lambda = lambdas[i]!
      if (lambda === 0) continue
      biasGradient[i]! += lambda
      for (let k = 0; k < factors; k++) {
        tokenGradient[i * factors + k]! += lambda * labels.values[unit * factors + k]!
        labelGradient[at + k]! += lambda * tokens.values[token * factors + k]!
      }
    }
  }
  for (const [i, token] of list.entries()) {
    tokens.step(token, tokenGradient, i * factors, learningRate)
    bias.step(token, biasGradient, i, learningRate)
  }
  for (let unit = first; unit < last; unit++) labels.step(unit, labelGradient, (unit - first) * factors, learningRate)
  return { sum, lists }
}

/** The rows of ranked tokens at their places in the vocabulary. */
function spreadOut(
  ranked: Uint32Array,
  vocabulary: number,
  factors: number,
  tokens: Float32Array,
  bias: Float32Array,
): Pick<Ranker, 'tokens' | 'tokenBias'> {
  const lowest = bias.reduce((least, value) => Math.min(least, value), 0)
  const all = { tokens: new Float32Array(vocabulary * factors), tokenBias: new Float32Array(vocabulary).fill(lowest) }
  for (const [i, token] of ranked.entries()) {
    all.tokens.set(tokens.subarray(i * factors, (i + 1) * factors), token * factors)
    all.tokenBias[token] = bias[i]!
  }
  return all
}
