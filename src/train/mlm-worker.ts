/** The worker thread of `trainMaskedLanguageModel`. */
import { serveJob } from '../util/worker.ts'
import type { MlmJob, MlmResult } from './mlm-job.ts'
import { runMlmJob } from './mlm-trainer.ts'

serveJob<MlmJob, MlmResult>(runMlmJob)
