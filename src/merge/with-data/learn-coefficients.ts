/** Carries AdaMerging out: one gradient of the blended model for each task and step, turned into slopes of the coefficients, and Adam on these. */

import { Adam } from '../../tensor/adam.ts'
import { permutation, random } from '../../tensor/random.ts'
import { throwIfAborted } from '../../util/errors.ts'
import { layerGroup } from '../search/unconstrained-merge.ts'
import { answerEntropy } from './answer-entropy.ts'
import { addSlopes, type BlendInput, blendInto, type Coefficients } from './blend.ts'
import type { DataMerged, DataMergeRun } from './data-merge-method.ts'
import { LossGradients, tableRows } from './gradients-of.ts'
import { bareName, type Specialist, type Specialists, type Weights } from './specialists.ts'

export interface AdamergingOptions {
  readonly level: 'task' | 'layer' | 'tensor'
  readonly start: number
  readonly steps: number
  readonly learningRate: number
  readonly batch: number
}

const groupOf: Record<AdamergingOptions['level'], (name: string) => string> = {
  task: () => 'all',
  layer: (name) => layerGroup(bareName(name)),
  tensor: bareName,
}

/** The blended model with the head of each task, and its entropy's slopes. */
export class EntropyOfBlend {
  readonly #input: BlendInput
  readonly #shared: readonly string[]
  readonly #table: string
  readonly #width: number
  readonly #weights: Weights
  readonly #losses: readonly LossGradients[]
  readonly #sums: ReadonlyMap<string, Float32Array>

  private constructor(
    input: BlendInput,
    models: readonly Specialist[],
    shared: readonly string[],
    weights: Weights,
    losses: readonly LossGradients[],
  ) {
    this.#input = input
    this.#shared = shared
    this.#table = models[0]!.model.tokenTable
    this.#width = models[0]!.model.config.hiddenSize
    this.#weights = weights
    this.#losses = losses
    this.#sums = new Map(
      shared.filter((name) => name !== this.#table).map((name) => [name, new Float32Array(weights.get(name)!.length)]),
    )
  }

  static async open(
    { models, base, shared }: Specialists,
    group: (name: string) => string,
    threads: number,
  ): Promise<EntropyOfBlend> {
    const weights: Weights = new Map(shared.map((name) => [name, base!.get(name)!.slice()]))
    const losses: LossGradients[] = []
    let buffers: ReadonlyMap<string, Float32Array> | undefined
    for (const { model, layout, weights: own } of models) {
      const loss = await LossGradients.open(model, {
        loss: (logits) => answerEntropy(logits, layout),
        names: shared,
        threads,
        ...(buffers ? { buffers } : {}),
      })
      buffers = loss.buffers
      loss.bind(new Map([...own, ...weights]))
      losses.push(loss)
    }
    return new EntropyOfBlend({ base: base!, models, group }, models, shared, weights, losses)
  }

  /** Sets all parameters but the token table, whose rows are made when a batch needs them. */
  set(coefficients: Coefficients): void {
    for (const name of this.#shared)
      if (name !== this.#table) blendInto(this.#weights.get(name)!, this.#input, name, coefficients)
  }

  /**
   * The sum over tasks of the mean entropy on a batch of each.
   * @returns it with its slopes, by group and model.
   */
  async slopes(
    coefficients: Coefficients,
    batches: readonly (readonly Int32Array[])[],
  ): Promise<{ entropy: number; slopes: Map<string, Float64Array> }> {
    const slopes = new Map(Array.from(coefficients, ([name, { length }]) => [name, new Float64Array(length)]))
    const width = this.#width
    const table = this.#weights.get(this.#table)!
    for (const sum of this.#sums.values()) sum.fill(0)
    let entropy = 0
    for (const [t, texts] of batches.entries()) {
      for (const id of new Set(texts.flatMap((text) => [...text])))
        blendInto(table, this.#input, this.#table, coefficients, id * width, (id + 1) * width)
      const found = await this.#losses[t]!.run(texts)
      entropy += found.loss
      for (const [name, gradient] of found.dense) {
        const sum = this.#sums.get(name)!
        for (let i = 0; i < sum.length; i++) sum[i]! += gradient[i]!
      }
      for (const [id, row] of tableRows(found, width)) addSlopes(slopes, this.#input, this.#table, row, id * width)
    }
    for (const [name, gradient] of this.#sums) addSlopes(slopes, this.#input, name, gradient)
    return { entropy, slopes }
  }

  /** The whole blend. */
  finish(coefficients: Coefficients): Weights {
    for (const name of this.#shared) blendInto(this.#weights.get(name)!, this.#input, name, coefficients)
    return this.#weights
  }

  async close(): Promise<void> {
    for (const loss of this.#losses) await loss.close()
  }
}

export async function learnCoefficients(
  specialists: Specialists,
  { level, start, steps, learningRate, batch }: AdamergingOptions,
  { threads, seed, signal, onProgress }: DataMergeRun,
): Promise<DataMerged> {
  const { models, shared } = specialists
  const group = groupOf[level]
  const names = [...new Set(shared.map(group))]
  // One vector for Adam, whose parts are the coefficients of each group.
  const values = new Float64Array(names.length * models.length).fill(start)
  const gradient = new Float64Array(values.length)
  const part = (of: Float64Array, g: number) => of.subarray(g * models.length, (g + 1) * models.length)
  const coefficients = new Map(names.map((name, g) => [name, part(values, g)]))
  const adam = new Adam(values.length, learningRate)
  const entropies: number[] = []
  const blend = await EntropyOfBlend.open(specialists, group, threads)
  try {
    for (let step = 0; step < steps; step++) {
      throwIfAborted(signal)
      blend.set(coefficients)
      const batches = models.map(({ rows }, t) => drawBatch(rows.tokens, batch, step, [seed, t]))
      const { entropy, slopes } = await blend.slopes(coefficients, batches)
      entropies.push(entropy / models.length)
      for (const [g, name] of names.entries()) part(gradient, g).set(slopes.get(name)!)
      adam.update(values, gradient)
      onProgress?.({
        step: 'adamerging',
        done: step + 1,
        total: steps,
        unit: 'steps',
        metrics: { entropy: entropies.at(-1)! },
      })
    }
    const weights = blend.finish(coefficients)
    const found = Object.fromEntries(Array.from(coefficients, ([name, list]) => [name, [...list]]))
    return { weights, report: { coefficients: found, entropy: ends(entropies) } }
  } finally {
    await blend.close()
  }
}

/** Texts of one step: consecutive stretches of an order that is drawn anew for every pass. */
function drawBatch(
  texts: readonly Int32Array[],
  size: number,
  step: number,
  key: readonly number[],
): readonly Int32Array[] {
  const count = Math.min(size, texts.length)
  const stretches = Math.floor(texts.length / count)
  const order = permutation(texts.length, random('adamerging', ...key, Math.floor(step / stretches)))
  const from = (step % stretches) * count
  return Array.from(order.subarray(from, from + count), (i) => texts[i]!)
}

/** Mean entropy of the first and the last tenth of the steps, a task. */
function ends(entropies: readonly number[]): { first: number; last: number } | undefined {
  if (entropies.length === 0) return undefined
  const count = Math.max(1, Math.floor(entropies.length / 10))
  const mean = (list: readonly number[]) => list.reduce((sum, x) => sum + x, 0) / list.length
  return { first: mean(entropies.slice(0, count)), last: mean(entropies.slice(-count)) }
}
