/** Masked language modelling in a worker thread, so that the caller's event loop stays free. */
import type { RunOptions } from '../util/progress.ts'
import { runInWorker, workerUrl } from '../util/worker.ts'
import { checkMlmJob, type MlmJob, type MlmResult } from './mlm-job.ts'

/**
 * Trains an encoder from scratch to guess masked tokens (Devlin et al., 2019). The same job gives the same weights, interrupted and resumed or not.
 * @throws InputError `OPTION_RANGE`, `TRAIN_EMPTY`, `RUN_UNFINISHED`, `RESUME_OTHER`; RunError `LOSS_NOT_FINITE`; InterruptedError.
 */
export async function trainMaskedLanguageModel(job: MlmJob, options: RunOptions = {}): Promise<MlmResult> {
  checkMlmJob(job)
  return runInWorker<MlmJob, MlmResult>(workerUrl(import.meta.url, './mlm-worker.ts'), job, options)
}
