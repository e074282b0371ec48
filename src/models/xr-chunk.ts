/**
 * The weights of one node of an `xr-linear` model: a sparse matrix of features by children, by feature, 8 bits a weight. Looking a text's features up
 * in it costs a binary search each (the chunked layout of Etter et al., Accelerating inference for sparse extreme multi-label ranking trees, 2022).
 *
 * Bytes: features (u32, ascending), starts of their entries (u16, or u32 from 65,536 entries on), children (u8, or u16 from 257 children on),
 * weights (i8); filled up to a multiple of 4.
 */

export interface XrChunk {
  readonly features: Uint32Array
  /** [features + 1] */
  readonly starts: Uint16Array | Uint32Array
  readonly children: Uint8Array | Uint16Array
  readonly weights: Int8Array
}

/** How many features, entries and children a chunk has; its bytes say nothing of it. */
export interface XrChunkSize {
  readonly features: number
  readonly entries: number
  readonly children: number
}

const wideStarts = ({ entries }: XrChunkSize): boolean => entries > 0xffff
const wideChildren = ({ children }: XrChunkSize): boolean => children > 256

export function chunkBytes(size: XrChunkSize): number {
  const { features, entries } = size
  const bytes = features * 4 + (features + 1) * (wideStarts(size) ? 4 : 2) + entries * (wideChildren(size) ? 3 : 2)
  return Math.ceil(bytes / 4) * 4
}

/** A chunk as a view of its bytes, which begin at a multiple of 4. */
export function viewChunk(bytes: Uint8Array, size: XrChunkSize): XrChunk {
  const { features, entries } = size
  const { buffer } = bytes
  let at = bytes.byteOffset
  const take = <T>(
    make: new (buffer: ArrayBufferLike, offset: number, length: number) => T,
    length: number,
    width: number,
  ): T => {
    const view = new make(buffer, at, length)
    at += length * width
    return view
  }
  return {
    features: take(Uint32Array, features, 4),
    starts: wideStarts(size) ? take(Uint32Array, features + 1, 4) : take(Uint16Array, features + 1, 2),
    children: wideChildren(size) ? take(Uint16Array, entries, 2) : take(Uint8Array, entries, 1),
    weights: take(Int8Array, entries, 1),
  }
}

/**
 * Adds value x weight to `sums` for every feature of a text that the chunk knows.
 * @param count features of the text; `columns` and `values` hold them, in any order.
 */
export function addChunk(
  { features, starts, children, weights }: XrChunk,
  count: number,
  columns: Uint32Array,
  values: Float32Array,
  sums: Float32Array,
): void {
  const size = features.length
  for (let i = 0; i < count; i++) {
    const column = columns[i]!
    let low = 0
    let high = size
    while (low < high) {
      const middle = (low + high) >>> 1
      if (features[middle]! < column) low = middle + 1
      else high = middle
    }
    if (low === size || features[low] !== column) continue
    const value = values[i]!
    const end = starts[low + 1]!
    for (let entry = starts[low]!; entry < end; entry++) {
      const child = children[entry]!
      sums[child] = sums[child]! + value * weights[entry]!
    }
  }
}

/** What is wrong with a chunk read from a file, or undefined: a damaged file must not become a wrong answer. */
export function chunkFault(
  { features, starts, children }: XrChunk,
  size: XrChunkSize,
  columns: number,
): string | undefined {
  for (let i = 1; i < features.length; i++) if (features[i]! <= features[i - 1]!) return 'Expected ascending features'
  if (features.length > 0 && features.at(-1)! >= columns)
    return `Expected features below ${columns}, received ${features.at(-1)}`
  for (let i = 0; i < features.length; i++) if (starts[i + 1]! < starts[i]!) return 'Expected ascending starts'
  if (starts[0] !== 0 || starts.at(-1) !== size.entries) return `Expected starts from 0 to ${size.entries}`
  for (const child of children)
    if (child >= size.children) return `Expected children below ${size.children}, received ${child}`
  return undefined
}
