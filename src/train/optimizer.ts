/**
 * The optimiser of a model: AdamW over its trained tensors, dense ones through a kernel, embedding tables by touched rows, with one gradient norm
 * over all of them.
 */
import { type AdamWOptions, checkAdamW, clipFactor, squaredNorm, updateFactors } from './adamw.ts'
import type { AdamWKernel } from './adamw-kernel.ts'
import { RowSparseAdamW } from './row-sparse-adamw.ts'

export interface TrainedTensor {
  readonly name: string
  /** Updated in place. */
  readonly weights: Float32Array
  readonly decays: boolean
  /** Multiplies the learning rate. */
  readonly rate: number
}

/** A trained table of which each update touches few rows. */
export interface TrainedTable extends TrainedTensor {
  readonly width: number
}

/** The gradient of some rows of a table, [ids.length, width]; each id once. */
export interface RowGradient {
  readonly ids: Int32Array
  readonly values: Float32Array
}

/** Everything that an optimiser must be given back to go on; arrays are its own, not copies. */
export interface OptimizerState {
  /** Learning rates so far, one for each update. */
  readonly rates: readonly number[]
  /** Per tensor name. */
  readonly moments: ReadonlyMap<string, { first: Float32Array; second: Float32Array; last?: Int32Array }>
}

interface Dense extends TrainedTensor {
  readonly first: Float32Array
  readonly second: Float32Array
}

export class Optimizer {
  readonly #kernel: AdamWKernel
  readonly #options: AdamWOptions
  readonly #dense: Dense[]
  readonly #tables = new Map<string, TrainedTable & { sparse: RowSparseAdamW }>()
  #rates: number[] = []

  /** @throws InputError `OPTION_RANGE` for options outside their range. */
  constructor(
    tensors: readonly TrainedTensor[],
    tables: readonly TrainedTable[],
    kernel: AdamWKernel,
    options: AdamWOptions,
  ) {
    checkAdamW(options)
    this.#kernel = kernel
    this.#options = options
    this.#dense = tensors.map((tensor) => ({
      ...tensor,
      first: kernel.moments(tensor.weights.length),
      second: kernel.moments(tensor.weights.length),
    }))
    for (const table of tables)
      this.#tables.set(table.name, {
        ...table,
        sparse: new RowSparseAdamW(table.weights, table.width, this.#optionsOf(table)),
      })
  }

  #optionsOf({ decays }: TrainedTensor): AdamWOptions {
    return decays ? this.#options : { ...this.#options, weightDecay: 0 }
  }

  /** Updates done. */
  get step(): number {
    return this.#rates.length
  }

  /** Names of the tables. */
  get tables(): string[] {
    return [...this.#tables.keys()]
  }

  /** The rows of a table as they stand now. */
  gather(table: string, ids: Int32Array, target: Float32Array): void {
    this.#tables.get(table)!.sparse.gather(ids, target)
  }

  /** A whole table as it stands now, as a copy. */
  table(name: string): Float32Array {
    return this.#tables.get(name)!.sparse.current()
  }

  /**
   * One update.
   * @param gradients by name, for each dense tensor; `rows` for each table.
   * @param clip limit of the global gradient norm; 0 for none.
   * @returns the norm before clipping. If it is not finite, nothing was changed.
   */
  update(
    gradients: ReadonlyMap<string, Float32Array>,
    rows: ReadonlyMap<string, RowGradient>,
    learningRate: number,
    clip: number,
  ): number {
    let squares = 0
    for (const { name } of this.#dense) squares += squaredNorm(gradients.get(name)!)
    for (const name of this.#tables.keys()) squares += squaredNorm(rows.get(name)!.values)
    const norm = Math.sqrt(squares)
    if (!Number.isFinite(norm)) return norm
    const scale = clipFactor(norm, clip)
    this.#rates.push(learningRate)
    for (const tensor of this.#dense) {
      const factors = updateFactors(this.#optionsOf(tensor), this.step, learningRate * tensor.rate, scale)
      this.#kernel.update(tensor.weights, gradients.get(tensor.name)!, tensor.first, tensor.second, factors)
    }
    for (const [name, { sparse, rate }] of this.#tables) {
      const { ids, values } = rows.get(name)!
      sparse.update(ids, values, learningRate * rate, scale)
    }
    return norm
  }

  /** What `restore` takes. */
  state(): OptimizerState {
    const moments = new Map<string, { first: Float32Array; second: Float32Array; last?: Int32Array }>()
    for (const { name, first, second } of this.#dense) moments.set(name, { first, second })
    for (const [name, { sparse }] of this.#tables)
      moments.set(name, { first: sparse.first, second: sparse.second, last: sparse.last })
    return { rates: this.#rates, moments }
  }

  /** Takes up a saved state; weights are restored by their owner. */
  restore({ rates, moments }: OptimizerState): void {
    this.#rates = [...rates]
    for (const { name, first, second } of this.#dense) {
      first.set(moments.get(name)!.first)
      second.set(moments.get(name)!.second)
    }
    for (const [name, { sparse, rate }] of this.#tables) {
      const saved = moments.get(name)!
      sparse.restore(
        saved.first,
        saved.second,
        saved.last!,
        rates.map((value) => value * rate),
      )
    }
  }
}
