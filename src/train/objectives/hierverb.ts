/**
 * The two terms by which HierVerb ties the levels of a head together (Ji et al., Hierarchical verbalizer for few-shot hierarchical text classification,
 * 2023). Constraint chain: the probabilities of the last level, added up at the nodes above, must find the labels of the levels above. Contrast: texts
 * that share a label of a higher level are drawn together in the slots of the levels below it; every text goes through the encoder twice, with other
 * dropout.
 */
import {
  add,
  l2Normalize,
  logSoftmax,
  logSumExp,
  matmul,
  mul,
  neg,
  reduceSum,
  reshape,
  slice,
  softmax,
  sub,
  type Tensor,
} from '../../graph/index.ts'
import { headLoss, lossFeeds } from '../head-loss.ts'
import { type Levels, levelStart, levelsOf, rightUnitsOf } from './level-loss.ts'
import type { Objective, ObjectiveBatch, ObjectiveGraph } from './objective.ts'

export interface HierVerbLoss extends Levels {
  readonly kind: 'hierverb'
  /** Per unit the unit of the level above that it adds up to; -1 on the first level. */
  readonly above: readonly number[]
  /** Weight of the constraint chain; 0 leaves it out. */
  readonly chain: number
  /** Weight of the contrast; 0 leaves it out, and the second view with it. */
  readonly contrast: number
  /** Divides the cosines of the contrast. */
  readonly temperature: number
  /** The contrast of level l by the labels of level u above it counts 2^(-decay (l - u)). */
  readonly decay: number
  /** As released: the chain takes another softmax of its probabilities. */
  readonly compat: boolean
}

/** Far below any logit, and finite: 0 times it is 0. */
const far = 1e9

/** 1 where a unit of the last level (row) lies below a unit of `level` (column), else 0. */
function belowMatrix({ ends, above }: Pick<HierVerbLoss, 'ends' | 'above'>, level: number): Float32Array {
  const last = ends.length - 1
  const [first, columns] = [levelStart(ends, last), ends[level]! - levelStart(ends, level)]
  const matrix = new Float32Array((ends[last]! - first) * columns)
  for (let unit = first; unit < ends[last]!; unit++) {
    let at = unit
    for (let l = last; l > level; l--) at = above[at]!
    matrix[(unit - first) * columns + at - levelStart(ends, level)] = 1
  }
  return matrix
}

/**
 * The constraint chain: for every level above the last, minus the log of the probability that the last level gives to the nodes below the right one.
 * @param logits of the last level, [n, C].
 * @param right 1 for the right units of each level, [n, units of the level]; the last level is not looked at.
 * @returns the sum over the levels, [n].
 */
export function chainLoss(
  logits: Tensor,
  right: readonly Tensor[],
  config: Pick<HierVerbLoss, 'ends' | 'above' | 'compat'>,
): Tensor {
  const { ends, compat } = config
  const leaves = logits.shape[1] as number
  const losses = right.slice(0, -1).map((target, level) => {
    const below = logits.graph.constant(belowMatrix(config, level), [leaves, ends[level]! - levelStart(ends, level)])
    if (compat) return neg(reduceSum(mul(target, logSoftmax(matmul(softmax(logits), below))), [1]))
    const inside = matmul(target, below, { transB: true })
    return neg(logSumExp(add(logSoftmax(logits), mul(sub(inside, 1), far))))
  })
  return losses.reduce((a, b) => add(a, b))
}

/**
 * The contrast of one slot: minus the log of the share that the texts with the same label have in the similarities exp(cos / temperature) of a text to
 * all, itself included.
 * @param slots [n, width].
 * @param same 1 where two texts share the label, [n, n].
 * @returns [n].
 */
export function contrastTerms(slots: Tensor, same: Tensor, temperature: number): Tensor {
  const unit = l2Normalize(slots)
  const similar = matmul(unit, unit, { transB: true, alpha: 1 / temperature })
  return sub(logSumExp(similar), logSumExp(add(similar, mul(sub(same, 1), far))))
}

/** The contrast of every slot by every level above it, weighted: [n]. */
export function contrastLoss(slots: Tensor, same: readonly Tensor[], temperature: number, decay: number): Tensor {
  const width = slots.shape[2]!
  const terms = same.flatMap((_, below) => {
    const level = below + 1
    const own = reshape(slice(slots, 1, level, 1), [slots.shape[0]!, width])
    return same
      .slice(0, level)
      .map((shared, u) => mul(contrastTerms(own, shared, temperature), contrastWeight(level, u, decay)))
  })
  return terms.reduce((a, b) => add(a, b))
}

export const contrastWeight = (level: number, above: number, decay: number): number => 2 ** (-decay * (level - above))

export function hierverbLoss(config: HierVerbLoss): Objective {
  const { ends, chain, contrast, temperature, decay } = config
  const units = ends.at(-1)!
  const levels = ends.length
  const views = (rows: Uint32Array): Uint32Array => (contrast > 0 ? Uint32Array.from([...rows, ...rows]) : rows)
  const isChained = ({ layout }: Pick<ObjectiveGraph, 'layout'>) =>
    chain > 0 && levels > 1 && layout.activation === 'softmax'
  const isContrasted = contrast > 0 && levels > 1
  return {
    views,
    loss({ built, layout }) {
      const logits = built.logits!
      const { graph } = logits
      const terms = [headLoss(logits, layout)]
      if (isChained({ layout })) {
        const right = levelsOf(graph.input('chain.right', 'float32', ['B', units]), ends)
        const losses = chainLoss(levelsOf(logits, ends).at(-1)!, right, config)
        terms.push(reduceSum(mul(losses, graph.input('chain.weight', 'float32', ['B']))))
      }
      if (isContrasted) {
        const same = ends.slice(1).map((_, u) => graph.input(`contrast.same.${u}`, 'float32', ['B', 'B']))
        const losses = contrastLoss(built.slots['slots']!, same, temperature, decay)
        terms.push(reduceSum(mul(losses, graph.input('contrast.weight', 'float32', ['B']))))
      }
      return terms.reduce((a, b) => add(a, b))
    },
    feeds(batch: ObjectiveBatch) {
      const { layout, targets, rows, batchRows, options } = batch
      const both = views(rows)
      const n = both.length
      const { feeds, dims } = lossFeeds(layout, targets, both, (batchRows * n) / rows.length, options)
      const right = rightUnitsOf(targets, both, units)
      const more: typeof feeds = {}
      if (isChained(batch)) {
        more['chain.right'] = right
        // A row without a label asks nothing.
        const labelled = (i: number) => right.subarray(i * units, (i + 1) * units).includes(1)
        more['chain.weight'] = Float32Array.from(both, (_, i) =>
          labelled(i) ? (chain * rows.length) / batchRows / n : 0,
        )
      }
      if (isContrasted) {
        for (let u = 0; u < levels - 1; u++) more[`contrast.same.${u}`] = sharedLabels(right, ends, u, n)
        more['contrast.weight'] = new Float32Array(n).fill((contrast * rows.length) / batchRows / n ** 2)
      }
      return { feeds: { ...feeds, ...more }, dims }
    },
  }
}

/** 1 where two rows have a right unit of the level in common, or are the same row; else 0. */
function sharedLabels(right: Float32Array, ends: readonly number[], level: number, n: number): Float32Array {
  const units = ends.at(-1)!
  const own = Array.from({ length: n }, (_, i) => {
    const found: number[] = []
    for (let unit = levelStart(ends, level); unit < ends[level]!; unit++)
      if (right[i * units + unit] === 1) found.push(unit)
    return found
  })
  return Float32Array.from({ length: n * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n]
    return i === j || own[i]!.some((unit) => own[j]!.includes(unit)) ? 1 : 0
  })
}
