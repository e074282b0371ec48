/**
 * The loss of any head layout, as graph nodes fed with what a batch asks. Softmax groups: cross-entropy of each active group, summed over the
 * groups of a row (the negative log-likelihood of its path). Sigmoid groups: binary cross-entropy, averaged over the row's active units. Both are
 * averaged over the rows of the whole batch, so that micro-batches add up to it. Optional label smoothing (Szegedy et al., 2016) and additive
 * logit adjustment (Menon et al., 2021); another loss may take the place of cross-entropy, see losses/.
 */
import {
  add,
  type Dim,
  gather,
  type HostArray,
  mul,
  multiplyDims,
  reduceSum,
  reshape,
  sigmoidCrossEntropy,
  softmaxCrossEntropy,
  type Tensor,
} from '../graph/index.ts'
import type { HeadLayout, HeadTargets } from '../labels/head-layout.ts'
import type { LossJob } from './losses/index.ts'
import { lossTerms } from './losses/terms.ts'

export interface LossOptions {
  /** Share of the target that is spread over all units of a group (softmax) or taken towards one half (sigmoid); 0 to below 1. */
  readonly labelSmoothing: number
  /** Added to the logits, per unit, in training only: for example the log of each unit's share. */
  readonly adjustment?: Float32Array
  /** In place of cross-entropy. */
  readonly loss?: LossJob
}

export interface LossFeeds {
  readonly feeds: Record<string, HostArray>
  readonly dims: Record<string, number>
}

/** Stands for minus infinity in padded places: exp of it is 0, and 0 times it is 0. */
const absent = -1e9

/** One softmax over all units needs no gathering. */
const single = (layout: HeadLayout): boolean => layout.activation === 'softmax' && layout.groups.length === 1

/**
 * Adds the loss to the graph of `logits`, [rows, units]. Its inputs (`loss.*`) are what `lossFeeds` gives for the same `loss`.
 * @returns a scalar.
 */
export function headLoss(logits: Tensor, layout: HeadLayout, loss?: LossJob): Tensor {
  const { sigmoid = bySigmoid, softmax = bySoftmax } = loss ? lossTerms(loss) : {}
  const { graph, shape } = logits
  const [rows, units] = shape as [Dim, Dim]
  if (layout.activation === 'sigmoid') {
    const bias = graph.input('loss.bias', 'float32', [units])
    const target = graph.input('loss.target', 'float32', [rows, units])
    const weight = graph.input('loss.weight', 'float32', [rows, units])
    return sigmoid(add(logits, bias), target, weight)
  }
  // Each active group of each row is a line of `K` places, the units of the group.
  const lines: Dim = single(layout) ? rows : 'N'
  const places: Dim = single(layout) ? units : 'K'
  const bias = graph.input('loss.bias', 'float32', [lines, places])
  const target = graph.input('loss.target', 'float32', [lines, places])
  const z = single(layout)
    ? logits
    : gather(reshape(logits, [multiplyDims(rows, units)]), graph.input('loss.places', 'int64', [lines, places]))
  return softmax(add(z, bias), target)
}

const bySigmoid = (z: Tensor, target: Tensor, weight: Tensor): Tensor =>
  reduceSum(mul(weight, sigmoidCrossEntropy(z, target)))
const bySoftmax = (z: Tensor, target: Tensor): Tensor => reduceSum(softmaxCrossEntropy(z, target))

/**
 * What `headLoss` is fed for some rows of the data.
 * @param rows of this run; `batchRows` counts those of the whole batch.
 */
export function lossFeeds(
  layout: HeadLayout,
  targets: HeadTargets,
  rows: Uint32Array,
  batchRows: number,
  options: LossOptions,
): LossFeeds {
  if (layout.activation === 'sigmoid') return sigmoidFeeds(layout, targets, rows, batchRows, options)
  return single(layout)
    ? singleFeeds(layout, targets, rows, batchRows, options)
    : groupFeeds(layout, targets, rows, batchRows, options)
}

const activeGroups = ({ groupOffsets, activeGroups }: HeadTargets, row: number): Uint32Array =>
  activeGroups.subarray(groupOffsets[row], groupOffsets[row + 1])
const rightUnits = ({ unitOffsets, rightUnits }: HeadTargets, row: number): Uint32Array =>
  rightUnits.subarray(unitOffsets[row], unitOffsets[row + 1])

function sigmoidFeeds(
  layout: HeadLayout,
  targets: HeadTargets,
  rows: Uint32Array,
  batchRows: number,
  { labelSmoothing, adjustment }: LossOptions,
): LossFeeds {
  const units = layout.unitNodes.length
  const target = new Float32Array(rows.length * units).fill(labelSmoothing / 2)
  const weight = new Float32Array(rows.length * units)
  for (const [i, row] of rows.entries()) {
    const groups = Array.from(activeGroups(targets, row), (group) => layout.groups[group]!)
    const active = groups.reduce((sum, { start, end }) => sum + end - start, 0)
    for (const { start, end } of groups) weight.fill(1 / (active * batchRows), i * units + start, i * units + end)
    for (const unit of rightUnits(targets, row)) target[i * units + unit] = 1 - labelSmoothing / 2
  }
  const bias = adjustment ?? new Float32Array(units)
  return { feeds: { 'loss.bias': bias, 'loss.target': target, 'loss.weight': weight }, dims: {} }
}

/** The units of an active group in one row, and which of them is right, counted from the first. */
interface Line {
  readonly row: number
  readonly start: number
  readonly size: number
  readonly right: number
}

/** Writes biases and targets of lines into places `at` and on. */
function lineWriter(layout: HeadLayout, batchRows: number, { labelSmoothing, adjustment, loss }: LossOptions) {
  const terms = loss ? lossTerms(loss) : {}
  return ({ start, size, right }: Line, at: number, bias: Float32Array, target: Float32Array): void => {
    const nodes = layout.unitNodes.subarray(start, start + size)
    const node = nodes[right]!
    const shares = terms.shares?.(nodes, node, loss!.tree!)
    for (let k = 0; k < size; k++) {
      const share = shares ? shares[k]! : k === right ? 1 : 0
      const margin = terms.margin?.(nodes[k]!, node, loss!.tree!) ?? 0
      bias[at + k] = (adjustment ? adjustment[start + k]! : 0) + margin
      target[at + k] = (share * (1 - labelSmoothing) + labelSmoothing / size) / batchRows
    }
  }
}

function singleFeeds(
  layout: HeadLayout,
  targets: HeadTargets,
  rows: Uint32Array,
  batchRows: number,
  options: LossOptions,
): LossFeeds {
  const units = layout.unitNodes.length
  const write = lineWriter(layout, batchRows, options)
  const bias = new Float32Array(rows.length * units)
  const target = new Float32Array(rows.length * units)
  for (const [i, row] of rows.entries()) {
    const right = rightUnits(targets, row)[0]
    if (right === undefined) continue // a row without a label asks nothing
    write({ row: i, start: 0, size: units, right }, i * units, bias, target)
  }
  return { feeds: { 'loss.bias': bias, 'loss.target': target }, dims: {} }
}

function groupFeeds(
  layout: HeadLayout,
  targets: HeadTargets,
  rows: Uint32Array,
  batchRows: number,
  options: LossOptions,
): LossFeeds {
  const units = layout.unitNodes.length
  const lines: Line[] = []
  for (const [i, row] of rows.entries()) {
    const right = rightUnits(targets, row)
    for (const group of activeGroups(targets, row)) {
      const { start, end } = layout.groups[group]!
      lines.push({
        row: i,
        start,
        size: end - start,
        right: right.find((unit) => unit >= start && unit < end)! - start,
      })
    }
  }
  // A run in which no row has a label still needs one line: its target is all zero.
  if (lines.length === 0) lines.push({ row: 0, start: 0, size: 1, right: -1 })
  const places = lines.reduce((most, { size }) => Math.max(most, size), 1)
  const index = new BigInt64Array(lines.length * places)
  const bias = new Float32Array(lines.length * places).fill(absent)
  const target = new Float32Array(lines.length * places)
  const write = lineWriter(layout, batchRows, options)
  for (const [n, line] of lines.entries()) {
    const at = n * places
    for (let k = 0; k < line.size; k++) index[at + k] = BigInt(line.row * units + line.start + k)
    if (line.right >= 0) write(line, at, bias, target)
    else bias.fill(0, at, at + line.size)
  }
  return {
    feeds: { 'loss.places': index, 'loss.bias': bias, 'loss.target': target },
    dims: { N: lines.length, K: places },
  }
}
