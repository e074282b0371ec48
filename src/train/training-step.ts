/**
 * One update of an encoder: forward and backward passes of a batch in parts (micro-batches), gradients added up on the host, then the optimiser.
 * The token table stays outside the graph: the rows of a batch are fed, and the gradient comes back for those rows only.
 */
import { compile, Graph, gradients, type RuntimeName, type Session } from '../graph/index.ts'
import type { HeadLayout, HeadTargets } from '../labels/head-layout.ts'
import type { EncoderModel } from '../models/encoder.ts'
import { encoderThreads } from '../models/threads.ts'
import { batchFeeds, gatherRows, tokenBatch } from '../models/token-batch.ts'
import type { RunOptions } from '../util/progress.ts'
import { batchTokens, microBatches, type TokenRows } from './batches.ts'
import type { LossOptions } from './head-loss.ts'
import type { Objective } from './objectives/objective.ts'
import type { Optimizer, RowGradient } from './optimizer.ts'
import type { ParameterRule } from './parameter-rules.ts'

export interface StepSetup {
  readonly model: EncoderModel
  /** All weights by name; bound, so that updates in place are seen. */
  readonly weights: ReadonlyMap<string, Float32Array>
  readonly rules: ReadonlyMap<string, ParameterRule>
  readonly layout: HeadLayout
  readonly objective: Objective
  readonly loss: LossOptions
  readonly rows: TokenRows
  readonly targets: HeadTargets
  readonly microBatchSize: number
  readonly seed: number
  readonly threads: number
  /** Default: see `compile`. */
  readonly runtime?: RuntimeName
}

export interface StepResult {
  readonly loss: number
  /** Global gradient norm before clipping. */
  readonly norm: number
}

/** Parts of one batch at most: the key of a part's random bytes is step * mostParts + part. */
const mostParts = 1024

export class TrainingStep {
  readonly #setup: StepSetup
  readonly #session: Session
  readonly #optimizer: Optimizer
  /** Where the session writes the gradients of dense tensors, by name. */
  readonly #gradients: Map<string, Float32Array>
  /** Sums over the parts of a batch; made when a batch first has several. */
  #sums: Map<string, Float32Array> | undefined
  readonly #tableTrained: boolean

  private constructor(
    setup: StepSetup,
    session: Session,
    optimizer: Optimizer,
    buffers: Map<string, Float32Array>,
    tableTrained: boolean,
  ) {
    this.#setup = setup
    this.#session = session
    this.#optimizer = optimizer
    this.#gradients = buffers
    this.#tableTrained = tableTrained
  }

  /** Builds and compiles the graph. */
  static async create(setup: StepSetup, optimizer: Optimizer, { onProgress }: RunOptions = {}): Promise<TrainingStep> {
    const { model, weights, rules, layout, objective, threads, runtime } = setup
    const { loss: replacement } = setup.loss
    const graph = new Graph()
    const built = model.build(graph, { dropout: true })
    const loss = objective.loss({ built, layout, ...(replacement ? { loss: replacement } : {}) })
    const trained = [...built.parameters].filter(([name]) => rules.get(name)!.trained)
    const tableTrained = rules.get(model.tokenTable)!.trained
    const wanted = [...trained.map(([, tensor]) => tensor), ...(tableTrained ? [built.tokens] : [])]
    const found = gradients(loss, wanted)
    const outputs = Object.fromEntries([
      ['loss', loss],
      ...trained.map(([name], i) => [`gradient ${name}`, found[i]!] as const),
      ...(tableTrained ? [['gradient rows', found.at(-1)!] as const] : []),
    ])
    const session = await compile(graph, outputs, {
      threads: encoderThreads(model.config, threads),
      ...(runtime === undefined ? {} : { runtime }),
      ...(onProgress ? { onProgress } : {}),
    })
    const buffers = new Map(trained.map(([name]) => [name, new Float32Array(weights.get(name)!.length)]))
    session.bind(
      new Map(
        [...built.parameters.keys()].filter((name) => session.has(name)).map((name) => [name, weights.get(name)!]),
      ),
    )
    session.bind(new Map([...buffers].map(([name, buffer]) => [`gradient ${name}`, buffer])))
    return new TrainingStep(setup, session, optimizer, buffers, tableTrained)
  }

  /**
   * One update with the rows of `batch`.
   * @returns loss and norm; if either is not finite, no weight was changed.
   */
  async run(batch: Uint32Array, learningRate: number, clip: number): Promise<StepResult> {
    const { rows, layout, targets, model, objective, loss: options, seed, microBatchSize } = this.#setup
    const parts = microBatches(batch, Math.max(microBatchSize, Math.ceil(batch.length / mostParts)))
    const table = new RowSum(model.config.hiddenSize)
    let loss = 0
    for (const [index, part] of parts.entries()) {
      const views = objective.views?.(part) ?? part
      const { B, S, ids, mask } = tokenBatch(batchTokens(rows, views), model)
      const step = this.#optimizer.step * mostParts + index
      const { feeds, dims } = objective.feeds({
        layout,
        targets,
        rows: part,
        batchRows: batch.length,
        options,
        seed,
        step,
        update: this.#optimizer.step,
      })
      const result = await this.#session.run(
        { ...feeds, ...batchFeeds({ ids, mask }, this.#tokenRows(ids), model) },
        {
          dims: { ...dims, B, S },
          random: { seed, step },
        },
      )
      loss += (result['loss'] as Float32Array)[0]!
      if (this.#tableTrained) table.add(ids, result['gradient rows'] as Float32Array)
      if (parts.length > 1) this.#addUp(index === 0)
    }
    if (!Number.isFinite(loss)) return { loss, norm: Number.NaN }
    const rowGradients = new Map<string, RowGradient>(this.#tableTrained ? [[model.tokenTable, table.result()]] : [])
    const norm = this.#optimizer.update(
      parts.length > 1 ? this.#sums! : this.#gradients,
      rowGradients,
      learningRate,
      clip,
    )
    return { loss, norm }
  }

  /** The table rows of `ids`, zeros for padding; each id is read once. */
  #tokenRows(ids: Int32Array): Float32Array {
    const { model, weights } = this.#setup
    const width = model.config.hiddenSize
    if (!this.#tableTrained) return gatherRows({ ids }, weights.get(model.tokenTable)!, width)
    const unique = Int32Array.from(new Set(ids)).filter((id) => id >= 0)
    const block = new Float32Array(unique.length * width)
    this.#optimizer.gather(model.tokenTable, unique, block)
    const place = new Map(Array.from(unique, (id, k) => [id, k]))
    return gatherRows({ ids: ids.map((id) => place.get(id) ?? -1) }, block, width)
  }

  #addUp(first: boolean): void {
    this.#sums ??= new Map([...this.#gradients].map(([name, { length }]) => [name, new Float32Array(length)]))
    for (const [name, gradient] of this.#gradients) {
      const sum = this.#sums.get(name)!
      if (first) sum.set(gradient)
      else for (let i = 0; i < sum.length; i++) sum[i]! += gradient[i]!
    }
  }

  async close(): Promise<void> {
    await this.#session.close()
  }
}

/** Adds up the gradients of token rows by token id; padding has none. */
class RowSum {
  readonly #width: number
  readonly #sums = new Map<number, Float32Array>()

  constructor(width: number) {
    this.#width = width
  }

  add(ids: Int32Array, gradient: Float32Array): void {
    const width = this.#width
    for (let i = 0; i < ids.length; i++) {
      if (ids[i]! < 0) continue
      let sum = this.#sums.get(ids[i]!)
      if (!sum) this.#sums.set(ids[i]!, (sum = new Float32Array(width)))
      const at = i * width
      for (let k = 0; k < width; k++) sum[k]! += gradient[at + k]!
    }
  }

  /** In ascending order of ids. */
  result(): RowGradient {
    const ids = Int32Array.from(this.#sums.keys()).sort()
    const values = new Float32Array(ids.length * this.#width)
    for (const [k, id] of ids.entries()) values.set(this.#sums.get(id)!, k * this.#width)
    return { ids, values }
  }
}
