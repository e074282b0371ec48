/** Worker thread that runs the training of an `ngram` model, so that the caller's event loop stays free. */
import type { NgramParts } from '../models/ngram-parts.ts'
import { serveJob } from '../util/worker.ts'
import { type LinearJob, runLinear } from './linear-run.ts'

serveJob<LinearJob, NgramParts>(runLinear)
