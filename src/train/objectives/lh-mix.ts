/**
 * LH-Mix (Kong et al., Local hierarchy correlation guided mixup over hierarchical prompt tuning, 2025): the slots of two texts are mixed, level by level,
 * and the mixture is asked for the labels of both. How much of each: the more alike the two label paths, the closer to one half.
 */
import {
  add,
  concat,
  gather,
  logSumExp,
  mul,
  neg,
  reduceMean,
  reduceSum,
  reshape,
  sub,
  type Tensor,
} from '../../graph/index.ts'
import type { HeadTargets } from '../../labels/head-layout.ts'
import { permutation, random } from '../../tensor/random.ts'
import { type Levels, levelsOf, rightUnitsOf } from './level-loss.ts'
import type { Objective, ObjectiveBatch } from './objective.ts'

export interface LhMixLoss extends Levels {
  readonly kind: 'lh-mix'
  /**
   * How much of the first text a mixture has. guided: by the similarity of the two paths. permuted: the same ratios, given to other pairs. uniform: drawn
   * from 0 to 1. half: one half. none: texts are not mixed.
   */
  readonly ratio: 'guided' | 'permuted' | 'uniform' | 'half' | 'none'
  /**
   * Of two rows, in 0 to 1. shared-depth: the share of levels on which they agree. jaccard: labels in common over labels of either. names: (1 + cos) / 2 of
   * the vectors of their label names.
   */
  readonly similarity: 'shared-depth' | 'jaccard' | 'names'
  /** The ratio of two texts that have nothing in common, 0.5 to 1. */
  readonly beta: number
  /** The similarity is raised to it. */
  readonly alpha: number
  /** Updates before texts are mixed. */
  readonly warmUp: number
  /** As released: the mean ratio times the mean loss, in place of the mean of products. */
  readonly compat: boolean
  /** For `names`: the set of labels of every row, and a vector of unit length for every set. */
  readonly names?: { readonly setOf: Uint32Array; readonly vectors: Float32Array; readonly width: number }
}

/** beta - (beta - 1/2) s^alpha. */
export const mixRatio = (similarity: number, beta: number, alpha: number): number =>
  beta - (beta - 0.5) * similarity ** alpha

/**
 * ZLPR (Su et al., 2022): ln(1 + sum over the wrong labels of e^s) + ln(1 + sum over the right ones of e^-s); labels with a score above 0 are chosen.
 * @returns [n], of logits [n, C] and 1 for right labels [n, C].
 */
export function zlpr(logits: Tensor, right: Tensor): Tensor {
  const zero = reshape(mul(reduceSum(right, [1]), 0), [logits.shape[0]!, 1])
  const side = (scores: Tensor, out: Tensor) => logSumExp(concat([zero, sub(scores, mul(out, far))], 1))
  return add(side(logits, right), side(neg(logits), sub(1, right)))
}

const far = 1e9

/** ZLPR of every level, summed: [n]. */
const levelZlpr = (logits: Tensor, right: Tensor, ends: readonly number[]): Tensor => {
  const rights = levelsOf(right, ends)
  return levelsOf(logits, ends)
    .map((level, l) => zlpr(level, rights[l]!))
    .reduce((a, b) => add(a, b))
}

/** The loss of mixtures by the losses of their two halves: per row, or as released. All [n]. */
export function mixedLoss(first: Tensor, second: Tensor, ratio: Tensor, compat: boolean): Tensor {
  const share = compat ? reduceMean(ratio) : ratio
  return add(mul(share, first), mul(sub(1, share), second))
}

export function lhMixLoss(config: LhMixLoss): Objective {
  const { ends, compat } = config
  const units = ends.at(-1)!
  return {
    loss({ built }) {
      const { graph } = built.logits!
      const right = graph.input('mix.right', 'float32', ['B', units])
      const weight = graph.input('mix.weight', 'float32', ['B'])
      if (config.ratio === 'none') return reduceSum(mul(weight, levelZlpr(built.logits!, right, ends)))
      const mates = graph.input('mix.mates', 'int64', ['B'])
      const ratio = graph.input('mix.ratio', 'float32', ['B'])
      const slots = built.slots['slots']!
      const share = reshape(ratio, ['B', 1, 1])
      const mixed = add(mul(share, slots), mul(sub(1, share), gather(slots, mates)))
      const logits = built.readout!(mixed)
      const losses = [right, gather(right, mates)].map((one) => levelZlpr(logits, one, ends))
      return reduceSum(mul(weight, mixedLoss(losses[0]!, losses[1]!, ratio, compat)))
    },
    feeds(batch) {
      const { targets, rows, batchRows } = batch
      const weight = new Float32Array(rows.length).fill(1 / batchRows / ends.length)
      const right = { 'mix.right': rightUnitsOf(targets, rows, units), 'mix.weight': weight }
      if (config.ratio === 'none') return { feeds: right, dims: {} }
      const mates = permutation(rows.length, random(batch.seed, 'mates', batch.step))
      return {
        feeds: { ...right, 'mix.mates': BigInt64Array.from(mates, BigInt), 'mix.ratio': ratios(config, batch, mates) },
        dims: {},
      }
    },
  }
}

/** What part of every row stays in its mixture. */
function ratios(config: LhMixLoss, batch: ObjectiveBatch, mates: ArrayLike<number>): Float32Array {
  const { ratio, beta, alpha, warmUp } = config
  const { rows, seed, step, update } = batch
  if (update < warmUp) return new Float32Array(rows.length).fill(1)
  if (ratio === 'half') return new Float32Array(rows.length).fill(0.5)
  const draws = random(seed, 'ratio', step)
  if (ratio === 'uniform') return Float32Array.from(rows, (_, i) => draws.uniform(i))
  const guided = Float32Array.from(rows, (row, i) =>
    mixRatio(similarityOf(config, batch.targets, row, rows[mates[i]!]!), beta, alpha),
  )
  if (ratio === 'guided') return guided
  const order = permutation(rows.length, draws)
  return guided.map((_, i) => guided[order[i]!]!)
}

/** Similarity of the labels of two rows. */
export function similarityOf(
  { similarity, names }: Pick<LhMixLoss, 'similarity' | 'names'>,
  { unitOffsets, rightUnits }: HeadTargets,
  a: number,
  b: number,
): number {
  if (similarity === 'names') {
    const { setOf, vectors, width } = names!
    let dot = 0
    for (let k = 0; k < width; k++) dot += vectors[setOf[a]! * width + k]! * vectors[setOf[b]! * width + k]!
    return Math.min(1, Math.max(0, (1 + dot) / 2))
  }
  const own = (row: number) => rightUnits.subarray(unitOffsets[row], unitOffsets[row + 1])
  const [first, second] = [own(a), new Set(own(b))]
  const common = first.filter((unit) => second.has(unit)).length
  const all = similarity === 'jaccard' ? first.length + second.size - common : Math.max(first.length, second.size)
  return all === 0 ? 1 : common / all
}
