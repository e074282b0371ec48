/** A worker thread that merges tensors by a method of the catalogue. */
import { serveJob } from '../../util/worker.ts'
import { findMergeMethod } from '../plan/find-method.ts'
import { findStrictMethod } from '../strict/index.ts'
import { type MergeJob, runMergeJob } from './merge-job.ts'

serveJob((job: MergeJob, options) =>
  runMergeJob(job, job.strict ? findStrictMethod(job.method) : findMergeMethod(job.method).definition, options),
)
