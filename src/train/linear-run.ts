/** The whole training of an `ngram` model, in the thread that calls it; blocks of problems are shared out among further threads. */
import type { HeadLayout, HeadTargets } from '../labels/head-layout.ts'
import type { NgramParts } from '../models/ngram-parts.ts'
import { Arena } from '../tensor/kernels/arena.ts'
import { permutation, random } from '../tensor/random.ts'
import { defaultNgrams } from '../text/ngram-hasher.ts'
import type { RunOptions } from '../util/progress.ts'
import { runInWorker, workerUrl } from '../util/worker.ts'
import { assembleModel, gatherMargins } from './linear-assemble.ts'
import { type BlocksJob, type SolvedBlocks, solveBlocks } from './linear-blocks.ts'
import { calibrate, combineMargins } from './linear-calibrate.ts'
import { linearFeatures } from './linear-features.ts'
import type { LabelStatistics } from './linear-information.ts'
import type { LinearOptions } from './linear-options.ts'
import { type LinearProblems, sharedUint32 } from './linear-problems.ts'
import { allocateSolverSpace } from './linear-solver.ts'

/** With fewer rows none are held out. */
const fewestRows = 50

export interface LinearJob {
  readonly texts: readonly string[]
  readonly layout: HeadLayout
  readonly targets: HeadTargets
  readonly problems: LinearProblems
  readonly options: LinearOptions
  readonly seed: number
  readonly threads: number
  readonly workFolder: string | undefined
}

/** Rows that were scored before they were trained on: what the model makes of texts it has not seen. */
export interface HeldOut {
  /** Their numbers in the training, ascending. */
  readonly rows: Uint32Array
  /** [held-out rows x units], on the scale of the model's logits. */
  readonly logits: Float32Array
}

export interface LinearResult {
  readonly parts: NgramParts
  readonly heldOut: HeldOut
}

export async function runLinear(job: LinearJob, run: RunOptions): Promise<LinearResult> {
  const { texts, layout, targets, problems, options, seed, workFolder } = job
  const arena = Arena.shared()
  const labels = labelStatistics(layout, targets)
  const { matrix, vocabulary } = await linearFeatures(texts, labels, defaultNgrams, options, arena, run)
  const heldOut = heldOutRows(texts.length, problems.count, seed)
  const threads = Math.max(1, Math.min(job.threads, problems.blocks.length))
  const spaces = Array.from({ length: threads }, () => allocateSolverSpace(arena, matrix, heldOut.length))
  const next = new Int32Array(sharedUint32(1).buffer)
  let done = 0
  const total = problems.blocks.length
  const counted: RunOptions = {
    ...(run.signal ? { signal: run.signal } : {}),
    onProgress: () => run.onProgress?.({ step: 'train ngram', done: ++done, total, unit: 'blocks' }),
  }
  const blocksJob = (thread: number): BlocksJob => ({
    memory: arena.memory,
    matrix,
    space: spaces[thread]!,
    problems,
    heldOut,
    options,
    seed,
    next,
    workFolder,
  })
  const others = spaces
    .slice(1)
    .map((_, i) =>
      runInWorker<BlocksJob, SolvedBlocks>(
        workerUrl(import.meta.url, './linear-block-worker.ts'),
        blocksJob(i + 1),
        counted,
      ),
    ) // prettier-ignore
  const solved = (await Promise.all([solveBlocks(blocksJob(0), counted), ...others])).flat()
  const margins = gatherMargins(problems, solved, heldOut.length)
  const scores = combineMargins(problems.combination, margins, problems.count)
  const calibration = calibrate(layout, targets, heldOut, scores)
  return {
    parts: assembleModel(defaultNgrams, vocabulary, problems, solved, calibration),
    heldOut: { rows: heldOut, logits: scores.map((score) => score * calibration.sharpness + calibration.shift) },
  }
}

/** A tenth of the rows, at most 4,000, and no more than 16 million margins. */
function heldOutRows(rows: number, problems: number, seed: number): Uint32Array {
  if (rows < fewestRows) return new Uint32Array()
  const count = Math.floor(Math.min(rows / 10, 4000, 2 ** 24 / Math.max(1, problems)))
  return permutation(rows, random(seed, 'linear', 'held out'))
    .slice(0, count)
    .sort()
}

/** What each row says of the labels, for the weights of features: the deepest right unit of a softmax layout, every right unit of a sigmoid one. */
export function labelStatistics(layout: HeadLayout, targets: HeadTargets): LabelStatistics {
  const count = layout.unitNodes.length
  if (layout.activation === 'sigmoid') return { count, offsets: targets.unitOffsets, labels: targets.rightUnits }
  const rows = targets.unitOffsets.length - 1
  const offsets = new Uint32Array(rows + 1)
  const labels: number[] = []
  for (let row = 0; row < rows; row++) {
    const end = targets.unitOffsets[row + 1]!
    if (end > targets.unitOffsets[row]!) labels.push(targets.rightUnits[end - 1]!)
    offsets[row + 1] = labels.length
  }
  return { count, offsets, labels: Uint32Array.from(labels) }
}
