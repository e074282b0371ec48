/** Scores the dev set while training: the plain decoder on the present weights, which the evaluation does not touch. */
import type { HeadLayout } from '../labels/head-layout.ts'
import { unitScores } from '../labels/predict-units.ts'
import type { EncoderModel } from '../models/encoder.ts'
import { type EncoderRuntime, openEncoder } from '../models/encoder-runtime.ts'
import { rowCount, type TokenRows } from './batches.ts'
import type { TrainingRows } from './encoder-job.ts'
import type { Optimizer } from './optimizer.ts'

export class DevEvaluator {
  /** The score that decides: exactPath for softmax layouts, microF1 over units for sigmoid ones. */
  readonly metric: 'exactPath' | 'microF1'
  readonly #layout: HeadLayout
  readonly #dev: TrainingRows
  readonly #encoder: EncoderRuntime
  /** Brings the token rows of the dev set up to date. */
  readonly #refresh: () => void

  private constructor(layout: HeadLayout, dev: TrainingRows, encoder: EncoderRuntime, refresh: () => void) {
    this.metric = layout.activation === 'softmax' ? 'exactPath' : 'microF1'
    this.#layout = layout
    this.#dev = dev
    this.#encoder = encoder
    this.#refresh = refresh
  }

  static async create(
    model: EncoderModel,
    weights: ReadonlyMap<string, Float32Array>,
    layout: HeadLayout,
    dev: TrainingRows,
    optimizer: Optimizer,
    threads: number,
  ): Promise<DevEvaluator> {
    if (!optimizer.tables.includes(model.tokenTable))
      return new DevEvaluator(layout, dev, await openEncoder(model, weights, 'logits', { threads }), () => {})
    // Rows of a trained table are late until they are read: the evaluation has a table of its own.
    const width = model.config.hiddenSize
    const table = new Float32Array(weights.get(model.tokenTable)!.length)
    const ids = Int32Array.from(new Set(dev.rows.tokens))
    const block = new Float32Array(ids.length * width)
    const encoder = await openEncoder(model, new Map([...weights, [model.tokenTable, table]]), 'logits', { threads })
    return new DevEvaluator(layout, dev, encoder, () => {
      optimizer.gather(model.tokenTable, ids, block)
      for (const [k, id] of ids.entries()) table.set(block.subarray(k * width, (k + 1) * width), id * width)
    })
  }

  async evaluate(): Promise<Record<string, number>> {
    this.#refresh()
    const rows = await this.#encoder.run(tokenLists(this.#dev.rows))
    const units = this.#layout.unitNodes.length
    const logits = new Float32Array(rows.length * units)
    for (const [row, values] of rows.entries()) logits.set(values, row * units)
    const { exact, microF1 } = unitScores(this.#layout, this.#dev.targets, logits)
    return { exactPath: exact, microF1 }
  }

  async close(): Promise<void> {
    await this.#encoder.close()
  }
}

function tokenLists({ offsets, tokens }: TokenRows): Int32Array[] {
  return Array.from({ length: rowCount({ offsets, tokens }) }, (_, row) =>
    tokens.subarray(offsets[row], offsets[row + 1]),
  )
}
