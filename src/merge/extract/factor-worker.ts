/** A worker thread of an extraction. */
import { serveJob } from '../../util/worker.ts'
import { runFactorJob } from './factor-job.ts'

serveJob(runFactorJob)
