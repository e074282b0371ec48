/** Block arithmetic for merging, compiled to SIMD: one memory for a worker, typed views into it, and the kernels over such views. */
import { loadWasm } from '../util/wasm.ts'
import type { Dtype } from './dtypes.ts'
import { MatrixKernels } from './linear-algebra/matrix-kernels.ts'
import { keyWords } from './random.ts'

const page = 65_536

interface Exports {
  decodeF32(source: number, target: number, n: number): void
  decodeF16(source: number, target: number, n: number): void
  decodeBF16(source: number, target: number, n: number): void
  encodeF32(source: number, target: number, n: number): void
  encodeF16(source: number, target: number, n: number): void
  encodeBF16(source: number, target: number, n: number): void
  addScaled(sum: number, x: number, w: number, n: number): void
  addScaledF32(sum: number, x: number, w: number, n: number): void
  addScaledF16(sum: number, x: number, w: number, n: number): void
  addScaledBF16(sum: number, x: number, w: number, n: number): void
  subtract(target: number, a: number, b: number, n: number): void
  scale(x: number, w: number, n: number): void
  findNonFinite(x: number, n: number): number
  findSpecial16(x: number, exponent: number, n: number): number
  findSpecial32(x: number, exponent: number, n: number): number
  dot(a: number, b: number, n: number): number
  sumMagnitudes(x: number, n: number): number
  countHigh(x: number, counters: number, n: number): void
  countLow(x: number, high: number, counters: number, n: number): void
  keepLargest(x: number, threshold: number, quota: number, n: number): number
  dropLargest(x: number, threshold: number, quota: number, n: number): number
  addAgreeing(sum: number, weights: number, elected: number, x: number, w: number, n: number): void
  addQuotient(target: number, base: number, sum: number, weights: number, factor: number, n: number): void
  randomWords(target: number, first: number, c2: number, c3: number, k0: number, k1: number, n: number): void
  keepBelow(x: number, words: number, limit: number, n: number): void
  rankMagnitudes(x: number, ranks: number, scratch: number, n: number): void
  keepByRank(x: number, words: number, ranks: number, low: number, step: number, n: number): void
}

/** Float types that a merge reads and writes. */
export type MergeDtype = 'F64' | 'F32' | 'F16' | 'BF16'

export function isMergeDtype(dtype: Dtype): dtype is MergeDtype {
  return dtype === 'F64' || dtype === 'F32' || dtype === 'F16' || dtype === 'BF16'
}

/**
 * A memory and its kernels. Arrays passed to a kernel must come from `doubles`, `words` or `bytes`. Room is address space: pages that are
 * never touched cost no memory.
 */
export class MergeKernels {
  /** Linear algebra in a memory of its own, once `openMatrices` has been called. */
  matrices: MatrixKernels | undefined
  private readonly memory: WebAssembly.Memory
  private readonly wasm: Exports
  private free = page // the first page is the module's own
  private readonly named = new Map<string, Float64Array | Uint32Array | Uint8Array>()

  private constructor(memory: WebAssembly.Memory, wasm: Exports) {
    this.memory = memory
    this.wasm = wasm
  }

  /** @param room bytes for all arrays together, at most 4 GiB. */
  static async open(room = 1 << 30): Promise<MergeKernels> {
    const pages = Math.ceil(room / page) + 1
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
    const wasm = await loadWasm(import.meta.url, './merge-kernels.as.ts', memory)
    return new MergeKernels(memory, wasm as unknown as Exports)
  }

  async openMatrices(): Promise<void> {
    this.matrices ??= await MatrixKernels.open()
  }

  /** The array called `name`, at least `length` long when first asked for or asked for again; its content is arbitrary. */
  doubles(name: string, length: number): Float64Array {
    const found = this.named.get(name) as Float64Array | undefined
    if (found && found.length >= length) return found.subarray(0, length)
    const array = new Float64Array(this.memory.buffer, this.reserve(length * 8), length)
    this.named.set(name, array)
    return array
  }

  words(name: string, length: number): Uint32Array {
    const found = this.named.get(name) as Uint32Array | undefined
    if (found && found.length >= length) return found.subarray(0, length)
    const array = new Uint32Array(this.memory.buffer, this.reserve(length * 4), length)
    this.named.set(name, array)
    return array
  }

  bytes(name: string, length: number): Uint8Array {
    const found = this.named.get(name) as Uint8Array | undefined
    if (found && found.length >= length) return found.subarray(0, length)
    const array = new Uint8Array(this.memory.buffer, this.reserve(length), length)
    this.named.set(name, array)
    return array
  }

  /** Forgets all arrays; their room is used again. */
  clear(): void {
    this.named.clear()
    this.free = page
  }

  private reserve(bytes: number): number {
    const at = this.free
    this.free = (at + bytes + 63) & ~63
    if (this.free > this.memory.buffer.byteLength) throw new RangeError(`No room for ${bytes} bytes of blocks`)
    return at
  }

  /** Stored elements to doubles, exactly. */
  decode(source: Uint8Array, dtype: MergeDtype, target: Float64Array): void {
    const n = target.length
    if (dtype === 'F32') this.wasm.decodeF32(source.byteOffset, target.byteOffset, n)
    else if (dtype === 'BF16') this.wasm.decodeBF16(source.byteOffset, target.byteOffset, n)
    else if (dtype === 'F16') this.wasm.decodeF16(source.byteOffset, target.byteOffset, n)
    else target.set(new Float64Array(source.buffer, source.byteOffset, n))
  }

  /** Doubles to stored elements, rounded once to nearest even. */
  encode(source: Float64Array, dtype: MergeDtype, target: Uint8Array): void {
    const n = source.length
    if (dtype === 'F32') this.wasm.encodeF32(source.byteOffset, target.byteOffset, n)
    else if (dtype === 'BF16') this.wasm.encodeBF16(source.byteOffset, target.byteOffset, n)
    else if (dtype === 'F16') this.wasm.encodeF16(source.byteOffset, target.byteOffset, n)
    else new Float64Array(target.buffer, target.byteOffset, n).set(source)
  }

  /** sum += w * x */
  addScaled(sum: Float64Array, x: Float64Array, w: number): void {
    this.wasm.addScaled(sum.byteOffset, x.byteOffset, w, sum.length)
  }

  /** sum += w * x, straight from stored elements. */
  addScaledStored(sum: Float64Array, x: Uint8Array, dtype: MergeDtype, w: number): void {
    const { wasm } = this
    const add =
      dtype === 'F32'
        ? wasm.addScaledF32
        : dtype === 'BF16'
          ? wasm.addScaledBF16
          : dtype === 'F16'
            ? wasm.addScaledF16
            : wasm.addScaled
    add(sum.byteOffset, x.byteOffset, w, sum.length)
  }

  /** target = a - b */
  subtract(target: Float64Array, a: Float64Array, b: Float64Array): void {
    this.wasm.subtract(target.byteOffset, a.byteOffset, b.byteOffset, target.length)
  }

  /** x *= w */
  scale(x: Float64Array, w: number): void {
    this.wasm.scale(x.byteOffset, w, x.length)
  }

  /** The index of the first NaN or infinity, or -1. */
  findNonFinite(x: Float64Array): number {
    return this.wasm.findNonFinite(x.byteOffset, x.length)
  }

  /** As `findNonFinite`, for elements as they are stored. */
  findNonFiniteStored(x: Uint8Array, dtype: MergeDtype): number {
    if (dtype === 'F64') return this.wasm.findNonFinite(x.byteOffset, x.length / 8)
    if (dtype === 'F32') return this.wasm.findSpecial32(x.byteOffset, 0x7f800000, x.length / 4)
    return this.wasm.findSpecial16(x.byteOffset, dtype === 'BF16' ? 0x7f80 : 0x7c00, x.length / 2)
  }

  dot(a: Float64Array, b: Float64Array): number {
    return this.wasm.dot(a.byteOffset, b.byteOffset, a.length)
  }

  sumMagnitudes(x: Float64Array): number {
    return this.wasm.sumMagnitudes(x.byteOffset, x.length)
  }

  /** Counts magnitudes by the high half of their float32 bits (32,768 counters). */
  countHigh(x: Float64Array, counters: Uint32Array): void {
    this.wasm.countHigh(x.byteOffset, counters.byteOffset, x.length)
  }

  /** Counts the magnitudes with this high half by their low half (65,536 counters). */
  countLow(x: Float64Array, high: number, counters: Uint32Array): void {
    this.wasm.countLow(x.byteOffset, high, counters.byteOffset, x.length)
  }

  /** Zeroes magnitudes below the threshold's bits, and equal ones after the first `quota`; returns how many equal ones were kept. */
  keepLargest(x: Float64Array, threshold: number, quota: number): number {
    return this.wasm.keepLargest(x.byteOffset, threshold, quota, x.length)
  }

  /** Zeroes magnitudes above the threshold's bits, and the first `quota` of the equal ones; returns how many equal ones were zeroed. */
  dropLargest(x: Float64Array, threshold: number, quota: number): number {
    return this.wasm.dropLargest(x.byteOffset, threshold, quota, x.length)
  }

  /** Where x is not zero and agrees with the sign of `elected` (zero is positive): sum += x, weights += w. */
  addAgreeing(sum: Float64Array, weights: Float64Array, elected: Float64Array, x: Float64Array, w: number): void {
    this.wasm.addAgreeing(sum.byteOffset, weights.byteOffset, elected.byteOffset, x.byteOffset, w, x.length)
  }

  /** target = base + factor * sum / weights, with 1 for weights of zero. */
  addQuotient(
    target: Float64Array,
    base: Float64Array,
    sum: Float64Array,
    weights: Float64Array,
    factor: number,
  ): void {
    this.wasm.addQuotient(target.byteOffset, base.byteOffset, sum.byteOffset, weights.byteOffset, factor, target.length)
  }

  /** Element i becomes `random(...key).uint32(first + i)`; `first` is a multiple of 4. */
  fillRandom(target: Uint32Array, key: RandomKey, first: number): void {
    const [k0, k1, c2, c3] = key
    const whole = target.length & ~15
    this.wasm.randomWords(target.byteOffset, first, c2, c3, k0, k1, whole)
    if (whole === target.length) return
    const last = this.words('random tail', 16)
    this.wasm.randomWords(last.byteOffset, first + whole, c2, c3, k0, k1, 16)
    target.set(last.subarray(0, target.length - whole), whole)
  }

  /** Keeps the elements whose word is below `share` of 2^32, zeroes the others. */
  keepBelow(x: Float64Array, words: Uint32Array, share: number): void {
    if (share >= 1) return
    this.wasm.keepBelow(x.byteOffset, words.byteOffset, Math.round(share * 4294967296), x.length)
  }

  /** Ranks of magnitudes within one row, 0 the smallest; equal ones by index. */
  rankMagnitudes(x: Float64Array, ranks: Uint32Array): void {
    const scratch = this.words('sort', 4 * x.length + 1024)
    this.wasm.rankMagnitudes(x.byteOffset, ranks.byteOffset, scratch.byteOffset, x.length)
  }

  /** Keeps the elements whose word is below the share `low + step * rank` of 2^32, zeroes the others. */
  keepByRank(x: Float64Array, words: Uint32Array, ranks: Uint32Array, low: number, step: number): void {
    this.wasm.keepByRank(
      x.byteOffset,
      words.byteOffset,
      ranks.byteOffset,
      low * 4294967296,
      step * 4294967296,
      x.length,
    )
  }
}

/** The words that key a sequence of random integers. */
export type RandomKey = readonly [number, number, number, number]

export function randomKey(...key: (string | number)[]): RandomKey {
  return Array.from(keyWords(key)) as unknown as RandomKey
}
