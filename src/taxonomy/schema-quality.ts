/**
 * What a labelling is worth, seen from the texts alone: texts of one label should be near each other and far from those of other labels. Distances are
 * 1 - cosine, so that sums over a class need one product each.
 */
import { random } from '../tensor/random.ts'
import { contingency, normalizedMutualInformation, silhouette } from './cluster-measures.ts'
import { dot, sumsOf, type UnitVectors } from './text-vectors.ts'

export interface SchemaQuality {
  /** Texts that were looked at, and the classes they have. */
  readonly texts: number
  readonly classes: number
  /** Mean cosine of a text and the centre of its class, -1 to 1. Higher is better. */
  readonly intra: number
  /** Mean cosine of a text and the centres of the other classes, -1 to 1. Lower is better. */
  readonly inter: number
  /** -1 to 1. Higher is better. */
  readonly silhouette: number
  /** Mean over classes of the worst (spread + spread) / distance of centres, from 0 (Davies and Bouldin, 1979). Lower is better. */
  readonly daviesBouldin: number
  /** Agreement of the labels with as many clusters by spherical k-means, 0 to 1. Higher is better. */
  readonly nmi: number
}

/**
 * The quality of one level of a labelling.
 * @param labels per text its classes; a text of several counts for the one whose centre is nearest; a text without any is left out.
 */
export function schemaQuality(vectors: UnitVectors, labels: readonly (readonly string[])[], seed = 0): SchemaQuality {
  const names = [...new Set(labels.flat())].sort()
  const numberOf = new Map(names.map((name, i) => [name, i]))
  const rows = labels.flatMap((own, row) => (own.length > 0 ? [row] : []))
  const part = takeRows(vectors, rows)
  const classes = nearestOwn(
    part,
    rows.map((row) => labels[row]!.map((name) => numberOf.get(name)!)),
    names.length,
  )
  const sizes = names.map(() => 0)
  for (const number of classes) sizes[number]!++
  const sums = sumsOf(part, classes, names.length)
  const centres = sums.map(unit)
  const filled = sizes.flatMap((size, number) => (size > 0 ? [number] : []))
  let intra = 0
  let inter = 0
  const spreads = new Float64Array(names.length)
  for (let row = 0; row < part.count; row++) {
    const own = dot(part, row, centres[classes[row]!]!)
    intra += own / part.count
    spreads[classes[row]!]! += (1 - own) / sizes[classes[row]!]!
    for (const other of filled)
      if (other !== classes[row]) inter += dot(part, row, centres[other]!) / (part.count * (filled.length - 1))
  }
  // Sum of 1 - cosine over a class: its size less one product, as long as every text has length one.
  const away = (row: number, number: number) => sizes[number]! - dot(part, row, sums[number]!)
  return {
    texts: part.count,
    classes: filled.length,
    intra,
    inter: filled.length > 1 ? inter : Number.NaN,
    silhouette: silhouette(classes, sizes, away),
    daviesBouldin: daviesBouldin(filled, centres, spreads),
    nmi: normalizedMutualInformation(contingency(sphericalKMeans(part, filled.length, seed), classes)),
  }
}

/** Each text's class: its only one, or the one of its own whose centre, over all texts that have it, is nearest. */
function nearestOwn(vectors: UnitVectors, own: readonly (readonly number[])[], count: number): Int32Array {
  if (own.every((list) => list.length === 1)) return Int32Array.from(own, ([only]) => only!)
  const sums = Array.from({ length: count }, () => new Float64Array(vectors.width))
  for (const [row, list] of own.entries())
    for (const number of list)
      for (let k = vectors.offsets[row]!; k < vectors.offsets[row + 1]!; k++)
        sums[number]![vectors.columns[k]!]! += vectors.values[k]!
  const centres = sums.map(unit)
  return Int32Array.from(own, (list, row) => {
    const near = list.map((number) => dot(vectors, row, centres[number]!))
    return list[near.indexOf(Math.max(...near))]!
  })
}

function daviesBouldin(filled: readonly number[], centres: readonly Float64Array[], spreads: Float64Array): number {
  if (filled.length < 2) return Number.NaN
  let sum = 0
  for (const a of filled) {
    let worst = 0
    for (const b of filled) {
      if (a === b) continue
      let cosine = 0
      for (let k = 0; k < centres[a]!.length; k++) cosine += centres[a]![k]! * centres[b]![k]!
      worst = Math.max(worst, (spreads[a]! + spreads[b]!) / Math.max(1e-12, 1 - cosine))
    }
    sum += worst / filled.length
  }
  return sum
}

const rounds = 25

/** k-means on the sphere (Dhillon and Modha, 2001), from texts drawn far from each other; a cluster that runs empty stays so. */
export function sphericalKMeans(vectors: UnitVectors, k: number, seed: number): Int32Array {
  const numbers = random(seed, 'spherical k-means')
  const dense = (row: number) => {
    const centre = new Float64Array(vectors.width)
    for (let i = vectors.offsets[row]!; i < vectors.offsets[row + 1]!; i++)
      centre[vectors.columns[i]!] = vectors.values[i]!
    return centre
  }
  const centres: Float64Array[] = [dense(Math.floor(numbers.uniform(0) * vectors.count))]
  const nearest = new Float64Array(vectors.count).fill(Number.POSITIVE_INFINITY)
  while (centres.length < Math.min(k, vectors.count)) {
    let all = 0
    for (let row = 0; row < vectors.count; row++) {
      nearest[row] = Math.min(nearest[row]!, Math.max(0, 1 - dot(vectors, row, centres.at(-1)!)))
      all += nearest[row]!
    }
    let left = numbers.uniform(centres.length) * all
    const drawn = nearest.findIndex((distance) => distance > 0 && (left -= distance) <= 0)
    centres.push(dense(Math.max(0, drawn)))
  }
  const clusters = new Int32Array(vectors.count)
  for (let round = 0; round < rounds; round++) {
    let moved = 0
    for (let row = 0; row < vectors.count; row++) {
      let best = 0
      let most = Number.NEGATIVE_INFINITY
      for (const [cluster, centre] of centres.entries()) {
        const near = dot(vectors, row, centre)
        if (near > most) [best, most] = [cluster, near]
      }
      if (clusters[row] !== best) moved++
      clusters[row] = best
    }
    if (moved === 0 && round > 0) break
    for (const [cluster, sum] of sumsOf(vectors, clusters, centres.length).entries()) centres[cluster] = unit(sum)
  }
  return clusters
}

function unit(vector: Float64Array): Float64Array {
  let squares = 0
  for (const value of vector) squares += value * value
  return squares > 0 ? vector.map((value) => value / Math.sqrt(squares)) : vector
}

function takeRows(vectors: UnitVectors, rows: readonly number[]): UnitVectors {
  if (rows.length === vectors.count) return vectors
  const offsets = new Uint32Array(rows.length + 1)
  for (const [i, row] of rows.entries())
    offsets[i + 1] = offsets[i]! + vectors.offsets[row + 1]! - vectors.offsets[row]!
  const columns = new Uint32Array(offsets.at(-1)!)
  const values = new Float64Array(offsets.at(-1)!)
  for (const [i, row] of rows.entries()) {
    const [from, to] = [vectors.offsets[row]!, vectors.offsets[row + 1]!]
    columns.set(vectors.columns.subarray(from, to), offsets[i])
    values.set(vectors.values.subarray(from, to), offsets[i])
  }
  return { count: rows.length, width: vectors.width, offsets, columns, values }
}
