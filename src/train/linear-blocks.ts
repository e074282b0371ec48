/** The work of one solver thread: takes the next unsolved block until none is left, keeping each in the work folder as it is finished. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { Arena } from '../tensor/kernels/arena.ts'
import { writeFileAtomic } from '../util/atomic.ts'
import { throwIfAborted } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import { decodeBlock, encodeBlock, quantizeBlock, type SolvedBlock } from './linear-block.ts'
import type { LinearMatrix } from './linear-features.ts'
import type { LinearOptions } from './linear-options.ts'
import type { LinearProblems } from './linear-problems.ts'
import { BlockSolver, type SolverSpace } from './linear-solver.ts'

export interface BlocksJob {
  readonly memory: WebAssembly.Memory
  readonly matrix: LinearMatrix
  readonly space: SolverSpace
  readonly problems: LinearProblems
  readonly heldOut: Uint32Array
  readonly options: LinearOptions
  readonly seed: number
  /** One shared integer: the next block to take. */
  readonly next: Int32Array
  readonly workFolder: string | undefined
}

export type SolvedBlocks = { index: number; block: SolvedBlock }[]

export async function solveBlocks(job: BlocksJob, { signal, onProgress }: RunOptions): Promise<SolvedBlocks> {
  const { problems, options, workFolder } = job
  const solver = await BlockSolver.create(new Arena(job.memory), job.matrix, job.space)
  const solved: SolvedBlocks = []
  while (true) {
    const index = Atomics.add(job.next, 0, 1)
    const block = problems.blocks[index]
    if (!block) return solved
    const file = workFolder === undefined ? undefined : join(workFolder, `block-${index}.bin`)
    const kept = file === undefined ? undefined : decodeBlock(await readFile(file).catch(() => new Uint8Array()))
    if (kept) {
      solved.push({ index, block: kept })
    } else {
      const dense = solver.solve(problems, block, job.heldOut, options, job.seed)
      const result = quantizeBlock(dense, block.size, options.prune || usualPruning(problems.count))
      if (file !== undefined) await writeFileAtomic(file, encodeBlock(result))
      solved.push({ index, block: result })
    }
    onProgress?.({ step: 'train', done: 1 })
    await setImmediate()
    throwIfAborted(signal)
  }
}

/** What costs no accuracy on development rows: with many labels each of them can do with fewer weights. */
const usualPruning = (problems: number): number => (problems <= 50 ? 0.012 : problems <= 500 ? 0.02 : 0.028)
