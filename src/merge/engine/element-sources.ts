/** The planned sources of a tensor as readable elements: stored as they are, with a LoRA applied, or put together from rows. */
import { dtypes } from '../../tensor/dtypes.ts'
import type { MergeDtype, MergeKernels } from '../../tensor/merge-kernels.ts'
import type { LoraSource, RowsSource, StoredSource, TensorSource } from '../plan/merge-plan.ts'
import { torchNumbers } from '../strict/torch-numbers.ts'
import type { FilePool } from './file-pool.ts'
import type { ElementSource } from './tensor-task.ts'

/** @param work with mergekit's arithmetic: the type it computes in; adapters are applied and means taken with its roundings. */
export function openSource(
  source: TensorSource,
  files: FilePool,
  kernels: MergeKernels,
  work?: MergeDtype,
): ElementSource {
  if (source.kind === 'lora') return openLora(source, files, kernels, work !== undefined)
  if (source.kind === 'rows') return openRows(source, files, kernels, work ?? 'F64')
  const bytes = bytesOf(source)
  return {
    dtype: source.dtype as MergeDtype,
    read: (start, target) => files.read(source.file, source.offset + start * bytes, target),
  }
}

const zeros = -1
const meanOfRowsBefore = -3

const bytesOf = ({ dtype }: StoredSource): number => dtypes[dtype].bits / 8

const doublesIn = (target: Uint8Array): Float64Array =>
  new Float64Array(target.buffer, target.byteOffset, target.byteLength / 8)

/** Reads elements of a stored tensor as doubles. */
function readDoubles(
  source: StoredSource,
  start: number,
  target: Float64Array,
  files: FilePool,
  kernels: MergeKernels,
): void {
  const size = bytesOf(source)
  const bytes = kernels.bytes('source bytes', target.length * size)
  files.read(source.file, source.offset + start * size, bytes)
  kernels.decode(bytes, source.dtype as MergeDtype, target)
}

/** W + scale * B A, or its transpose's form for weights stored as in x out. The factors are held in memory. */
function openLora(source: LoraSource, files: FilePool, kernels: MergeKernels, strict: boolean): ElementSource {
  const { rank, rows, columns, transposed, scale } = source
  const held = (name: string, stored: StoredSource, length: number) => {
    const block = kernels.doubles(`lora ${name}`, length)
    readDoubles(stored, 0, block, files, kernels)
    return block.slice()
  }
  const [outputs, inputs] = transposed ? [columns, rows] : [rows, columns]
  const a = held('a', source.a, rank * inputs)
  const b = held('b', source.b, outputs * rank)
  // The product's element (row, column), as a sum over the rank of `left` by row and `right` by column.
  const left = (row: number, r: number) => (transposed ? a[r * inputs + row]! : b[row * rank + r]!)
  const right = (r: number, column: number) => (transposed ? b[column * rank + r]! : a[r * inputs + column]!)
  // PEFT multiplies and adds in float32, and stores in the weight's type.
  const { round } = torchNumbers(source.weight.dtype as MergeDtype)
  const { fround } = Math
  const add = strict
    ? (weight: number, product: number) => round(fround(weight + fround(fround(product) * fround(scale))))
    : (weight: number, product: number) => weight + scale * product
  return {
    dtype: 'F64',
    read(start, bytes) {
      const target = doublesIn(bytes)
      readDoubles(source.weight, start, target, files, kernels)
      for (let at = 0; at < target.length; ) {
        const row = Math.floor((start + at) / columns)
        const first = (start + at) % columns
        const count = Math.min(columns - first, target.length - at)
        const products = kernels.doubles('lora product', count).fill(0)
        for (let r = 0; r < rank; r++) {
          const factor = left(row, r)
          for (let i = 0; i < count; i++) products[i]! += factor * right(r, first + i)
        }
        for (let i = 0; i < count; i++) target[at + i] = add(target[at + i]!, products[i]!)
        at += count
      }
    },
  }
}

/** Rows gathered from stored tensors; runs of neighbouring rows are read at once. */
function openRows(source: RowsSource, files: FilePool, kernels: MergeKernels, work: MergeDtype): ElementSource {
  const { parts, part, row, groups, columns } = source
  const { round, scalar } = torchNumbers(work)
  const mean = new Float64Array(columns)
  const meanOf = (group: Int32Array): Float64Array => {
    mean.fill(0)
    const values = kernels.doubles('row', columns)
    for (let i = 0; i < group.length; i += 2) {
      readDoubles(parts[group[i]!]!, group[i + 1]! * columns, values, files, kernels)
      for (let j = 0; j < columns; j++) mean[j] = round(mean[j]! + round(values[j]!))
    }
    for (let j = 0; j < columns; j++) mean[j] = round(mean[j]! / (group.length / 2))
    return mean
  }
  let padding: Float64Array | undefined
  const paddingRow = (): Float64Array => {
    if (padding) return padding
    const count = part.indexOf(meanOfRowsBefore)
    padding = new Float64Array(columns)
    const values = kernels.doubles('row before padding', columns)
    for (let index = 0; index < count; index++) {
      read(index * columns, values)
      for (let j = 0; j < columns; j++) padding[j]! += round(values[j]!)
    }
    for (let j = 0; j < columns; j++) padding[j] = round(scalar(scalar(padding[j]!) / count))
    return padding
  }
  const read = (start: number, target: Float64Array): void => {
    for (let at = 0; at < target.length; ) {
      const index = Math.floor((start + at) / columns)
      const first = (start + at) % columns
      const from = part[index]!
      let end = index + 1
      if (from >= 0) while (end < part.length && part[end] === from && row[end] === row[index]! + end - index) end++
      const count = Math.min((end - index) * columns - first, target.length - at)
      const values = target.subarray(at, at + count)
      if (from >= 0) readDoubles(parts[from]!, row[index]! * columns + first, values, files, kernels)
      else if (from === zeros) values.fill(0)
      else {
        const mean = from === meanOfRowsBefore ? paddingRow() : meanOf(groups[row[index]!]!)
        values.set(mean.subarray(first, first + count))
      }
      at += count
    }
  }
  return { dtype: 'F64', read: (start, bytes) => read(start, doublesIn(bytes)) }
}
