/** The whole training of an `ngram` model, in the thread that calls it; blocks of problems are shared out among further threads. */
import type { HeadLayout, HeadTargets } from '../labels/head-layout.ts'
import type { NgramParts } from '../models/ngram-parts.ts'
import { Arena } from '../tensor/kernels/arena.ts'
import { defaultNgrams } from '../text/ngram-hasher.ts'
import type { RunOptions } from '../util/progress.ts'
import { runInWorker, workerUrl } from '../util/worker.ts'
import { assembleModel } from './linear-assemble.ts'
import { type BlocksJob, type SolvedBlocks, solveBlocks } from './linear-blocks.ts'
import { linearFeatures } from './linear-features.ts'
import type { LabelStatistics } from './linear-information.ts'
import type { LinearOptions } from './linear-options.ts'
import { type LinearProblems, sharedUint32 } from './linear-problems.ts'
import { allocateSolverSpace } from './linear-solver.ts'

export interface LinearJob {
  readonly texts: readonly string[]
  readonly labels: LabelStatistics
  readonly problems: LinearProblems
  readonly options: LinearOptions
  readonly seed: number
  readonly threads: number
  readonly workFolder: string | undefined
}

export async function runLinear(job: LinearJob, run: RunOptions): Promise<NgramParts> {
  const { problems, options, seed, workFolder } = job
  const arena = Arena.shared()
  const { matrix, vocabulary } = await linearFeatures(job.texts, job.labels, defaultNgrams, options, arena, run)
  const threads = Math.max(1, Math.min(job.threads, problems.blocks.length))
  const spaces = Array.from({ length: threads }, () => allocateSolverSpace(arena, matrix))
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
  const solved = await Promise.all([solveBlocks(blocksJob(0), counted), ...others])
  return assembleModel(defaultNgrams, vocabulary, problems, solved.flat())
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
