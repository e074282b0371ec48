/**
 * The loss of levels, each with a weight of its own: cross-entropy of every level's softmax, or where rows have several labels, the mean binary
 * cross-entropy of a level's labels. Averaged over the rows of the whole batch.
 */
import { add, mul, reduceSum, sigmoidCrossEntropy, slice, softmaxCrossEntropy, type Tensor } from '../../graph/index.ts'
import type { HeadTargets } from '../../labels/head-layout.ts'
import type { LossFeeds } from '../head-loss.ts'
import type { Objective, ObjectiveBatch } from './objective.ts'

/** Levels of a head: the units of one follow those of the level above. */
export interface Levels {
  /** Per level the end of its units. */
  readonly ends: readonly number[]
}

export interface LevelLoss extends Levels {
  readonly kind: 'levels'
  /** Per level, 0 or more. */
  readonly weights: readonly number[]
}

export const levelStart = (ends: readonly number[], level: number): number => ends[level - 1] ?? 0

/** The columns of every level, [rows, units] to [rows, units of the level]. */
export const levelsOf = (all: Tensor, ends: readonly number[]): Tensor[] =>
  ends.map((end, level) => slice(all, 1, levelStart(ends, level), end - levelStart(ends, level)))

/** 1 for the right units of each row, else 0: [rows, units]. */
export function rightUnitsOf({ unitOffsets, rightUnits }: HeadTargets, rows: Uint32Array, units: number): Float32Array {
  const target = new Float32Array(rows.length * units)
  for (const [i, row] of rows.entries())
    for (const unit of rightUnits.subarray(unitOffsets[row], unitOffsets[row + 1])) target[i * units + unit] = 1
  return target
}

export function levelLoss(config: LevelLoss): Objective {
  const { ends } = config
  const units = ends.at(-1)!
  return {
    loss({ built, layout }) {
      const { graph, shape } = built.logits!
      const target = graph.input('loss.target', 'float32', [shape[0]!, units])
      const logits = add(built.logits!, graph.input('loss.bias', 'float32', [units]))
      if (layout.activation === 'sigmoid') {
        const weight = graph.input('loss.weight', 'float32', [shape[0]!, units])
        return reduceSum(mul(weight, sigmoidCrossEntropy(logits, target)))
      }
      const targets = levelsOf(target, ends)
      return levelsOf(logits, ends)
        .map((level, l) => reduceSum(softmaxCrossEntropy(level, targets[l]!)))
        .reduce((a, b) => add(a, b))
    },
    feeds: (batch) => levelFeeds(config, batch),
  }
}

/** Targets with the weights of levels in them, for a softmax; beside them, for sigmoids. */
function levelFeeds(
  { ends, weights }: LevelLoss,
  { layout, targets, rows, batchRows, options }: ObjectiveBatch,
): LossFeeds {
  const units = ends.at(-1)!
  const { labelSmoothing, adjustment } = options
  const target = rightUnitsOf(targets, rows, units)
  const weight = new Float32Array(target.length)
  const softmax = layout.activation === 'softmax'
  for (let i = 0; i < rows.length; i++)
    for (const [level, end] of ends.entries()) {
      const from = i * units + levelStart(ends, level)
      const to = i * units + end
      const size = to - from
      weight.fill(weights[level]! / size / batchRows, from, to)
      // A row without a label on a level is asked nothing there by a softmax.
      const asked = target.subarray(from, to).includes(1)
      for (let k = from; k < to; k++)
        target[k] = softmax
          ? ((asked ? target[k]! * (1 - labelSmoothing) + labelSmoothing / size : 0) * weights[level]!) / batchRows
          : target[k]! * (1 - labelSmoothing) + labelSmoothing / 2
    }
  const feeds = { 'loss.target': target, 'loss.bias': adjustment ?? new Float32Array(units) }
  return { feeds: softmax ? feeds : { ...feeds, 'loss.weight': weight }, dims: {} }
}
