/** Worker thread that runs the training of an `ngram` model, so that the caller's event loop stays free. */
import { serveJob } from '../util/worker.ts'
import { type LinearJob, type LinearResult, runLinear } from './linear-run.ts'

serveJob<LinearJob, LinearResult>(runLinear)
