/** Gradients of a loss of an encoder's logits with respect to its shared weights, for any weights of its shape: what Fisher, AdaMerging and APL need. */
import { compile, Graph, gradients, type HostArray, type Session, type Tensor } from '../../graph/index.ts'
import type { EncoderModel } from '../../models/index.ts'
import { encoderThreads } from '../../models/threads.ts'
import type { RunOptions } from '../../util/progress.ts'
import { batchFeeds, boundWeights } from './batches.ts'
import type { Weights } from './specialists.ts'

/** What `run` found. The arrays are written again by the next run. */
export interface FoundGradients {
  readonly loss: number
  /** By name, without the token table. */
  readonly dense: ReadonlyMap<string, Float32Array>
  /** Of the token table: token ids in the order of the batch, -1 for padding, and a row for each. */
  readonly ids: Int32Array
  readonly rows: Float32Array
}

export interface GradientsOptions extends RunOptions {
  /** The loss, a scalar; it may add inputs of its own to the graph. */
  loss: (logits: Tensor) => Tensor
  /** Names of the weights, without the token table, whose rows always have gradients. */
  names: readonly string[]
  threads: number
  /** Where gradients are written; to share them among several losses of one shape. */
  buffers?: ReadonlyMap<string, Float32Array>
}

export class LossGradients {
  /** The gradients that the last run found, by name. */
  readonly buffers: ReadonlyMap<string, Float32Array>
  readonly #model: EncoderModel
  readonly #session: Session
  #weights: Weights = new Map()

  private constructor(model: EncoderModel, session: Session, buffers: ReadonlyMap<string, Float32Array>) {
    this.#model = model
    this.#session = session
    this.buffers = buffers
  }

  static async open(model: EncoderModel, options: GradientsOptions): Promise<LossGradients> {
    const graph = new Graph()
    const built = model.build(graph)
    const loss = options.loss(built.logits!)
    const names = options.names.filter((name) => name !== model.tokenTable)
    const found = gradients(loss, [...names.map((name) => built.parameters.get(name)!), built.tokens])
    const outputs = Object.fromEntries(names.map((name, i) => [`gradient ${name}`, found[i]!]))
    const session = await compile(
      graph,
      { ...outputs, loss, 'gradient rows': found.at(-1)! },
      { ...options, threads: encoderThreads(model.config, options.threads) },
    )
    const sizes = new Map(model.parameters.map(({ name, shape }) => [name, shape.reduce((a, b) => a * b, 1)]))
    const buffers = options.buffers ?? new Map(names.map((name) => [name, new Float32Array(sizes.get(name)!)]))
    session.bind(new Map([...buffers].map(([name, buffer]) => [`gradient ${name}`, buffer])))
    return new LossGradients(model, session, buffers)
  }

  /** The weights to differentiate at; they are read at every run, so they may change in place. */
  bind(weights: Weights): void {
    this.#weights = weights
    this.#session.bind(boundWeights(this.#session, weights))
  }

  async run(
    texts: readonly Int32Array[],
    loss: { feeds?: Record<string, HostArray>; dims?: Record<string, number> } = {},
  ): Promise<FoundGradients> {
    const { batch, feeds, dims } = batchFeeds(this.#model, this.#weights, texts)
    const result = await this.#session.run({ ...feeds, ...loss.feeds }, { dims: { ...dims, ...loss.dims } })
    return {
      loss: (result['loss'] as Float32Array)[0]!,
      dense: this.buffers,
      ids: batch.ids,
      rows: result['gradient rows'] as Float32Array,
    }
  }

  close(): Promise<void> {
    return this.#session.close()
  }
}

/** Adds up the gradient of each token's row: a token that occurs twice has the sum of both. */
export function tableRows({ ids, rows }: FoundGradients, width: number): Map<number, Float64Array> {
  const sums = new Map<number, Float64Array>()
  for (const [i, id] of ids.entries()) {
    if (id < 0) continue
    let sum = sums.get(id)
    if (!sum) sums.set(id, (sum = new Float64Array(width)))
    for (let k = 0; k < width; k++) sum[k]! += rows[i * width + k]!
  }
  return sums
}
