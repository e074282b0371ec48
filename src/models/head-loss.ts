/**
 * The training loss of a head layout on an encoder's logits: cross-entropy over each active softmax group, or binary cross-entropy over the
 * units of active sigmoid groups. The host lists the active groups of a batch, so the graph grows with them and never with units squared.
 */
import {
  add,
  concat,
  expand,
  type Graph,
  gather,
  type HostArray,
  logSoftmax,
  mul,
  multiplyDims,
  neg,
  reduceSum,
  reshape,
  sigmoidCrossEntropy,
  slice,
  type Tensor,
} from '../graph/index.ts'
import type { HeadLayout, HeadTargets } from '../labels/head-layout.ts'

export interface HeadLossOptions {
  /** Added to every row's logits in the loss alone: tau times the log prior of each unit [units] (Menon et al., 2021). */
  adjustment?: Float32Array
}

/** What one batch feeds into a head loss. */
export interface HeadFeeds {
  feeds: Record<string, HostArray>
  dims: Record<string, number>
}

/**
 * The loss, a scalar: the sum over rows of row weight times the summed losses of the row's active groups. Adds the inputs that `headFeeds`
 * fills: for softmax `head.units` [P, W] and `head.weights` [P], for sigmoid `head.targets` and `head.weights` [B, units].
 */
export function headLoss(logits: Tensor, layout: HeadLayout, { adjustment }: HeadLossOptions = {}): Tensor {
  const { graph } = logits
  const units = layout.unitNodes.length
  const z = adjustment ? add(logits, graph.constant(adjustment, [units])) : logits
  return layout.activation === 'softmax' ? softmaxLoss(graph, z, units) : sigmoidLoss(graph, z, units)
}

/** Each of P (row, active group) pairs picks its units out of the logits, the right one first; a column of -1e9 stands behind for padding. */
function softmaxLoss(graph: Graph, logits: Tensor, units: number): Tensor {
  const picks = graph.input('head.units', 'int32', ['P', 'W'])
  const weights = graph.input('head.weights', 'float32', ['P'])
  const padding = expand(graph.constant(-1e9, [1, 1]), ['B', 1])
  const flat = reshape(concat([logits, padding], 1), [multiplyDims('B', units + 1)])
  const right = slice(logSoftmax(gather(flat, picks)), 1, 0, 1)
  return neg(reduceSum(mul(reshape(right, ['P']), weights)))
}

function sigmoidLoss(graph: Graph, logits: Tensor, units: number): Tensor {
  const targets = graph.input('head.targets', 'float32', ['B', units])
  const weights = graph.input('head.weights', 'float32', ['B', units])
  return reduceSum(mul(sigmoidCrossEntropy(logits, targets), weights))
}

/**
 * The feeds of a batch.
 * @param rows indices into `targets` of the batch's rows, in the order of the logits.
 * @param rowWeight weight of each row's loss; the default gives the mean over the batch. For micro-batches pass one over the rows of the whole
 * batch, and add up their losses and gradients.
 */
export function headFeeds(
  layout: HeadLayout,
  targets: HeadTargets,
  rows: ArrayLike<number>,
  rowWeight: number = 1 / rows.length,
): HeadFeeds {
  return layout.activation === 'softmax'
    ? softmaxFeeds(layout, targets, rows, rowWeight)
    : sigmoidFeeds(layout, targets, rows, rowWeight)
}

function softmaxFeeds(layout: HeadLayout, targets: HeadTargets, rows: ArrayLike<number>, rowWeight: number): HeadFeeds {
  const { groupOffsets, activeGroups, unitOffsets, rightUnits } = targets
  const pairs: { base: number; start: number; end: number; right: number }[] = []
  const stride = layout.unitNodes.length + 1
  for (let b = 0; b < rows.length; b++) {
    const row = rows[b]!
    const right = rightUnits.subarray(unitOffsets[row], unitOffsets[row + 1])
    for (const index of activeGroups.subarray(groupOffsets[row], groupOffsets[row + 1])) {
      const { start, end } = layout.groups[index]!
      const unit = right.find((candidate) => candidate >= start && candidate < end)!
      pairs.push({ base: b * stride, start, end, right: unit })
    }
  }
  // A batch without active groups still needs one pair, of weight 0.
  const P = Math.max(1, pairs.length)
  const W = pairs.reduce((widest, { start, end }) => Math.max(widest, end - start), 1)
  const picks = new Int32Array(P * W).fill(stride - 1)
  const weights = new Float32Array(P)
  for (const [p, { base, start, end, right }] of pairs.entries()) {
    picks.fill(base + stride - 1, p * W, (p + 1) * W)
    picks[p * W] = base + right
    for (let unit = start, at = p * W + 1; unit < end; unit++) if (unit !== right) picks[at++] = base + unit
    weights[p] = rowWeight
  }
  return { feeds: { 'head.units': picks, 'head.weights': weights }, dims: { P, W } }
}

function sigmoidFeeds(layout: HeadLayout, targets: HeadTargets, rows: ArrayLike<number>, rowWeight: number): HeadFeeds {
  const units = layout.unitNodes.length
  const right = new Float32Array(rows.length * units)
  const weights = new Float32Array(rows.length * units)
  for (let b = 0; b < rows.length; b++) {
    const row = rows[b]!
    const groups = targets.activeGroups.subarray(targets.groupOffsets[row], targets.groupOffsets[row + 1])
    for (const index of groups) {
      const { start, end } = layout.groups[index]!
      weights.fill(rowWeight, b * units + start, b * units + end)
    }
    const rightUnits = targets.rightUnits.subarray(targets.unitOffsets[row], targets.unitOffsets[row + 1])
    for (const unit of rightUnits) right[b * units + unit] = 1
  }
  return { feeds: { 'head.targets': right, 'head.weights': weights }, dims: {} }
}
