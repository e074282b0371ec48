/**
 * `espalier/browser`: classifiers in a browser tab. Models that were trained anywhere are opened by URL; heads are trained and small encoders fine-tuned
 * in a worker; what was trained is saved as the folder that Node opens.
 */
import type { RunOptions } from '../util/progress.ts'
import type { BrowserClassifier } from './browser-classifier.ts'
import type { ModelSource } from './model-files.ts'
import type { RuntimeOptions } from './runtime-choice.ts'
import type { BrowserTrainOptions, LabelledText } from './train.ts'

export type { PredictedPath, Prediction, PredictOptions } from '../classify/options.ts'
export { formatPath } from '../labels/label-tree.ts'
export { EspalierError, InputError, InterruptedError, RunError } from '../util/errors.ts'
export type { Progress, RunOptions } from '../util/progress.ts'
export type { BrowserClassifier, ClassifierInfo, EmbedOptions } from './browser-classifier.ts'
export type { ModelSource } from './model-files.ts'
export type { RuntimeOptions } from './runtime-choice.ts'
export type { BrowserTrainOptions, LabelledText } from './train.ts'
export { zipFiles } from './zip.ts'

export interface WorkerOption {
  /** Compute in a worker, so that the page stays free. */
  worker?: boolean
}

/**
 * Opens a classifier that `espalier train` wrote, or a classification checkpoint in the Hugging Face layout.
 * @param source the folder's URL, or its files by name.
 * @param options `worker` defaults to false, which answers soonest and suits ngram models; encoders are better in a worker.
 * @throws InputError `MODEL_FORMAT`, `CLASSIFIER_FORMAT` and those of damaged files; RunError `FETCH_FAILED`.
 * @example
 * const model = await loadClassifier('/models/clinc150/')
 * const [answer] = await model.predict(['book a table for two'])
 * answer.path // ['kitchen_and_dining', 'restaurant_reservation']
 */
export async function loadClassifier(
  source: ModelSource,
  options: WorkerOption & RuntimeOptions & RunOptions = {},
): Promise<BrowserClassifier> {
  const { worker = false, ...rest } = options
  if (worker) return (await import('./worker-client.ts')).loadInWorker(source, rest)
  return (await import('./open.ts')).openClassifier(source, rest)
}

/**
 * Trains a classifier on an encoder: its head alone, or every weight.
 * @param rows labelled texts.
 * @param options `worker` defaults to true.
 * @returns the classifier; `files()` gives the folder to save.
 * @throws InputError `TRAIN_EMPTY`, `LABEL_UNKNOWN`, `OPTION_RANGE` and those of the encoder; RunError `LOSS_NOT_FINITE`, `FETCH_FAILED`;
 *   InterruptedError when the signal fires.
 * @example
 * const model = await trainClassifier(rows, { encoder: '/models/mini/', epochs: 3, onProgress: ({ metrics }) => show(metrics.loss) })
 * download(zipFiles(await model.files()))
 */
export async function trainClassifier(
  rows: readonly LabelledText[],
  options: WorkerOption & BrowserTrainOptions,
): Promise<BrowserClassifier> {
  const { worker = true, ...rest } = options
  if (worker) return (await import('./worker-client.ts')).trainInWorker(rows, rest)
  return (await import('./train.ts')).trainHere(rows, rest)
}
