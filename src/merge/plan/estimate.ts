/** What a plan costs: bytes read and written, peak memory, and a guess of the time. */
import { availableParallelism } from 'node:os'
import { dtypes, tensorBytes } from '../../tensor/dtypes.ts'
import { InputError } from '../../util/errors.ts'
import type { MergeMethod } from '../merge-method.ts'
import { partsOf } from '../tasks/forms.ts'
import type { KeptHead, MergePlan, PlannedTensor, TensorSource } from './merge-plan.ts'

/** Memory of the process before any block is read. */
const processBytes = 84e6
/** Of a worker thread and its code. */
const workerBytes = 20e6
/** Of the counters of a selection, for each model. */
const counterBytes = 0.7e6
/** Of the counters of a statistic over the whole model, for each model: in a thread, and once more for each thread's sum. */
const surveyBytes = 0.27e6
/** Of arrays of whole tensors that are no longer used and not yet collected. */
const uncollectedBytes = 48e6
const longestBlock = 32_768
const shortestBlock = 4_096
/** Elements that a thread works through in a second, over all models; measured on one core of a small server. */
const elementsPerSecond = 0.3e9

export interface Limits {
  /** Threads at most (default: the machine's cores). */
  threads?: number
  /** Bytes that the process may use at its peak. */
  maxMemory?: number
}

type Estimate = Pick<MergePlan, 'readBytes' | 'writeBytes' | 'peakBytes' | 'seconds' | 'threads' | 'blockLength'>

/** @throws InputError `MEMORY_LIMIT` if the limit is too small for one thread with the shortest blocks. */
export function estimate(
  method: MergeMethod,
  tensors: readonly PlannedTensor[],
  heads: readonly KeptHead[],
  limits: Limits,
): Estimate {
  let readBytes = 0
  let writeBytes = 0
  let elements = 0
  let widest = 0
  let most = 0
  let matrixDoubles = 0
  const wholeBytes: number[] = []
  let factorBytes = 0
  let rowBytes = 0
  for (const { name, action, keys, options, shape, dtype, work, sources, base } of tensors) {
    const count = shape.reduce((product, size) => product * size, 1)
    const read = base ? [...sources, base] : sources
    for (const source of read) readBytes += count * elementBytes(source)
    writeBytes += tensorBytes(dtype, shape) ?? 0
    if (action === 'merge' && method.definition.tasks)
      for (const part of partsOf(method.definition.tasks.form(shape, options as never, name), shape))
        writeBytes += keys.length * (tensorBytes(part.dtype, part.shape) ?? 0)
    elements += count * read.length
    most = Math.max(most, read.length)
    if (method.definition.matrix && shape.length >= 2 && count > 0)
      matrixDoubles = Math.max(matrixDoubles, method.definition.matrix(shape[0]!, count / shape[0]!, sources.length))
    if (method.definition.memory === 'tensor')
      wholeBytes.push(count * heldArrays(method, read.length) * (work === 'F64' ? 8 : 4))
    factorBytes = Math.max(
      factorBytes,
      read.map(loraBytes).reduce((sum, bytes) => sum + bytes, 0),
    )
    for (const source of read) if (source.kind === 'rows') rowBytes += source.part.byteLength + source.row.byteLength
    widest = Math.max(widest, shape.length < 2 ? count : count / Math.max(1, shape[0]!))
  }
  for (const { tensors } of heads)
    for (const { shape, source } of tensors)
      writeBytes += shape.reduce((product, size) => product * size, 1) * elementBytes(source)
  const { definition } = method
  const surveyed = tensors.some(
    ({ action, options }) => action === 'merge' && (definition.surveys?.(options as never).length ?? 0) > 0,
  )
  wholeBytes.sort((a, b) => b - a)
  const peak = (threads: number, blockLength: number) => {
    const held = definition.memory === 'row' ? Math.max(blockLength, widest) : blockLength
    const counters = most * (counterBytes + (surveyed ? 2 * surveyBytes : 0))
    const thread = workerBytes + (held * (most + 6) + matrixDoubles) * 8 + counters + factorBytes + rowBytes
    // Each thread holds a tensor of its own: at worst those are the largest.
    const whole = wholeBytes.slice(0, threads).reduce((sum, bytes) => sum + bytes, 0)
    return (
      whole +
      (whole > 0 ? uncollectedBytes : 0) +
      processBytes +
      rowBytes +
      (surveyed ? (threads + 1) * most * surveyBytes : 0) +
      threads * thread
    )
  }
  const wanted = Math.max(1, Math.min(limits.threads ?? availableParallelism(), tensors.length))
  const { threads, blockLength } = fitMemory(peak, wanted, limits.maxMemory)
  const speed = elementsPerSecond * Math.min(threads, availableParallelism())
  return {
    readBytes,
    writeBytes,
    threads,
    blockLength,
    peakBytes: Math.round(peak(threads, blockLength)),
    seconds: 0.3 + (elements * (definition.passes ?? 1)) / speed,
  }
}

/** Arrays of a tensor's size that a method of whole tensors holds at once: at most those of the inputs, of their differences, of what is left of them, and of an order. */
const heldArrays = ({ definition }: MergeMethod, inputs: number): number =>
  definition.arrays?.(inputs) ?? 3 * inputs + 8

/** Of an adapter's factors, which are held while a tensor is read. */
function loraBytes(source: TensorSource): number {
  return source.kind === 'lora' ? source.rank * (source.rows + source.columns) * 8 : 0
}

/** As many threads as fit, then as long blocks as fit. */
function fitMemory(
  peak: (threads: number, blockLength: number) => number,
  threads: number,
  maxMemory = Number.POSITIVE_INFINITY,
): { threads: number; blockLength: number } {
  while (threads > 1 && peak(threads, longestBlock) > maxMemory) threads--
  let blockLength = longestBlock
  while (blockLength > shortestBlock && peak(threads, blockLength) > maxMemory) blockLength /= 2
  if (peak(threads, blockLength) <= maxMemory) return { threads, blockLength }
  const needed = Math.ceil(peak(1, shortestBlock) / 1e6)
  throw new InputError(
    'MEMORY_LIMIT',
    `This merge needs at least ${needed} MB of memory, the limit is ${Math.floor(maxMemory / 1e6)} MB`,
    {
      help: `pass --max-memory ${needed}MB or more`,
      data: { needed: needed * 1e6, limit: maxMemory },
    },
  )
}

function elementBytes(source: TensorSource): number {
  if (source.kind === 'stored') return dtypes[source.dtype].bits / 8
  return elementBytes(source.kind === 'lora' ? source.weight : source.parts[0]!)
}
