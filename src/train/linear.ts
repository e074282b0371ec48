/** Training of the `ngram` model: support vector machines on hashed n-grams, for any head layout, without a native runtime. */
import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { HeadLayout, HeadTargets } from '../labels/head-layout.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import { NgramModel } from '../models/ngram.ts'
import { defaultNgrams } from '../text/ngram-hasher.ts'
import { writeFileAtomic } from '../util/atomic.ts'
import { InputError } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import { runInWorker, workerUrl } from '../util/worker.ts'
import { defaultLinearOptions, type LinearOptions } from './linear-options.ts'
import { linearProblems } from './linear-problems.ts'
import type { HeldOut, LinearJob, LinearResult } from './linear-run.ts'

export interface LinearTraining {
  /** The rows' texts, in the order of the targets. */
  texts: readonly string[]
  layout: HeadLayout
  targets: HeadTargets
  /** Lets the labels of a flat layout share what is known about their branches. */
  tree?: LabelTree
  options?: Partial<LinearOptions>
  /** Orders the rows in each pass. Default 0. */
  seed?: number
  /** Solver threads; the result does not depend on them. Default: those of the machine, at most 8. */
  threads?: number
  /** Finished parts are kept here: a run that was interrupted goes on from them, to the same bytes. */
  workFolder?: string
}

export interface TrainedNgram {
  readonly model: NgramModel
  /** A tenth of the training rows with the logits they had before they were trained on: to tune thresholds on, without giving rows away. */
  readonly heldOut: HeldOut
}

/**
 * Trains an `ngram` model (Hsieh et al., A dual coordinate descent method for large-scale linear SVM, 2008), in worker threads.
 * @throws InputError `ROWS_EMPTY`, `ROWS_TARGETS` (as many targets as texts), `RESUME_MISMATCH` (the work folder is another training's);
 * InterruptedError when the signal fires: finished parts stay in the work folder.
 * @example
 * const layout = flat().layout(tree, { multiLabel: false, terminals: tree.leaves })
 * const { model } = await trainLinear({ texts, layout, targets: headTargets(layout, tree, labels), tree })
 * model.score(['a new text']) // logits of the layout's units
 */
export async function trainLinear(training: LinearTraining, run: RunOptions = {}): Promise<TrainedNgram> {
  const { texts, layout, targets, tree, workFolder, seed = 0 } = training
  const options: LinearOptions = { ...defaultLinearOptions, ...training.options }
  if (texts.length === 0)
    throw new InputError('ROWS_EMPTY', 'There are no rows to train on', { help: 'give at least one row per label' })
  if (targets.groupOffsets.length !== texts.length + 1)
    throw new InputError(
      'ROWS_TARGETS',
      `Expected targets of ${texts.length} rows, received ${targets.groupOffsets.length - 1}`,
    )
  const job: LinearJob = {
    texts,
    layout,
    targets,
    problems: linearProblems(layout, targets, options.ancestors, tree),
    options,
    seed,
    threads: Math.max(1, training.threads ?? Math.min(8, availableParallelism())),
    workFolder,
  }
  if (workFolder !== undefined) await claimWorkFolder(workFolder, job)
  const { parts, heldOut } = await runInWorker<LinearJob, LinearResult>(
    workerUrl(import.meta.url, './linear-worker.ts'),
    job,
    run,
  )
  return { model: await NgramModel.fromParts(parts), heldOut }
}

/** Notes in the work folder what is trained there; throws if it is something else. */
async function claimWorkFolder(folder: string, { texts, problems, options, seed }: LinearJob): Promise<void> {
  const hash = createHash('sha256')
  hash.update(JSON.stringify([defaultNgrams, texts.length, problems.blocks, options, seed]))
  for (const text of texts) hash.update(`${text}\0`)
  hash.update(problems.yesRows.rows)
  const fingerprint = hash.digest('hex')
  const file = join(folder, 'ngram-training.json')
  await mkdir(folder, { recursive: true })
  const found = await readFile(file, 'utf8').catch(() => undefined)
  if (found === undefined) return writeFileAtomic(file, JSON.stringify({ fingerprint }))
  if (found.includes(fingerprint)) return
  throw new InputError('RESUME_MISMATCH', 'The unfinished training was started with other data or options', {
    where: { file },
    help: 'resume with the same data and options, or start again in another folder',
  })
}
