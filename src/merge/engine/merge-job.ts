/** The work of one thread: takes tensors from a common list until none is left, measures or merges them, and notes what is finished. */
import { crc32 } from 'node:zlib'
import { dtypes, tensorBytes } from '../../tensor/dtypes.ts'
import { isMergeDtype, type MergeDtype, MergeKernels } from '../../tensor/merge-kernels.ts'
import { InputError, InterruptedError, RunError } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import type { MethodDefinition, Survey } from '../merge-method.ts'
import { linear } from '../methods/linear.ts'
import type { PlannedTensor } from '../plan/merge-plan.ts'
import { openSource } from './element-sources.ts'
import { FilePool } from './file-pool.ts'
import { ledgerLine } from './ledger.ts'
import { TaskPartWriter, type TaskPlace } from './task-parts.ts'
import { type ElementSink, type ElementSource, TensorTask, type TensorTaskInput } from './tensor-task.ts'

/** Where a tensor's bytes go. */
export interface OutputPlace {
  readonly file: string
  readonly offset: number
}

export interface MergeJob {
  readonly method: string
  /** Whether the method is mergekit's arithmetic. */
  readonly strict: boolean
  readonly seed: number
  readonly tensors: readonly PlannedTensor[]
  readonly places: readonly OutputPlace[]
  /** For methods with per-task outputs: by tensor, for each of its models, the places of the parts. */
  readonly taskPlaces?: readonly (readonly (readonly TaskPlace[])[])[]
  /** Indices of the tensors to do, the largest first. */
  readonly order: Int32Array
  /** Shared by all threads: how many of `order` are taken, and whether to stop. */
  readonly control: Int32Array
  readonly ledger: string
  /** The models' names by key, for errors. */
  readonly labels: ReadonlyMap<string, string>
  /** Which survey to take; without one the tensors are merged. */
  readonly survey?: number
  readonly settled: unknown
  readonly blockLength: number
}

export const taken = 0
export const stopped = 1

/** Runs a job. Returns the survey's measurement over all tensors that this thread took, or undefined. */
export async function runMergeJob(
  job: MergeJob,
  definition: MethodDefinition,
  { onProgress }: Pick<RunOptions, 'onProgress'>,
): Promise<unknown> {
  const kernels = await MergeKernels.open()
  if (definition.matrix) await kernels.openMatrices()
  const files = new FilePool()
  let measured: unknown
  let done = 0
  try {
    for (;;) {
      await new Promise(setImmediate) // messages are seen between tensors
      const next = Atomics.add(job.control, taken, 1)
      if (next >= job.order.length) return measured
      const index = job.order[next]!
      const tensor = job.tensors[index]!
      if (job.survey === undefined) {
        const sum = mergeTensor(job, definition, index, files, kernels)
        files.append(job.ledger, ledgerLine(index, sum))
      } else if (tensor.action === 'merge') {
        const survey = definition.surveys!(tensor.options as never)[job.survey]
        if (survey) measured = addMeasurement(job, survey, index, files, kernels, measured)
      }
      done += tensorBytes(tensor.dtype, tensor.shape) ?? 0
      onProgress?.({ step: job.survey === undefined ? 'merge' : 'survey', done, unit: 'bytes' })
    }
  } finally {
    files.close()
  }
}

function taskOf(
  job: MergeJob,
  index: number,
  files: FilePool,
  kernels: MergeKernels,
  sink: ElementSink,
  writePart?: TensorTaskInput['writePart'],
): { task: TensorTask; sources: ElementSource[] } {
  const { name, layer, shape, sources, base, keys, work } = job.tensors[index]!
  kernels.clear()
  const opened = sources.map((source) => openSource(source, files, kernels, work))
  const origin = base && openSource(base, files, kernels, work)
  const task = new TensorTask({
    name,
    ...(layer === undefined ? {} : { layer }),
    shape,
    sources: opened,
    ...(origin ? { base: origin } : {}),
    keys,
    seed: job.seed,
    kernels,
    sink,
    ...(work === undefined ? {} : { workDtype: work }),
    ...(writePart === undefined ? {} : { writePart }),
    onBlock() {
      if (Atomics.load(job.control, stopped) !== 0) throw new InterruptedError()
    },
    blockLength: job.blockLength,
  })
  return { task, sources: origin ? [...opened, origin] : opened }
}

function addMeasurement(
  job: MergeJob,
  survey: Survey,
  index: number,
  files: FilePool,
  kernels: MergeKernels,
  before: unknown,
): unknown {
  const tensor = job.tensors[index]!
  const sink = { dtype: 'F64' as const, write: () => undefined }
  const { task } = taskOf(job, index, files, kernels, sink)
  const measured = survey.measure(task, tensor.options as never, job.settled)
  if (before !== undefined) return survey.combine(before, measured)
  return survey.keep ? survey.keep(measured) : measured
}

/** Merges one tensor into its place; returns the checksum of its bytes. */
function mergeTensor(
  job: MergeJob,
  definition: MethodDefinition,
  index: number,
  files: FilePool,
  kernels: MergeKernels,
): number {
  const tensor = job.tensors[index]!
  const { file, offset } = job.places[index]!
  if (tensor.action === 'copy') return copyTensor(job, index, files, kernels)
  const dtype = tensor.dtype as MergeDtype
  const size = dtype === 'F64' ? 8 : dtype === 'F32' ? 4 : 2
  let sum = 0
  const parts = job.taskPlaces && new TaskPartWriter(job.taskPlaces[index]!, files)
  const sink: ElementSink = {
    dtype,
    write(start, bytes, values) {
      const fault = kernels.findNonFinite(values)
      if (fault >= 0) throw notFinite(job, tensor, start + fault, sources)
      if (dtype === 'F16') checkRange(tensor, start, values)
      sum = crc32(bytes, sum)
      files.write(file, offset + start * size, bytes)
    },
  }
  const { task, sources } = taskOf(job, index, files, kernels, sink, parts?.write)
  if (tensor.action === 'average') {
    const weight = tensor.sources.map(() => 1)
    linear.definition.merge(task, { weight, normalize: true }, undefined)
  } else definition.merge(task, tensor.options as never, job.settled)
  return parts ? parts.total(sum) : sum
}

const copyBytes = 1 << 20

/** Copies a tensor's bytes as they are; numbers are looked at on the way. */
function copyTensor(job: MergeJob, index: number, files: FilePool, kernels: MergeKernels): number {
  const tensor = job.tensors[index]!
  const { dtype, shape, sources } = tensor
  const { file, offset } = job.places[index]!
  const source = sources[0]!
  if (source.kind !== 'stored') throw new TypeError('Only stored tensors are copied')
  const length = tensorBytes(dtype, shape)!
  kernels.clear()
  const buffer = kernels.bytes('copied', Math.min(copyBytes, length))
  let sum = 0
  for (let at = 0; at < length; at += copyBytes) {
    if (Atomics.load(job.control, stopped) !== 0) throw new InterruptedError()
    const part = buffer.subarray(0, Math.min(copyBytes, length - at))
    files.read(source.file, source.offset + at, part)
    const fault = isMergeDtype(dtype) ? kernels.findNonFiniteStored(part, dtype) : -1
    if (fault >= 0) {
      const element = (at * 8) / dtypes[dtype].bits + fault
      throw notFinite(job, tensor, element, [openSource(source, files, kernels)])
    }
    sum = crc32(part, sum)
    files.write(file, offset + at, part)
  }
  return sum
}

const largestHalf = 65_520 // rounds to infinity

function checkRange({ name }: PlannedTensor, start: number, values: Float64Array): void {
  for (let i = 0; i < values.length; i++)
    if (Math.abs(values[i]!) >= largestHalf)
      throw new RunError('OVERFLOW', `The merged value ${values[i]!.toPrecision(6)} is too large for float16`, {
        where: { tensor: name },
        help: 'set out_dtype: bfloat16 or float32',
        data: { element: start + i },
      })
}

/** Names the model whose value is not finite; if all are, the method gave a value out of range. */
function notFinite(
  job: MergeJob,
  { name, keys }: PlannedTensor,
  element: number,
  sources: readonly ElementSource[],
): InputError | RunError {
  for (const [i, source] of sources.entries()) {
    const bytes = new Uint8Array(source.dtype === 'F64' ? 8 : source.dtype === 'F32' ? 4 : 2)
    source.read(element, bytes)
    const exponent = exponentBits(source.dtype, bytes)
    if (!exponent) continue
    const key = keys[i]
    const model = key === undefined ? 'the base model' : (job.labels.get(key) ?? key)
    return new InputError('NOT_FINITE', `A weight of ${model} is NaN or infinite`, {
      where: { tensor: name },
      help: 'the model is damaged: fetch or train it again, or leave it out',
      data: { model, element },
    })
  }
  return new RunError('NOT_FINITE', 'The merged value is not a finite number', {
    where: { tensor: name },
    help: 'choose smaller weights or lambda',
    data: { element },
  })
}

/** Whether all exponent bits are set: NaN or infinity. */
function exponentBits(dtype: MergeDtype, bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer)
  if (dtype === 'F64') return !Number.isFinite(view.getFloat64(0, true))
  if (dtype === 'F32') return !Number.isFinite(view.getFloat32(0, true))
  const mask = dtype === 'BF16' ? 0x7f80 : 0x7c00
  return (view.getUint16(0, true) & mask) === mask
}
