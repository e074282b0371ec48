/**
 * AdamW for embedding tables: only the rows of the batch are read and written. A row keeps the number of its last update; the updates it slept
 * through (zero gradient: the moments fade, decay and the fading momentum still move the weights) are made up for in closed form when it is next
 * read, so the table equals one trained by dense AdamW to rounding, at the cost of the touched rows alone.
 *
 * Closed form: after j skipped updates m_j = beta1^j m and v_j = beta2^j v, so update j takes away a_j m / (q_j sqrt(v) + epsilon) with scalars
 * a_j, q_j that are the same for the whole row. Their sum is written C m / (sqrt(v) + e), where e is the weighted mean of epsilon / q_j: exact but
 * for the variation of epsilon / q_j within the few updates that momentum lasts, an error of second order in epsilon / sqrt(v).
 */
import { type AdamWOptions, type UpdateFactors, updateFactors } from './adamw.ts'

/** Skipped updates after which momentum no longer moves a weight: beta1^j is below this. */
const faded = 1e-12

interface CatchUp {
  /** What is left of the weights. */
  readonly keep: number
  /** C of the closed form. */
  readonly move: number
  /** e of the closed form. */
  readonly epsilon: number
  readonly fade1: number
  readonly fade2: number
}

export class RowSparseAdamW {
  readonly rows: number
  readonly width: number
  readonly first: Float32Array
  readonly second: Float32Array
  /** Per row, the number of updates it has seen. */
  readonly last: Int32Array
  /** As stored; rows may be late: read with `gather` or `current`. */
  readonly weights: Float32Array
  readonly #options: AdamWOptions
  // By update t; index 0 is before the first update.
  #rates: number[] = [0]
  /** Product of all decay factors up to t. */
  #kept: number[] = [1]
  /** Learning rate over the first moment's bias correction. */
  #stepSizes: number[] = [0]
  /** One over the second moment's bias correction. */
  #corrections: number[] = [0]

  /** @param weights the table, [rows, width], updated in place. */
  constructor(weights: Float32Array, width: number, options: AdamWOptions) {
    this.weights = weights
    this.#options = options
    this.width = width
    this.rows = weights.length / width
    this.first = new Float32Array(weights.length)
    this.second = new Float32Array(weights.length)
    this.last = new Int32Array(this.rows)
  }

  /** Number of updates so far. */
  get step(): number {
    return this.#rates.length - 1
  }

  /** Learning rates of all updates so far: with the moments and `last`, the state to save. */
  get rates(): readonly number[] {
    return this.#rates.slice(1)
  }

  /** Takes up a saved state. */
  restore(first: Float32Array, second: Float32Array, last: Int32Array, rates: Iterable<number>): void {
    this.first.set(first)
    this.second.set(second)
    this.last.set(last)
    this.#rates = [0]
    this.#kept = [1]
    this.#stepSizes = [0]
    this.#corrections = [0]
    for (const rate of rates) this.#count(rate)
  }

  #count(learningRate: number): void {
    const { beta1, beta2, weightDecay } = this.#options
    const t = this.#rates.push(learningRate) - 1
    this.#stepSizes.push(learningRate / (1 - beta1 ** t))
    this.#corrections.push(1 / (1 - beta2 ** t))
    this.#kept.push(this.#kept.at(-1)! * (1 - learningRate * weightDecay))
  }

  /** The scalars that bring a row from its `last` update to update `now`. */
  #catchUp(last: number, now: number): CatchUp {
    const { beta1, beta2, epsilon } = this.#options
    let move = 0
    let weighted = 0
    let fade1 = beta1
    let fade2 = beta2
    for (let t = last + 1; t <= now && fade1 > faded; t++) {
      const root = Math.sqrt(fade2 * this.#corrections[t]!)
      const share = ((this.#kept[now]! / this.#kept[t]!) * this.#stepSizes[t]! * fade1) / root
      move += share
      weighted += share / root
      fade1 *= beta1
      fade2 *= beta2
    }
    return {
      keep: this.#kept[now]! / this.#kept[last]!,
      move,
      epsilon: move > 0 ? (epsilon * weighted) / move : epsilon,
      fade1: beta1 ** (now - last),
      fade2: beta2 ** (now - last),
    }
  }

  /** Scalars by `last`; rows of a batch share few values of it. */
  #catchUps(now: number): (last: number) => CatchUp {
    const known = new Map<number, CatchUp>()
    return (last) => {
      let found = known.get(last)
      if (!found) known.set(last, (found = this.#catchUp(last, now)))
      return found
    }
  }

  /** Copies rows as they stand after all updates so far into `target`, [ids.length, width]. Changes nothing. */
  gather(ids: ArrayLike<number>, target: Float32Array): void {
    const { width, first, second, last } = this
    const weights = this.weights
    const now = this.step
    const catchUps = this.#catchUps(now)
    for (let k = 0; k < ids.length; k++) {
      const from = ids[k]! * width
      const to = k * width
      if (last[ids[k]!] === now) {
        target.set(weights.subarray(from, from + width), to)
        continue
      }
      const { keep, move, epsilon } = catchUps(last[ids[k]!]!)
      for (let i = 0; i < width; i++)
        target[to + i] =
          weights[from + i]! * keep - (move * first[from + i]!) / (Math.sqrt(second[from + i]!) + epsilon)
    }
  }

  /**
   * One update: rows `ids` (each once) have the gradient `gradient`, [ids.length, width]; all other rows have none.
   * @param gradientScale multiplies the gradient first.
   */
  update(ids: ArrayLike<number>, gradient: Float32Array, learningRate: number, gradientScale = 1): void {
    const { width, first, second, last } = this
    const weights = this.weights
    const before = this.step
    const catchUps = this.#catchUps(before)
    const factors: UpdateFactors = updateFactors(this.#options, before + 1, learningRate, gradientScale)
    const { beta1, beta2, epsilon, keep, stepSize, rootCorrection } = factors
    for (let k = 0; k < ids.length; k++) {
      const late = catchUps(last[ids[k]!]!)
      const at = ids[k]! * width
      for (let i = at, j = k * width; i < at + width; i++, j++) {
        const g = gradient[j]! * gradientScale
        const value = weights[i]! * late.keep - (late.move * first[i]!) / (Math.sqrt(second[i]!) + late.epsilon)
        const m = first[i]! * late.fade1 * beta1 + g * (1 - beta1)
        const v = second[i]! * late.fade2 * beta2 + g * g * (1 - beta2)
        first[i] = m
        second[i] = v
        weights[i] = Math.fround(value) * keep - (stepSize * m) / (Math.sqrt(v) * rootCorrection + epsilon)
      }
      last[ids[k]!] = before + 1
    }
    this.#count(learningRate)
  }

  /** The whole table as it stands after all updates so far, as a copy. */
  current(): Float32Array {
    const table = new Float32Array(this.weights.length)
    this.gather(
      Array.from({ length: this.rows }, (_, id) => id),
      table,
    )
    return table
  }
}
