/** How well clusters hold together, and how well they agree with classes: silhouette, Davies-Bouldin, NMI, purity. */
import { InputError } from '../util/errors.ts'

/**
 * The mean over points of (b - a) / max(a, b): a is the mean distance to the others of its cluster, b the least mean distance to another cluster
 * (Rousseeuw, 1987). A point alone in its cluster counts 0.
 * @param sizes points of each cluster.
 * @param distance sum of the distances from point i to all points of a cluster.
 * @returns -1 to 1; NaN with fewer than two clusters.
 */
export function silhouette(
  clusters: ArrayLike<number>,
  sizes: readonly number[],
  distance: (point: number, cluster: number) => number,
): number {
  const filled = sizes.flatMap((size, cluster) => (size > 0 ? [cluster] : []))
  if (filled.length < 2) return Number.NaN
  let sum = 0
  for (let i = 0; i < clusters.length; i++) {
    const own = clusters[i]!
    if (sizes[own]! < 2) continue
    const a = distance(i, own) / (sizes[own]! - 1)
    let b = Number.POSITIVE_INFINITY
    for (const other of filled) if (other !== own) b = Math.min(b, distance(i, other) / sizes[other]!)
    if (Math.max(a, b) > 0) sum += (b - a) / Math.max(a, b)
  }
  return sum / clusters.length
}

/**
 * Texts in each pair of cluster and class, [clusters x classes], from two lists of numbers.
 * @throws InputError `OPTION_RANGE` if the lists differ in length.
 */
export function contingency(clusters: ArrayLike<number>, classes: ArrayLike<number>): number[][] {
  if (clusters.length !== classes.length)
    throw new InputError('OPTION_RANGE', `Expected ${clusters.length} classes, received ${classes.length}`)
  const width = 1 + Array.from(classes).reduce((most, value) => Math.max(most, value), -1)
  const table: number[][] = []
  for (let i = 0; i < clusters.length; i++) {
    while (table.length <= clusters[i]!) table.push(new Array<number>(width).fill(0))
    table[clusters[i]!]![classes[i]!]!++
  }
  return table
}

const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0)

/** The share of points that belong to the most frequent class of their cluster, 0 to 1. */
export function purity(table: readonly (readonly number[])[]): number {
  return total(table.map((row) => Math.max(0, ...row))) / total(table.map(total))
}

/** Normalised mutual information, 2 I / (H_a + H_b), 0 to 1; 1 for two partitions into one part. */
export function normalizedMutualInformation(table: readonly (readonly number[])[]): number {
  const rows = table.map(total)
  const columns = (table[0] ?? []).map((_, column) => total(table.map((row) => row[column]!)))
  const all = total(rows)
  const entropy = (counts: readonly number[]) =>
    -total(counts.filter((count) => count > 0).map((count) => (count / all) * Math.log(count / all)))
  const both = entropy(rows) + entropy(columns)
  if (both === 0) return 1
  return (2 * (both - entropy(table.flat()))) / both
}
