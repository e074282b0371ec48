/** A solved block as it is kept: sparse 8-bit weights by problem, in memory and as a file of the work folder. */
import type { DenseBlock } from './linear-solver.ts'

/** Problem p of the block has columns and weights offsets[p]..offsets[p+1]-1; a weight times scales[p] is the real one. */
export interface SolvedBlock {
  readonly offsets: Uint32Array
  readonly columns: Uint32Array
  readonly weights: Int8Array
  readonly scales: Float32Array
  readonly biases: Float32Array
  /** Margins of held-out rows, [held-out rows x problems]. */
  readonly margins: Float32Array
}

const largest = 127

/** Rounds weights to 8 bits, a scale per problem, and leaves out those that become 0 or are below the share `prune` of the problem's largest. */
export function quantizeBlock(dense: DenseBlock, size: number, prune: number): SolvedBlock {
  const { width, weights, columns } = dense
  const lines = columns ? columns.length : weights.length / width - 1
  const lineOf = (i: number) => ((columns ? columns[i]! : i) + 1) * width
  const tops = new Float64Array(size)
  for (let i = 0; i < lines; i++) {
    const line = lineOf(i)
    for (let p = 0; p < size; p++) {
      const weight = Math.abs(weights[line + p]!)
      if (weight > tops[p]!) tops[p] = weight
    }
  }
  const least = Array.from(tops, (top) => Math.max(top * prune, top / (2 * largest)))
  const offsets = new Uint32Array(size + 1)
  for (let i = 0; i < lines; i++) {
    const line = lineOf(i)
    for (let p = 0; p < size; p++) if (Math.abs(weights[line + p]!) > least[p]!) offsets[p + 1]!++
  }
  for (let p = 0; p < size; p++) offsets[p + 1]! += offsets[p]!
  const kept = new Uint32Array(offsets[size]!)
  const rounded = new Int8Array(offsets[size]!)
  const cursor = offsets.slice(0, size)
  for (let i = 0; i < lines; i++) {
    const line = lineOf(i)
    for (let p = 0; p < size; p++) {
      const weight = weights[line + p]!
      if (!(Math.abs(weight) > least[p]!)) continue
      const at = cursor[p]!++
      kept[at] = line / width - 1
      rounded[at] = Math.round((weight / tops[p]!) * largest)
    }
  }
  return {
    offsets,
    columns: kept,
    weights: rounded,
    scales: Float32Array.from(tops, (top) => top / largest),
    biases: weights.slice(0, size),
    margins: Float32Array.from({ length: (dense.margins.length / width) * size }, (_, i) => {
      return dense.margins[Math.floor(i / size) * width + (i % size)]!
    }),
  }
}

/** The block as bytes: its size and its numbers of weights and margins, then the arrays. */
export function encodeBlock(block: SolvedBlock): Uint8Array {
  const size = block.scales.length
  const parts = [
    Uint32Array.of(size, block.columns.length, block.margins.length),
    block.offsets,
    block.columns,
    block.scales,
    block.biases,
    block.margins,
    block.weights,
  ] // prettier-ignore
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at)
    at += part.byteLength
  }
  return bytes
}

/** The block that `encodeBlock` wrote, or undefined if the bytes are not one. */
export function decodeBlock(bytes: Uint8Array): SolvedBlock | undefined {
  if (bytes.length < 12) return undefined
  const { buffer } = new Uint8Array(bytes)
  const [size, count, margins] = new Uint32Array(buffer, 0, 3) as unknown as [number, number, number]
  if (bytes.length !== 12 + (size + 1) * 4 + count * 5 + size * 8 + margins * 4) return undefined
  let at = 12
  const take = <T>(
    make: new (buffer: ArrayBuffer, offset: number, length: number) => T,
    length: number,
    width: number,
  ): T => {
    const view = new make(buffer, at, length)
    at += length * width
    return view
  }
  return {
    offsets: take(Uint32Array, size + 1, 4),
    columns: take(Uint32Array, count, 4),
    scales: take(Float32Array, size, 4),
    biases: take(Float32Array, size, 4),
    margins: take(Float32Array, margins, 4),
    weights: take(Int8Array, count, 1),
  }
}
