/** The verb align: a merged multi-task model and a few texts of each task in, the same model with heads that fit its encoder out. */
import type { Dataset } from '../data/dataset.ts'
import type { RunOptions } from '../util/progress.ts'
import type { AlignMethod } from './align-method.ts'
import type { TaskScores } from './task-scores.ts'

export interface AlignOptions extends RunOptions {
  /** Default `ftClassifier()`. */
  method?: AlignMethod
  /** The folder to write. */
  out: string
  /** The fine-tuned classifier of each task, by task. Default: where the merge's record says they were. */
  experts?: Readonly<Record<string, string>>
  /** Labelled texts by task to measure on, before and after. Default: those of the data that the method did not draw (at most 500). */
  test?: Readonly<Record<string, Dataset>>
  /** Draws the texts; default 0. */
  seed?: number
  /** Default 1. */
  threads?: number
  /** Replace `out` if this package wrote it. */
  force?: boolean
  /** What is written to `espalier.json` as the command. */
  command?: string
}

/** What alignment did to one task. Agreement: the share of texts on which merged model and expert choose the same unit. All is measured on the other texts. */
export interface TaskAlignment {
  readonly task: string
  /** Texts used, and texts measured on: of the test data, or of the data beyond those used. */
  readonly texts: number
  readonly otherTexts: number
  /** Undefined if there are no other texts. */
  readonly agreementBefore?: number
  readonly agreementAfter?: number
  /** Of the expert, of the merged encoder with the head as it was, and with the fitted head; undefined if there are no other texts. */
  readonly scores?: { readonly specialist: TaskScores; readonly merged: TaskScores; readonly aligned: TaskScores }
  /** What it cost, by step: the vectors of both encoders, and the fit. */
  readonly seconds: { readonly vectors: number; readonly fit: number }
  /** Distance of the merged vectors from the expert's over their norm, as they are and after the best rotation (centred). */
  readonly distance: number
  readonly distanceRotated: number
}

export interface AlignResult {
  readonly folder: string
  readonly method: { readonly name: string; readonly options: Readonly<Record<string, unknown>> }
  readonly seed: number
  readonly tasks: readonly TaskAlignment[]
  readonly seconds: number
}

/**
 * Fits the heads of a multi-task model to its merged encoder.
 * @param folder a model with heads, as `merge` writes it of classifiers with different labels.
 * @param data a few labelled texts of each task to align, by task; other tasks keep their heads.
 * @throws InputError `TASK_UNKNOWN`, `EXPERT_MISSING`, `HEADS_DEEP`, `DATA_EMPTY`, `OUT_EXISTS`, and those of reading models.
 * @example
 * const rows = await readDataset('trec-few.jsonl')
 * const { tasks } = await align('merged', { trec: rows }, { method: ftClassifier({ shots: 10 }), out: 'aligned' })
 * tasks[0].scores // { specialist: { accuracy: 0.94 }, merged: { accuracy: 0.62 }, aligned: { accuracy: 0.89 } }
 */
export async function align(
  folder: string,
  data: Readonly<Record<string, Dataset>>,
  options: AlignOptions,
): Promise<AlignResult> {
  return (await import('./run-align.ts')).runAlign(folder, data, options)
}
