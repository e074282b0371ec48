/** What a plan costs: bytes read and written, peak memory, and a guess of the time. */
import { availableParallelism } from 'node:os'
import { dtypes, tensorBytes } from '../../tensor/dtypes.ts'
import type { MergeMethod } from '../merge-method.ts'
import type { KeptHead, MergePlan, PlannedTensor, TensorSource } from './merge-plan.ts'

/** Memory of the process before any block is read. */
const processBytes = 80e6
/** Of a worker thread and its code. */
const workerBytes = 25e6
const block = 32_768
/** Elements a thread works through in a second, for all models together; measured on one core of a small server. */
const elementsPerSecond = 0.5e9

type Estimate = Pick<MergePlan, 'readBytes' | 'writeBytes' | 'peakBytes' | 'seconds' | 'threads'>

export function estimate(
  method: MergeMethod,
  tensors: readonly PlannedTensor[],
  heads: readonly KeptHead[],
  wanted = availableParallelism(),
): Estimate {
  let readBytes = 0
  let writeBytes = 0
  let elements = 0
  let widest = 0
  let most = 0
  for (const { shape, dtype, sources, base } of tensors) {
    const count = shape.reduce((product, size) => product * size, 1)
    const read = base ? [...sources, base] : sources
    for (const source of read) readBytes += count * elementBytes(source)
    writeBytes += tensorBytes(dtype, shape) ?? 0
    elements += count * read.length
    most = Math.max(most, read.length)
    widest = Math.max(widest, shape.length < 2 ? count : count / Math.max(1, shape[0]!))
  }
  for (const { tensors } of heads)
    for (const { shape, source } of tensors)
      writeBytes += shape.reduce((product, size) => product * size, 1) * elementBytes(source)
  const threads = Math.max(1, Math.min(wanted, tensors.length))
  const rows = method.definition.memory === 'row' ? Math.max(block, widest) : block
  const arrays = (most + 5) * 8
  const blockBytes = rows * arrays + most * 0.7e6
  return {
    readBytes,
    writeBytes,
    threads,
    peakBytes: Math.round(processBytes + threads * (workerBytes + blockBytes)),
    seconds: Math.max(
      0.1,
      0.3 +
        (elements * (method.definition.passes ?? 1)) / (elementsPerSecond * Math.min(threads, availableParallelism())),
    ),
  }
}

function elementBytes(source: TensorSource): number {
  if (source.kind === 'stored') return dtypes[source.dtype].bits / 8
  return elementBytes(source.kind === 'lora' ? source.weight : source.parts[0]!)
}
