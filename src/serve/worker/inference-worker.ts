/** The module that inference threads run. */
import { serveJob } from '../../util/worker.ts'
import { serveInference } from './serve-inference.ts'

serveJob(serveInference)
