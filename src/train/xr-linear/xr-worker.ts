/** Worker thread that runs the training of an `xr-linear` model, so that the caller's event loop stays free. */
import { serveJob } from '../../util/worker.ts'
import { runXr, type XrJob, type XrResult } from './run-xr.ts'

serveJob<XrJob, XrResult>(runXr)
