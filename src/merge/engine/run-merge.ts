/**
 * Carries a plan out: lays out the output files, spreads the tensors over threads, keeps a ledger for resuming, reads everything back, and
 * gives the folder its name at the end.
 */
import { copyFile, mkdir, open, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { crc32 } from 'node:zlib'
import { layoutSafetensors, type SafetensorsLayout } from '../../checkpoint/safetensors-header.ts'
import { indexFileName, planShards, shardIndex } from '../../checkpoint/shards.ts'
import { companionFiles } from '../../checkpoint/write-checkpoint.ts'
import { createSafetensors, verifySafetensors } from '../../checkpoint/write-safetensors.ts'
import { tensorBytes } from '../../tensor/dtypes.ts'
import { checkOutputFolder, publishFolder, recordFile, writeFileAtomic } from '../../util/atomic.ts'
import { InputError, RunError, systemError, throwIfAborted, toErrorRecord } from '../../util/errors.ts'
import { sha256OfJson } from '../../util/hash.ts'
import type { RunOptions } from '../../util/progress.ts'
import { version } from '../../util/version.ts'
import { runInWorker, workerUrl } from '../../util/worker.ts'
import type { MergeMethod } from '../merge-method.ts'
import * as methods from '../methods/index.ts'
import type { MergePlan } from '../plan/merge-plan.ts'
import { writeTaskIndex } from '../tasks/task-index.ts'
import { ledgerHeader, ledgerLine, readLedger } from './ledger.ts'
import { type MergeJob, type OutputPlace, runMergeJob, stopped, taken } from './merge-job.ts'
import { foldChecksums, layoutTasks, type TaskFiles, type TaskPlace } from './task-parts.ts'
import { writeHeads } from './write-heads.ts'

export interface RunMergeOptions extends RunOptions {
  seed?: number
  /** Continue an unfinished merge of the same plan. */
  resume?: boolean
  /** Replace an output folder that this package wrote. */
  force?: boolean
  /** Largest size of one weights file (default 5 GB). */
  maxShardBytes?: number
  /** Elements of a block, for tests: a multiple of 4,096. */
  blockLength?: number
  /** Files to write beside the weights, such as a tokenizer; they replace those carried over. */
  files?: Readonly<Record<string, string>>
  /** What the output's record says besides the plan. */
  record?: Readonly<Record<string, unknown>>
}

export interface RunMergeResult {
  readonly folder: string
  readonly bytes: number
  /** Tensors that an earlier run had finished. */
  readonly resumed: number
}

/** The folder in which an unfinished merge stands, beside its output. */
export function partialFolder(out: string): string {
  return join(dirname(resolve(out)), `.${basename(resolve(out))}.partial`)
}

/** The ledger of an unfinished merge: beside its folder, which is published as it is. */
const ledgerOf = (out: string): string => `${partialFolder(out)}.ledger`

async function discard(out: string): Promise<void> {
  await rm(partialFolder(out), { recursive: true, force: true })
  await rm(ledgerOf(out), { force: true })
}

/** Faults after which the same merge can go on. */
const passing = new Set([
  'INTERRUPTED',
  'ENOSPC',
  'EDQUOT',
  'EIO',
  'EMFILE',
  'WORKER_EXIT',
  'ENOENT',
  'SAFETENSORS_TRUNCATED',
])

export async function runMerge(
  plan: MergePlan,
  method: MergeMethod,
  out: string,
  options: RunMergeOptions = {},
): Promise<RunMergeResult> {
  await checkOutputFolder(out, options.force)
  const work = await openWork(plan, method, out, options)
  const { folder, job, shards } = work
  try {
    await computeAll(job, method, plan, work.finished, options)
    await verify(work, (await readLedger(job.ledger))!.finished, options)
    await writeCompanions(folder, plan, shards, method, options)
    if (work.tasks) await writeTaskIndex(folder, plan, method, work.tasks)
    await publishFolder(folder, out, options)
    await rm(job.ledger, { force: true })
  } catch (error) {
    const { code } = toErrorRecord(error)
    if (!passing.has(code)) await discard(out)
    throw systemError(error) ?? error
  }
  return {
    folder: out,
    bytes: shards.reduce((sum, { layout }) => sum + layout.fileBytes, 0),
    resumed: work.finished.size,
  }
}

interface Shard {
  readonly file: string
  readonly layout: SafetensorsLayout
}

interface Work {
  readonly folder: string
  readonly shards: readonly Shard[]
  readonly tasks: TaskFiles | undefined
  readonly job: MergeJob
  readonly finished: ReadonlyMap<number, number>
}

async function openWork(plan: MergePlan, method: MergeMethod, out: string, options: RunMergeOptions): Promise<Work> {
  const folder = partialFolder(out)
  const specs = plan.tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape: [...shape] }))
  const shards = planShards(specs, options.maxShardBytes ?? 5e9).map(({ file, specs }) => ({
    file,
    layout: layoutSafetensors(specs, undefined, file),
  }))
  const tasks = layoutTasks(plan, method, folder)
  const ledger = ledgerOf(out)
  const fingerprint = await fingerprintOf(plan, method, options)
  await refuseIfRunning(ledger)
  const finished = options.resume ? await finishedTensors(ledger, fingerprint) : new Map<number, number>()
  const files = [...shards.map(({ file, layout }) => ({ file: join(folder, file), layout })), ...(tasks?.files ?? [])]
  if (finished.size === 0 || !(await sound(files))) {
    finished.clear()
    await discard(out)
    for (const { file, layout } of files) {
      await mkdir(dirname(file), { recursive: true })
      await (await createSafetensors(file, layout)).close()
    }
  }
  const lines = [...finished].map(([index, checksum]) => ledgerLine(index, checksum))
  await writeFileAtomic(ledger, ledgerHeader(fingerprint) + lines.join(''))
  const places = new Map<string, OutputPlace>()
  for (const { file, layout } of shards)
    for (const { name, offset } of layout.tensors) places.set(name, { file: join(folder, file), offset })
  return {
    folder,
    shards,
    tasks,
    finished,
    job: {
      method: method.name,
      strict: plan.strict,
      seed: options.seed ?? 0,
      tensors: plan.tensors,
      places: plan.tensors.map(({ name }) => places.get(name)!),
      ...(tasks ? { taskPlaces: tasks.places } : {}),
      order: new Int32Array(),
      control: new Int32Array(new SharedArrayBuffer(8)),
      ledger,
      labels: new Map(plan.inputs.map(({ key, label }) => [key, label])),
      settled: undefined,
      blockLength: options.blockLength ?? plan.blockLength,
    },
  }
}

/** What the output's bytes depend on, and the state of the inputs. */
async function fingerprintOf(plan: MergePlan, method: MergeMethod, options: RunMergeOptions): Promise<string> {
  const files = new Set<string>()
  const parts = plan.tensors.map(({ sources, base, ...rest }) => {
    const all = base ? [...sources, base] : sources
    for (const source of all)
      for (const stored of source.kind === 'stored'
        ? [source]
        : source.kind === 'lora'
          ? [source.weight, source.a, source.b]
          : source.parts)
        files.add(stored.file)
    return {
      ...rest,
      sources: all.map((source) =>
        source.kind === 'rows'
          ? {
              ...source,
              part: [...source.part],
              row: [...source.row],
              groups: source.groups.map((group) => [...group]),
            }
          : source,
      ),
    }
  })
  const states = await Promise.all(
    [...files].map(async (file) => {
      const { size, mtimeMs } = await stat(file)
      return [file, size, mtimeMs]
    }),
  )
  const { settings } = method
  return sha256OfJson({
    version,
    method: method.name,
    settings,
    seed: options.seed ?? 0,
    parts,
    states,
    shard: options.maxShardBytes,
  })
}

async function finishedTensors(file: string, fingerprint: string): Promise<Map<number, number>> {
  const ledger = await readLedger(file)
  if (!ledger) return new Map()
  if (ledger.fingerprint === fingerprint) return ledger.finished
  throw new InputError('RESUME_MISMATCH', 'The unfinished merge is of another recipe, or its inputs have changed', {
    where: { file },
    help: 'run without --resume to start over',
  })
}

async function sound(files: readonly Shard[]): Promise<boolean> {
  for (const { file, layout } of files)
    if ((await stat(file).catch(() => undefined))?.size !== layout.fileBytes) return false
  return true
}

/** A merge into the same folder that another process is still working at must not be disturbed. */
async function refuseIfRunning(file: string): Promise<void> {
  const ledger = await readLedger(file)
  if (!ledger || ledger.process === process.pid) return
  try {
    process.kill(ledger.process, 0)
  } catch {
    return
  }
  throw new InputError('MERGE_RUNNING', `Process ${ledger.process} is merging into this folder`, {
    where: { file },
    help: 'wait for it, or choose another output folder',
  })
}

async function computeAll(
  job: MergeJob,
  method: MergeMethod,
  plan: MergePlan,
  finished: ReadonlyMap<number, number>,
  options: RunMergeOptions,
): Promise<void> {
  const size = (index: number) => tensorBytes(plan.tensors[index]!.dtype, plan.tensors[index]!.shape)!
  const all = [...plan.tensors.keys()].sort((a, b) => size(b) - size(a) || a - b)
  const merged = all.filter((index) => plan.tensors[index]!.action === 'merge')
  const left = all.filter((index) => !finished.has(index))
  let settled: unknown
  const surveys = Math.max(
    0,
    ...merged.map((index) => method.definition.surveys?.(plan.tensors[index]!.options as never).length ?? 0),
  )
  const survey = merged.flatMap((index) => method.definition.surveys?.(plan.tensors[index]!.options as never) ?? [])
  for (let step = 0; step < surveys && left.length > 0; step++) {
    const parts = await spread({ ...job, order: Int32Array.from(merged), survey: step, settled }, method, plan, options)
    const [first, ...others] = parts.filter((part) => part !== undefined) as unknown[]
    const total = others.reduce((a, b) => survey[step]!.combine(a, b), first)
    settled = survey[step]!.settle(total, settled)
  }
  await spread({ ...job, order: Int32Array.from(left), settled }, method, plan, options)
}

/** Runs a job on all threads; the first failure stops the others. */
async function spread(
  job: MergeJob,
  method: MergeMethod,
  plan: MergePlan,
  options: RunMergeOptions,
): Promise<unknown[]> {
  const { signal, onProgress } = options
  throwIfAborted(signal)
  job.control.fill(0)
  const total = Array.from(job.order).reduce(
    (sum, index) => sum + tensorBytes(job.tensors[index]!.dtype, job.tensors[index]!.shape)!,
    0,
  )
  const stop = () => Atomics.store(job.control, stopped, 1)
  signal?.addEventListener('abort', stop)
  const done: number[] = []
  const progress = (thread: number) => (report: { step: string; done: number }) => {
    done[thread] = report.done
    onProgress?.({ step: report.step, done: done.reduce((sum, bytes) => sum + (bytes ?? 0), 0), total, unit: 'bytes' })
  }
  try {
    if (!inCatalogue(method, plan.strict))
      return [await runMergeJob(job, method.definition, { onProgress: progress(0) })]
    const url = workerUrl(import.meta.url, './merge-worker.ts')
    const threads = Math.max(1, Math.min(plan.threads, job.order.length))
    const runs = Array.from({ length: threads }, (_, thread) =>
      runInWorker<MergeJob, unknown>(url, job, { onProgress: progress(thread) }).catch((error: unknown) => {
        stop()
        throw error
      }),
    )
    const outcomes = await Promise.allSettled(runs)
    throwIfAborted(signal)
    const failures = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [outcome.reason as Error & { code?: string }] : [],
    )
    const cause = failures.find(({ code }) => code !== 'INTERRUPTED') ?? failures[0]
    if (cause) throw cause
    return outcomes.map((outcome) => (outcome as PromiseFulfilledResult<unknown>).value)
  } finally {
    signal?.removeEventListener('abort', stop)
    Atomics.store(job.control, taken, job.order.length)
  }
}

/** Only methods of the catalogue can be found by name in a thread; others run here. */
function inCatalogue({ name, definition }: MergeMethod, strict: boolean): boolean {
  return (
    strict || Object.values(methods).some((factory) => factory.info.name === name && factory.definition === definition)
  )
}

const readBytes = 1 << 22

/** Reads every tensor back and compares it with the checksum noted when it was written. */
async function verify(
  { folder, shards, job }: Work,
  finished: ReadonlyMap<number, number>,
  options: RunMergeOptions,
): Promise<void> {
  const indices = new Map(job.tensors.map(({ name }, index) => [name, index]))
  const buffer = new Uint8Array(readBytes)
  const total = shards.reduce((sum, { layout }) => sum + layout.fileBytes, 0)
  let done = 0
  for (const { file, layout } of shards) {
    const path = join(folder, file)
    await verifySafetensors(path, layout)
    const handle = await open(path, 'r')
    try {
      for (const { name, bytes, offset } of layout.tensors) {
        throwIfAborted(options.signal)
        let sum = 0
        for (let at = 0; at < bytes; at += readBytes) {
          const part = buffer.subarray(0, Math.min(readBytes, bytes - at))
          await handle.read(part, 0, part.length, offset + at)
          sum = crc32(part, sum)
        }
        const index = indices.get(name)!
        const parts = job.taskPlaces ? await checksums(job.taskPlaces[index]!.flat(), buffer) : []
        if (foldChecksums(sum, parts) !== finished.get(index))
          throw new RunError('VERIFY_FAILED', 'A tensor read back differs from what was written', {
            where: { file: path, tensor: name },
            help: 'the disk may be failing: run again without --resume, or on another disk',
          })
        done += bytes
        options.onProgress?.({ step: 'verify', done, total, unit: 'bytes' })
      }
    } finally {
      await handle.close()
    }
  }
}

/** The checksum of each part of a tensor that is kept for a task. */
async function checksums(places: readonly TaskPlace[], buffer: Uint8Array): Promise<number[]> {
  const sums: number[] = []
  for (const { file, offset, bytes } of places) {
    const handle = await open(file, 'r')
    try {
      let sum = 0
      for (let at = 0; at < bytes; at += readBytes) {
        const part = buffer.subarray(0, Math.min(readBytes, bytes - at))
        await handle.read(part, 0, part.length, offset + at)
        sum = crc32(part, sum)
      }
      sums.push(sum)
    } finally {
      await handle.close()
    }
  }
  return sums
}

/** Everything beside the weights: index, config, tokenizer, heads, record. */
async function writeCompanions(
  folder: string,
  plan: MergePlan,
  shards: readonly Shard[],
  method: MergeMethod,
  options: RunMergeOptions,
): Promise<void> {
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`
  if (shards.length > 1)
    await writeFile(
      join(folder, indexFileName),
      shardIndex(shards.map(({ file, layout }) => ({ file, tensors: layout.tensors }))),
    )
  await writeFile(join(folder, 'config.json'), json(plan.config))
  const files = options.files ?? {}
  for (const name of await companionFiles(plan.companion)) {
    if (Object.hasOwn(files, name)) continue
    await copyFile(join(plan.companion, name), join(folder, name))
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  await writeHeads(folder, plan)
  await writeFile(
    join(folder, recordFile),
    json({
      version,
      verb: 'merge',
      method: method.name,
      settings: method.settings,
      seed: options.seed ?? 0,
      inputs: plan.inputs,
      weights: plan.weights,
      conflicts: plan.conflicts,
      ...options.record,
    }),
  )
}
