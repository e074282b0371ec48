/**
 * Exact order statistics of magnitudes without sorting: two counting passes over the bits of float32 magnitudes (high half, then the low
 * half within the bucket found), 98,304 counters a rank, no copy of the tensor.
 */
import type { Block, TensorTask } from '../engine/tensor-task.ts'

const highBuckets = 32_768
const lowBuckets = 65_536

/** Where a rank falls: magnitudes with larger bits are above it; of the equal ones, `quota` belong to the larger side. */
export interface Cut {
  readonly threshold: number
  readonly quota: number
}

/** Above every magnitude: nothing is larger. */
export const nothing: Cut = { threshold: 0xffffffff, quota: 0 }

/** What is counted of a block: one array for each series of ranks. */
export type Series = (block: Block) => readonly Float64Array[]

/**
 * For each series and each of its ranks k, the cut that has exactly the k largest magnitudes on its larger side (equal ones by index).
 * `k = 0` gives `nothing`.
 */
export function selectLargest(
  task: TensorTask,
  ranks: readonly (readonly number[])[],
  series: Series,
  blocks: () => Iterable<Block> = () => task.blocks(),
): Cut[][] {
  const high = ranks.map((_, s) => task.kernels.words(`high ${s}`, highBuckets).fill(0))
  for (const block of blocks())
    for (const [s, values] of series(block).entries()) task.kernels.countHigh(values, high[s]!)
  const buckets = ranks.map((ks, s) => ks.map((k) => bucketOf(high[s]!, k)))
  const low = buckets.map((found, s) => found.map((_, i) => task.kernels.words(`low ${s} ${i}`, lowBuckets).fill(0)))
  for (const block of blocks())
    for (const [s, values] of series(block).entries())
      for (const [i, bucket] of buckets[s]!.entries())
        if (bucket) task.kernels.countLow(values, bucket.index, low[s]![i]!)
  return buckets.map((found, s) => found.map((bucket, i) => (bucket ? cutOf(bucket, low[s]![i]!) : nothing)))
}

export interface Bucket {
  readonly index: number
  /** How many elements of the bucket are on the larger side. */
  readonly inside: number
}

/** The bucket, from the largest down, in which the k-th element falls; undefined for k = 0. */
export function bucketOf(counters: ArrayLike<number>, k: number): Bucket | undefined {
  if (k <= 0) return undefined
  let above = 0
  for (let index = counters.length - 1; index >= 0; index--) {
    const count = counters[index]!
    if (above + count >= k) return { index, inside: k - above }
    above += count
  }
  return { index: 0, inside: k - above }
}

/** The exact cut within a bucket, from the counts of low halves. */
export function cutOf({ index, inside }: Bucket, low: ArrayLike<number>): Cut {
  const found = bucketOf(low, inside)!
  return { threshold: index * lowBuckets + found.index, quota: found.inside }
}

/** The magnitude at a cut. */
export function magnitudeAt({ threshold }: Cut): number {
  return new Float32Array(Uint32Array.of(threshold).buffer)[0]!
}
