/** Training of an encoder in a worker thread, so that the caller's event loop stays free. */
import type { RunOptions } from '../util/progress.ts'
import { runInWorker, workerUrl } from '../util/worker.ts'
import { checkJob, type EncoderJob, type EncoderResult } from './encoder-job.ts'

/**
 * Trains an encoder with any head layout: fine-tunes a checkpoint folder, or trains a configuration from scratch. The same job gives the same
 * weights, interrupted and resumed or not (`threads` is part of the job).
 *
 * An abort saves the state in the work folder and throws InterruptedError; the same job with `resume: true` then continues.
 * @throws InputError `OPTION_RANGE`, `TRAIN_EMPTY`, `FREEZE_UNKNOWN`, `RUN_UNFINISHED`, `RESUME_OTHER`, and those of reading the checkpoint;
 * RunError `LOSS_NOT_FINITE` when training diverges; InterruptedError.
 * @example
 * const { weights } = await trainEncoder({
 *   source: { folder: 'minilm' }, pooling: 'mean', layout, train: { rows: packTokens(tokens), targets },
 *   options: { ...fineTuneDefaults, epochs: 3 },
 * })
 */
export async function trainEncoder(job: EncoderJob, options: RunOptions = {}): Promise<EncoderResult> {
  checkJob(job)
  return runInWorker<EncoderJob, EncoderResult>(workerUrl(import.meta.url, './encoder-worker.ts'), job, options)
}
