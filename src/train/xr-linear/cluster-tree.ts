/**
 * A tree over labels by balanced spherical 2-means, from the root down (Prabhu et al., Parabel, 2018): labels are parted into halves of equal size, the
 * halves again, until few enough are left; then levels are put together, so that a node has more than two children.
 */
import { setImmediate } from 'node:timers/promises'
import type { XrTree } from '../../models/xr-tree.ts'
import { random } from '../../tensor/random.ts'
import { throwIfAborted } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import type { SparseRows } from './label-vectors.ts'

/** Labels that the means are found on; more are parted by means of so many. */
const sampleSize = 16_384
const mostRounds = 12
/** Labels parted between two looks at the clock and the signal. */
const labelsPerStep = 20_000

export interface ClusterOptions {
  /** Children of a node, a power of two. */
  readonly branching: number
  /** Labels below a last node, at most. */
  readonly leafSize: number
  readonly seed: number
}

/** @param vectors of labels, each of length one. */
export async function clusterTree(
  vectors: SparseRows,
  features: number,
  { branching, leafSize, seed }: ClusterOptions,
  { signal, onProgress }: RunOptions = {},
): Promise<XrTree> {
  const count = vectors.offsets.length - 1
  const depth = Math.max(0, Math.ceil(Math.log2(count / leafSize)))
  const splitter = new Splitter(vectors, features)
  const order = Uint32Array.from({ length: count }, (_, i) => i)
  // Ends of the parts, level by level: part i of a level becomes the parts 2i and 2i + 1 of the next.
  let bounds = [0, count]
  let parted = 0
  let shown = 0
  for (let level = 0; level < depth; level++) {
    const next = [0]
    for (let part = 0; part + 1 < bounds.length; part++) {
      const [start, end] = [bounds[part]!, bounds[part + 1]!]
      const half = start + Math.ceil((end - start) / 2)
      splitter.split(order.subarray(start, end), half - start, [seed, level, part])
      next.push(half, end)
      parted += end - start
      if (parted - shown < labelsPerStep) continue
      shown = parted
      onProgress?.({ step: 'label tree', done: parted, total: depth * count, unit: 'labels' })
      await setImmediate()
      throwIfAborted(signal)
    }
    bounds = next
  }
  return treeOf(order, bounds, depth, Math.log2(branching))
}

/** Binary levels, `step` at a time from the last one up, become levels of the tree; the rest stands at the root. */
function treeOf(order: Uint32Array, bounds: readonly number[], depth: number, step: number): XrTree {
  /** Numbers of nodes by level of the tree: the root, ..., the last nodes. */
  const widths = [2 ** depth]
  for (let binary = depth; binary > 0; ) {
    binary = Math.max(0, binary - step)
    widths.unshift(2 ** binary)
  }
  const nodes = widths.reduce((sum, width) => sum + width, 0)
  const childStart = new Uint32Array(nodes + 1)
  const targets = new Uint32Array(nodes - 1 + order.length)
  let node = 0
  let child = 0
  let below = 1
  for (const [level, width] of widths.entries()) {
    const children = level + 1 < widths.length ? widths[level + 1]! / width : 0
    for (let i = 0; i < width; i++) {
      childStart[node++] = child
      if (children > 0) for (let c = 0; c < children; c++) targets[child++] = below++
      else for (let at = bounds[i]!; at < bounds[i + 1]!; at++) targets[child++] = nodes + order[at]!
    }
  }
  childStart[nodes] = child
  return { childStart, targets }
}

class Splitter {
  readonly #vectors: SparseRows
  readonly #left: Float32Array
  readonly #right: Float32Array

  constructor(vectors: SparseRows, features: number) {
    this.#vectors = vectors
    this.#left = new Float32Array(features)
    this.#right = new Float32Array(features)
  }

  /** Reorders labels so that the first `half` of them are nearer to one mean and the others to the other; the order within stays as it was. */
  split(labels: Uint32Array, half: number, key: readonly number[]): void {
    const draws = random('label tree', ...key)
    const stride = Math.ceil(labels.length / sampleSize)
    const sample = stride === 1 ? labels : labels.filter((_, i) => i % stride === 0)
    const first = Math.floor(draws.uniform(0) * sample.length)
    const second = (first + 1 + Math.floor(draws.uniform(1) * (sample.length - 1))) % sample.length
    let norms = [
      this.#add(this.#left, sample.subarray(first, first + 1)),
      this.#add(this.#right, sample.subarray(second, second + 1)),
    ]
    let before: Uint8Array | undefined
    const sampleHalf = Math.ceil(sample.length / 2)
    for (let round = 0; round < mostRounds; round++) {
      const sides = sidesOf(this.#scores(sample, norms), sampleHalf)
      this.#clear(sample)
      norms = [
        this.#add(
          this.#left,
          sample.filter((_, i) => sides[i] === 0),
        ),
        this.#add(
          this.#right,
          sample.filter((_, i) => sides[i] === 1),
        ),
      ]
      if (before?.every((side, i) => side === sides[i])) break
      before = sides
    }
    const sides = sidesOf(this.#scores(labels, norms), half)
    this.#clear(sample)
    const left = labels.filter((_, i) => sides[i] === 0)
    labels.set(
      labels.filter((_, i) => sides[i] === 1),
      half,
    )
    labels.set(left)
  }

  /** Adds labels to a mean that is zero; returns its squared length. */
  #add(mean: Float32Array, labels: Uint32Array): number {
    const { offsets, columns, values } = this.#vectors
    let square = 0
    for (const label of labels) {
      for (let k = offsets[label]!; k < offsets[label + 1]!; k++) {
        const column = columns[k]!
        const value = values[k]!
        const sum = mean[column]!
        square += value * (2 * sum + value)
        mean[column] = sum + value
      }
    }
    return square
  }

  #clear(labels: Uint32Array): void {
    const { offsets, columns } = this.#vectors
    for (const label of labels) {
      for (let k = offsets[label]!; k < offsets[label + 1]!; k++) {
        this.#left[columns[k]!] = 0
        this.#right[columns[k]!] = 0
      }
    }
  }

  /** How much nearer each label is to the left mean than to the right one. */
  #scores(labels: Uint32Array, [left, right]: readonly number[]): Float32Array {
    const { offsets, columns, values } = this.#vectors
    const byLeft = left! > 0 ? 1 / Math.sqrt(left!) : 0
    const byRight = right! > 0 ? 1 / Math.sqrt(right!) : 0
    const scores = new Float32Array(labels.length)
    for (let i = 0; i < labels.length; i++) {
      const label = labels[i]!
      let score = 0
      for (let k = offsets[label]!; k < offsets[label + 1]!; k++) {
        const column = columns[k]!
        score += values[k]! * (this.#left[column]! * byLeft - this.#right[column]! * byRight)
      }
      scores[i] = score
    }
    return scores
  }
}

/** 0 for the `half` largest scores (of equal ones the first), 1 for the others. */
function sidesOf(scores: Float32Array, half: number): Uint8Array {
  const limit = scores.slice().sort()[scores.length - half]!
  const sides = new Uint8Array(scores.length).fill(1)
  let left = half
  for (let i = 0; i < scores.length; i++) {
    if (!(scores[i]! > limit)) continue
    sides[i] = 0
    left--
  }
  for (let i = 0; i < scores.length && left > 0; i++) {
    if (scores[i] !== limit) continue
    sides[i] = 0
    left--
  }
  return sides
}
