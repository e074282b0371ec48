/** The verb train for several tasks at once: one encoder, trained on the rows of all tasks, and a head for each (Caruana, Multitask Learning, 1997). */
import type { Dataset } from '../data/dataset.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import type { MultiTaskModel } from './load-tasks.ts'
import type { TrainOptions, TrainPlan } from './options.ts'

export interface TrainTasksOptions extends Omit<TrainOptions, 'labels' | 'dev' | 'out' | 'encoder' | 'loss'> {
  /** The folder to write. */
  out: string
  /** `mini` (default), a checkpoint folder, or `hf:ORG/NAME`. */
  encoder?: string
  /** Label trees by task. Default: built from the label paths of the data. */
  labels?: Readonly<Record<string, LabelTree | string>>
  /** Dev rows by task. Default: a stratified tenth of its data. */
  dev?: Readonly<Record<string, Dataset>>
}

/** The plan of each task, and what all cost together. */
export interface TrainTasksPlan
  extends Pick<TrainPlan, 'encoder' | 'steps' | 'parameters' | 'peakMemoryBytes' | 'seconds' | 'writes'> {
  readonly tasks: readonly (Pick<TrainPlan, 'method' | 'rows' | 'devRows' | 'labels' | 'inputs' | 'warnings'> & {
    readonly task: string
  })[]
}

/**
 * Trains one encoder for several tasks jointly. An epoch has every row of every task once, in batches that mix tasks; the loss of a row is that of
 * its own task's head. What is written is a multi-task model, such as a merge of classifiers makes.
 * @param data labelled rows by task; names may have letters, digits, `.`, `_` and `-`.
 * @returns the model, opened. Close it when it is not needed.
 * @throws those of `train`; InputError `TASKS_MIXED` if some tasks have one label a row and others several, `TASK_NAME`, `METHOD_TASKS` for
 *   methods that are no head on a shared encoder, `METHOD_ENCODER` for `ngram`.
 * @example
 * const model = await trainTasks({ news, reviews }, { encoder: 'minilm', out: 'joint' })
 * const [answer] = await predict(model.classifier('news'), ['Shares fell on Friday'])
 */
export async function trainTasks(
  data: Readonly<Record<string, Dataset>>,
  options: TrainTasksOptions,
): Promise<MultiTaskModel> {
  return (await import('./run-train-tasks.ts')).runTrainTasks(data, options)
}

/**
 * Says what `trainTasks` would do; trains and writes nothing.
 * @throws the errors that `trainTasks` would throw before it starts.
 * @example (await planTrainTasks({ news, reviews }, { encoder: 'minilm', out: 'joint' })).seconds
 */
export async function planTrainTasks(
  data: Readonly<Record<string, Dataset>>,
  options: TrainTasksOptions,
): Promise<TrainTasksPlan> {
  return (await import('./run-train-tasks.ts')).runPlanTasks(data, options)
}
