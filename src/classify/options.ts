/** The options and results of the verbs train, evaluate and predict. */
import type { Dataset } from '../data/dataset.ts'
import type { Decoder } from '../labels/decode.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import type { Loss } from '../train/losses/loss.ts'
import type { RunOptions } from '../util/progress.ts'
import type { HeadMethod } from './head-method.ts'

export interface TrainOptions extends RunOptions {
  /** The label tree, or the JSON file that holds it. Default: built from the label paths of the data. */
  labels?: LabelTree | string
  /** Rows for early stopping, calibration and thresholds. Default: a stratified tenth of the data. */
  dev?: Dataset
  /** The head. Default: chosen by the number of labels, their depth, labels per row and the encoder; the plan and the record say why. */
  method?: HeadMethod
  /** What is minimised in place of the head's cross-entropy (encoders): `focalLoss()`, `asymmetricLoss()`, `treeSmoothingLoss()`, `treeMarginLoss()`, `zlprLoss()`. */
  loss?: Loss
  /** `ngram` (default), `mini` or `gru` (from scratch), a checkpoint folder, or `hf:ORG/NAME`. */
  encoder?: string
  /** Folder for the trained model. Without it the model lives in memory only. */
  out?: string
  /** Replace `out` if this package wrote it. Default false. */
  force?: boolean
  /** Continue an interrupted run of the same command; the result equals an uninterrupted one, bit for bit. Default false. */
  resume?: boolean
  /** Passes over the data (encoders). Default: by encoder, with early stopping. */
  epochs?: number
  /** Peak learning rate (encoders). Default: by encoder. */
  lr?: number
  /** Rows per step (encoders). Default 32. */
  batch?: number
  /** Tokens per text, the rest is cut (encoders). Default: 128, or the encoder's own limit if that is less. */
  maxLength?: number
  /** Seed of every random choice. Default 0. */
  seed?: number
  /** Stop in order after so many minutes (encoders). Default: no limit. */
  maxMinutes?: number
  /**
   * Threads to compute with. Default: the machine's cores. An `ngram` model has the same bytes on any number of threads; of an encoder the last digits
   * can differ, because the runtime splits its sums by threads.
   */
  threads?: number
  /** A label that is not in the tree: an error (default), skipped (and the row with it if it has no other), or added to the tree. */
  unknownLabels?: 'error' | 'skip' | 'add'
  /** How the model's probabilities become labels, unless `predict` or `evaluate` say otherwise. Default: `threshold` with several labels per row, else `leaf-up`. */
  decoder?: Decoder
  /** What is written to `espalier.json` as the command that made the model. */
  command?: string
}

export interface PredictOptions extends RunOptions {
  /** How many alternatives to return per text. Default 1. */
  topK?: number
  /** Cut the path at the first label less probable than this, 0 to 1; the answer may then stop at an inner node or be empty. Default: the model's (0). */
  minConfidence?: number
  /** How probabilities become labels. Default: the model's. */
  decoder?: Decoder
  /** Nodes kept on each level by a model that searches a tree (xr-linear). Default: the model's. */
  beam?: number
  /** Texts scored together. Default 64. */
  batch?: number
  threads?: number
}

export interface PredictedPath {
  /** Names from the root to the label. */
  path: string[]
  /** Probability of each label along the path, root first, 0 to 1; never increasing. */
  confidence: number[]
}

/** The answer for one text. `path` and `confidence` are those of the most probable predicted path (empty if the model abstains). */
export interface Prediction extends PredictedPath {
  /** Every predicted path: one, none (abstained), or several for a model of several labels per row. */
  paths: PredictedPath[]
  /** The `topK` most probable ends of paths, whether predicted or not. */
  top: { path: string[]; probability: number }[]
}

export interface TrainPlan {
  encoder: string
  /** `why`: where the method was not named. */
  method: { name: string; options: Record<string, unknown>; why?: string }
  /** What is minimised, where it is not the method's own. */
  loss?: { name: string; options: Record<string, unknown> }
  rows: number
  devRows: number
  labels: { count: number; levels: number; leaves: number; units: number; multiLabel: boolean }
  inputs: { file: string; bytes: number; sha256: string }[]
  /** Steps of the optimiser (encoders), or training problems (ngram). */
  steps: number
  parameters: number
  /** Estimates for this machine. */
  peakMemoryBytes: number
  seconds: number
  writes: { file: string; bytes: number }[]
  /** What the data shows that a person should know: labels without rows, duplicates, rows skipped. */
  warnings: string[]
}
