/** Merging with data: several fine-tuned classifiers and rows of their tasks in, one multi-task model out. What it needs is loaded with the first call. */
import type { Dataset } from '../../data/dataset.ts'
import type { RunOptions } from '../../util/progress.ts'
import type { MergePlan } from '../plan/merge-plan.ts'
import type { DataMergeMethod } from './data-merge-method.ts'

export interface MergeWithDataOptions extends RunOptions {
  /** Such as `regmean()`. */
  method: DataMergeMethod
  /** Rows of each model's task, in the order of the models: texts, and labels where the method asks for them. */
  data: readonly Dataset[]
  /** The model that the others were fine-tuned from; methods of differences need it. */
  base?: string
  /** The folder to write. */
  out: string
  /** Rows of each task at most (default 256). */
  rows?: number
  /** Draws the rows and all else that is drawn; default 0. */
  seed?: number
  /** Default 1. */
  threads?: number
  /** Replace `out` if this package wrote it. */
  force?: boolean
  /** What is written to `espalier.json` as the command. */
  command?: string
}

export interface MergeWithDataResult {
  readonly folder: string
  readonly method: string
  /** Rows that were used, by model. */
  readonly rows: readonly number[]
  /** What the method found, such as coefficients. */
  readonly report: Readonly<Record<string, unknown>>
  readonly bytes: number
  readonly seconds: number
  readonly plan: MergePlan
}

/**
 * Merges classifiers by what they do with rows of their tasks. The encoder is merged, every task keeps its head; all models are held in memory.
 *
 * @param models folders of classifiers fine-tuned from one base.
 * @throws InputError `MERGE_INPUT`, `MODELS_DIFFER`, `LABELS_NONE`, `BASE_MISSING`, `OUT_EXISTS`, and those of reading models and data.
 * @example
 * const data = [await readDataset('trec.jsonl'), await readDataset('reviews.jsonl')]
 * await mergeWithData(['trec', 'reviews'], { method: regmean(), data, out: 'merged' })
 */
export async function mergeWithData(
  models: readonly string[],
  options: MergeWithDataOptions,
): Promise<MergeWithDataResult> {
  return (await import('./run-merge-with-data.ts')).runMergeWithData(models, options)
}

/** Plans the same merge as `mergeWithData` from headers alone. */
export async function planMergeWithData(
  models: readonly string[],
  options: Pick<MergeWithDataOptions, 'method' | 'base' | 'signal' | 'onProgress'>,
): Promise<MergePlan> {
  return (await import('./run-merge-with-data.ts')).planWithData(models, options)
}
