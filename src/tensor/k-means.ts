/** k-means clustering (Lloyd, 1982) with k-means++ seeds (Arthur and Vassilvitskii, 2007); the best of several starts. */
import { InputError } from '../util/errors.ts'
import { random } from './random.ts'

export interface KMeansOptions {
  /** Starts, of which the one with the least spread wins (default 10). */
  restarts?: number
  /** Rounds of one start at most (default 100). */
  iterations?: number
  /** Keys the random numbers (default 0). */
  seed?: number
}

export interface KMeans {
  /** The cluster of each point, 0 to k - 1; clusters are numbered in order of their first point, and none is empty. */
  readonly clusters: Int32Array
  /** The sum of squared distances to the centres. */
  readonly spread: number
}

/**
 * Groups points into k clusters.
 * @throws InputError `OPTION_RANGE` unless k is between 1 and the number of points.
 * @example
 * kMeans([[0], [0.1], [5]], 2).clusters // [0, 0, 1]
 */
export function kMeans(points: readonly ArrayLike<number>[], k: number, options: KMeansOptions = {}): KMeans {
  const { restarts = 10, iterations = 100, seed = 0 } = options
  if (!Number.isInteger(k) || k < 1 || k > points.length)
    throw new InputError('OPTION_RANGE', `Expected 1 to ${points.length} clusters, received ${k}`)
  let best: KMeans | undefined
  for (let start = 0; start < restarts; start++) {
    const found = lloyd(points, firstCentres(points, k, seed, start), iterations)
    if (!best || found.spread < best.spread) best = found
  }
  return { clusters: renumbered(best!.clusters), spread: best!.spread }
}

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2
  return sum
}

/** Each further centre is a point, drawn in proportion to its squared distance from the centres so far. */
function firstCentres(points: readonly ArrayLike<number>[], k: number, seed: number, start: number): Float64Array[] {
  const numbers = random(seed, 'k-means', start)
  const centres = [Float64Array.from(points[Math.floor(numbers.uniform(0) * points.length)]!)]
  while (centres.length < k) {
    const distances = points.map((point) => Math.min(...centres.map((centre) => distance(point, centre))))
    const total = distances.reduce((sum, d) => sum + d, 0)
    let left = numbers.uniform(centres.length) * total
    // Where all points lie on centres the first ones do, whatever is drawn.
    const index = total === 0 ? centres.length : distances.findIndex((d) => d > 0 && (left -= d) <= 0)
    centres.push(Float64Array.from(points[index < 0 ? distances.indexOf(Math.max(...distances)) : index]!))
  }
  return centres
}

function lloyd(points: readonly ArrayLike<number>[], centres: Float64Array[], iterations: number): KMeans {
  let clusters = new Int32Array(points.length).fill(-1)
  for (let round = 0; round < iterations; round++) {
    const next = Int32Array.from(points, (point) => {
      const distances = centres.map((centre) => distance(point, centre))
      return distances.indexOf(Math.min(...distances))
    })
    fillEmpty(points, next, centres)
    if (next.every((cluster, i) => cluster === clusters[i])) break
    clusters = next
    for (const [c, centre] of centres.entries()) {
      centre.fill(0)
      const members = points.filter((_, i) => clusters[i] === c)
      for (const point of members) for (let j = 0; j < centre.length; j++) centre[j]! += point[j]! / members.length
    }
  }
  return { clusters, spread: points.reduce((sum, point, i) => sum + distance(point, centres[clusters[i]!]!), 0) }
}

/** An empty cluster takes the point that lies farthest from its own centre, of the clusters that can spare one. */
function fillEmpty(points: readonly ArrayLike<number>[], clusters: Int32Array, centres: readonly Float64Array[]): void {
  for (let c = 0; c < centres.length; c++) {
    if (clusters.includes(c)) continue
    const counts = centres.map((_, other) => clusters.filter((cluster) => cluster === other).length)
    let farthest = -1
    let most = -1
    for (const [i, point] of points.entries()) {
      const own = distance(point, centres[clusters[i]!]!)
      if (counts[clusters[i]!]! > 1 && own > most) [farthest, most] = [i, own]
    }
    clusters[farthest] = c
  }
}

function renumbered(clusters: Int32Array): Int32Array {
  const numbers = new Map<number, number>()
  for (const cluster of clusters) if (!numbers.has(cluster)) numbers.set(cluster, numbers.size)
  return clusters.map((cluster) => numbers.get(cluster)!)
}
