/**
 * Which rows make which batch. The order of an epoch is a function of (seed, epoch) alone, so any position in it can be found again; rows of like
 * length share a batch (sorting inside windows of shuffled rows), so that padding is small and the order still random.
 */
import { permutation, random } from '../tensor/random.ts'

/** Token rows in compressed form: row r is tokens[offsets[r]..offsets[r+1]), special tokens included. */
export interface TokenRows {
  readonly offsets: Uint32Array
  readonly tokens: Int32Array
}

/** Batches per window: large enough to keep padding small, small enough to keep the order random. */
const windowBatches = 50

/** Number of rows of `rows`. */
export const rowCount = (rows: TokenRows): number => rows.offsets.length - 1

/** Batches of one epoch. */
export const batchCount = (rows: number, batchSize: number): number => Math.ceil(rows / batchSize)

/**
 * All batches of an epoch, each row in exactly one; rows of one length keep their shuffled order, so that files sorted by label give mixed batches; every batch but one has `batchSize` rows.
 * @param epoch counts from 0.
 */
export function epochBatches(rows: TokenRows, batchSize: number, seed: number, epoch: number): Uint32Array[] {
  const order = permutation(rowCount(rows), random(seed, 'order', epoch))
  const length = (row: number): number => rows.offsets[row + 1]! - rows.offsets[row]!
  const batches: Uint32Array[] = []
  for (let start = 0; start < order.length; start += windowBatches * batchSize) {
    const window = order.subarray(start, start + windowBatches * batchSize).sort((a, b) => length(a) - length(b))
    for (let at = 0; at < window.length; at += batchSize) batches.push(window.slice(at, at + batchSize))
  }
  return Array.from(permutation(batches.length, random(seed, 'batches', epoch)), (index) => batches[index]!)
}

/** A batch cut into parts of at most `size` rows, the work of one graph run each; their gradients are added up. */
export function microBatches(batch: Uint32Array, size: number): Uint32Array[] {
  return Array.from({ length: batchCount(batch.length, size) }, (_, i) => batch.subarray(i * size, (i + 1) * size))
}

/** The tokens of each row of a batch. */
export function batchTokens({ offsets, tokens }: TokenRows, batch: Uint32Array): Int32Array[] {
  return Array.from(batch, (row) => tokens.subarray(offsets[row], offsets[row + 1]))
}

/** Packs token lists into shared memory, so that a worker reads them without a copy. */
export function packTokens(rows: readonly Int32Array[]): TokenRows {
  const offsets = new Uint32Array(new SharedArrayBuffer((rows.length + 1) * 4))
  for (const [r, row] of rows.entries()) offsets[r + 1] = offsets[r]! + row.length
  const tokens = new Int32Array(new SharedArrayBuffer(offsets.at(-1)! * 4))
  for (const [r, row] of rows.entries()) tokens.set(row, offsets[r])
  return { offsets, tokens }
}
