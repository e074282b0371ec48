/** Training of `xr-linear` models: sparse linear rankers in a tree over labels, for up to millions of them (Prabhu et al., 2018; Yu et al., 2022). */
import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { chunksInMemory } from '../../models/xr-chunks.ts'
import { XrLinearModel } from '../../models/xr-linear.ts'
import type { XrTree } from '../../models/xr-tree.ts'
import { writeFileAtomic } from '../../util/atomic.ts'
import { InputError } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { runInWorker, workerUrl } from '../../util/worker.ts'
import type { XrJob, XrResult } from './run-xr.ts'
import type { XrOptions } from './xr-options.ts'

export interface XrTraining {
  readonly texts: readonly string[]
  /** Row r has the units labels[offsets[r]..offsets[r+1]). */
  readonly labels: XrJob['labels']
  readonly units: number
  /** The tree to search; default: learnt from the rows. */
  readonly tree?: XrTree
  readonly options: XrOptions
  /** Default 0. */
  readonly seed?: number
  /** Solver threads; the result does not depend on them. Default: those of the machine, at most 8. */
  readonly threads?: number
  /** Finished parts are kept here: a run that was interrupted goes on from them, to the same bytes. */
  readonly workFolder?: string
}

/**
 * Trains an `xr-linear` model, in worker threads.
 * @throws InputError `ROWS_EMPTY`, `ROWS_TARGETS`, `RESUME_MISMATCH`; InterruptedError when the signal fires.
 * @example
 * const { model } = await trainXrLinear({ texts, labels: { offsets, labels }, units: 100_000, options })
 * model.rank(['a new text'], 5).units // the five best units
 */
export async function trainXrLinear(
  training: XrTraining,
  run: RunOptions = {},
): Promise<{ model: XrLinearModel; facts: XrResult['facts'] }> {
  const { texts, labels, units, tree, options, seed = 0, workFolder } = training
  if (texts.length === 0)
    throw new InputError('ROWS_EMPTY', 'There are no rows to train on', { help: 'give at least one row per label' })
  if (labels.offsets.length !== texts.length + 1)
    throw new InputError(
      'ROWS_TARGETS',
      `Expected labels of ${texts.length} rows, received ${labels.offsets.length - 1}`,
    )
  const job: XrJob = {
    texts,
    labels,
    units,
    tree,
    options,
    seed,
    threads: Math.max(1, training.threads ?? Math.min(8, availableParallelism())),
    workFolder,
  }
  if (workFolder !== undefined) await claimWorkFolder(workFolder, job)
  const url = workerUrl(import.meta.url, './xr-worker.ts')
  const { parts, bytes, facts } = await runInWorker<XrJob, XrResult>(url, job, run)
  return {
    model: await XrLinearModel.fromParts({ ...parts, chunks: chunksInMemory(parts.tree, parts.sizes, bytes) }),
    facts,
  }
}

/** Notes in the work folder what is trained there; throws if it is something else. */
async function claimWorkFolder(folder: string, { texts, labels, units, tree, options, seed }: XrJob): Promise<void> {
  const hash = createHash('sha256')
  hash.update(JSON.stringify([texts.length, units, options, seed]))
  for (const text of texts) hash.update(`${text}\0`)
  for (const part of [labels.offsets, labels.labels, ...(tree ? [tree.childStart, tree.targets] : [])])
    hash.update(part)
  const fingerprint = hash.digest('hex')
  const file = join(folder, 'xr-training.json')
  await mkdir(folder, { recursive: true })
  const found = await readFile(file, 'utf8').catch(() => undefined)
  if (found === undefined) return writeFileAtomic(file, JSON.stringify({ fingerprint }))
  if (found.includes(fingerprint)) return
  throw new InputError('RESUME_MISMATCH', 'The unfinished training was started with other data or options', {
    where: { file },
    help: 'resume with the same data and options, or start again in another folder',
  })
}
