/** The part of a classifier that turns texts into logits: a sparse linear model, a tree of rankers, or an encoder with its head. */
import type { HpScore } from '../evaluate/hp-score.ts'
import type { ModelParts } from '../models/model-parts.ts'
import type { RunOptions } from '../util/progress.ts'

export interface ScoreOptions extends RunOptions {
  /** Texts scored together. Default 64. */
  batch?: number
}

export interface RankOptions extends ScoreOptions {
  /** Nodes kept on each level of the search. Default: the model's. */
  beam?: number
}

/** The best units of many texts: row r has units[offsets[r]..offsets[r+1]), best first, with their logits beside. */
export interface RankedUnits {
  readonly offsets: Uint32Array
  readonly units: Uint32Array
  readonly logits: Float32Array
}

export interface Scorer {
  /** For people: "ngram", "bert", "roberta". */
  readonly kind: string
  /** Length of one row of logits. */
  readonly units: number
  /** Number of trained values. */
  readonly parameters: number
  /** Tokens per text, the rest is cut (encoders). */
  readonly maxLength?: number
  /** What training went through, for the run record: steps, best dev score, why it stopped. Undefined for a model that was loaded. */
  readonly training?: Record<string, unknown>
  /** Training rows with the logits they had before they were trained on, where the trainer gives them: to tune on without dev rows. */
  readonly heldOut?: { readonly rows: Uint32Array; readonly logits: Float32Array }
  /** What it is made of, for explanations and exports. */
  readonly parts: ModelParts
  /** Logits of texts, row by row: [texts x units]. Groups that a beam left out hold -Infinity. */
  score(texts: readonly string[], options?: ScoreOptions): Promise<Float32Array>
  /**
   * The `k` best units of each text only. A scorer that has it is asked by it: there may be millions of units, and rows of logits for all of them
   * are out of the question. Its head has one group.
   */
  rank?(texts: readonly string[], k: number, options?: RankOptions): Promise<RankedUnits>
  /** What answering has cost so far, where each answer is paid for. Such a scorer is not tuned on dev rows: that would be spent too. */
  usage?(): Record<string, number>
  /** How elaborate a prompt must be before each row is answered rightly, where a chat model answers. `label` is a node id. */
  rate?(
    rows: readonly { text: string; label: number }[],
    options: RunOptions & { penalty: number; adaptive: boolean },
  ): Promise<HpScore>
  /** Writes weights, config.json and the tokenizer into an existing folder. */
  save(folder: string): Promise<void>
  /** Frees native memory. */
  close(): Promise<void>
}
