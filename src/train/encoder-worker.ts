/** The worker thread of `trainEncoder`. */
import { serveJob } from '../util/worker.ts'
import type { EncoderJob, EncoderResult } from './encoder-job.ts'
import { runEncoderJob } from './encoder-trainer.ts'

serveJob<EncoderJob, EncoderResult>(runEncoderJob)
