/** Texts as sparse unit vectors of weighted words (TF-IDF; Salton and Buckley, 1988): enough to see which labels hold texts of one kind. */
import { Arena } from '../tensor/kernels/arena.ts'
import { NgramHasher } from '../text/ngram-hasher.ts'
import { throwIfAborted } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'

/** Row r has values[k] at columns[k] for k from offsets[r] to offsets[r + 1]; every row has length one, or none. */
export interface UnitVectors {
  readonly count: number
  readonly width: number
  readonly offsets: Uint32Array
  readonly columns: Uint32Array
  readonly values: Float64Array
}

/** (1 + ln count) x (ln((1 + texts) / (1 + texts with the word)) + 1), scaled to length one. */
export async function tfIdfVectors(texts: readonly string[], run: RunOptions = {}): Promise<UnitVectors> {
  const hasher = await NgramHasher.create(new Arena(), { minCharacters: 1, maxCharacters: 0, maxWords: 1 })
  const columnOf = new Map<number, number>()
  const frequencies: number[] = []
  const rows: { columns: Uint32Array; counts: Float64Array }[] = []
  for (const [row, text] of texts.entries()) {
    const found = hasher.hash(text)
    const { arena, scratch } = hasher
    const counts = Float64Array.from(arena.u32(scratch.counts, found))
    const columns = Uint32Array.from(arena.u32(scratch.hashes, found), (hash) => {
      const column = columnOf.get(hash) ?? columnOf.size
      columnOf.set(hash, column)
      frequencies[column] = (frequencies[column] ?? 0) + 1
      return column
    })
    rows.push({ columns, counts })
    if (row % 1000 === 0) {
      throwIfAborted(run.signal)
      run.onProgress?.({ step: 'vectors', done: row, total: texts.length, unit: 'texts' })
    }
  }
  const weights = frequencies.map((frequency) => Math.log((1 + texts.length) / (1 + frequency)) + 1)
  const offsets = new Uint32Array(texts.length + 1)
  for (const [row, { columns }] of rows.entries()) offsets[row + 1] = offsets[row]! + columns.length
  const columns = new Uint32Array(offsets.at(-1)!)
  const values = new Float64Array(offsets.at(-1)!)
  for (const [row, entry] of rows.entries()) {
    const weighted = entry.counts.map((count, k) => (1 + Math.log(count)) * weights[entry.columns[k]!]!)
    const length = Math.hypot(...weighted) || 1
    columns.set(entry.columns, offsets[row]!)
    values.set(
      weighted.map((value) => value / length),
      offsets[row]!,
    )
  }
  return { count: texts.length, width: columnOf.size, offsets, columns, values }
}

/** Dense vectors, such as an encoder's, scaled to length one. */
export function unitVectors(vectors: readonly ArrayLike<number>[]): UnitVectors {
  const width = vectors[0]?.length ?? 0
  const values = new Float64Array(vectors.length * width)
  for (const [row, vector] of vectors.entries()) {
    const length = Math.hypot(...Array.from(vector)) || 1
    for (let k = 0; k < width; k++) values[row * width + k] = vector[k]! / length
  }
  return {
    count: vectors.length,
    width,
    offsets: Uint32Array.from({ length: vectors.length + 1 }, (_, row) => row * width),
    columns: Uint32Array.from(values, (_, k) => k % width),
    values,
  }
}

/** The product of a row and a dense vector. */
export function dot({ offsets, columns, values }: UnitVectors, row: number, dense: Float64Array): number {
  let sum = 0
  for (let k = offsets[row]!; k < offsets[row + 1]!; k++) sum += values[k]! * dense[columns[k]!]!
  return sum
}

/** The sum of rows, by cluster: one dense vector each. */
export function sumsOf(vectors: UnitVectors, clusters: ArrayLike<number>, count: number): Float64Array[] {
  const sums = Array.from({ length: count }, () => new Float64Array(vectors.width))
  for (let row = 0; row < vectors.count; row++) {
    const sum = sums[clusters[row]!]!
    for (let k = vectors.offsets[row]!; k < vectors.offsets[row + 1]!; k++)
      sum[vectors.columns[k]!]! += vectors.values[k]!
  }
  return sums
}
