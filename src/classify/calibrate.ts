/** Settings tuned on dev rows: the temperature of the probabilities, and the thresholds of a model of several labels per row. */
import { idSets, scoredIds } from '../evaluate/id-sets.ts'
import { fitTemperature } from '../evaluate/temperature.ts'
import { globalThreshold, labelThresholds } from '../evaluate/thresholds.ts'
import type { HeadLayout } from '../labels/head-layout.ts'
import { headTargets } from '../labels/head-targets.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import { nodeProbabilities } from '../labels/node-probabilities.ts'
import { rankedProbabilities } from '../labels/ranked-probabilities.ts'
import type { RankedUnits } from './scorer.ts'

export interface DevScores {
  /** Per row the ids of its labels. */
  labels: readonly (readonly number[])[]
  /** [rows x units] */
  logits: Float32Array
}

/** Below this many dev rows one threshold serves all labels: there is too little to tell labels apart. */
const rowsForLabelThresholds = 200
/** Labels less probable than this are never worth predicting, so thresholds do not look at them. */
const leastThreshold = 0.02

/** The temperature that makes the model's probabilities on the dev rows most likely; 1 without rows that have labels. */
export function tuneTemperature(layout: HeadLayout, tree: LabelTree, { labels, logits }: DevScores): number {
  const units = layout.unitNodes.length
  const kept = labels.flatMap((ids, row) => (layout.activation === 'sigmoid' || ids.length > 0 ? [row] : []))
  if (kept.length === 0) return 1
  const targets = headTargets(
    layout,
    tree,
    kept.map((row) => labels[row]!),
  )
  const rows = new Float32Array(kept.length * units)
  for (const [at, row] of kept.entries()) rows.set(logits.subarray(row * units, (row + 1) * units), at * units)
  return fitTemperature(layout, targets, rows).temperature
}

/** Per node id the probability from which it is predicted, for the highest micro-F1 over all nodes on the dev rows. */
export function tuneThresholds(
  layout: HeadLayout,
  tree: LabelTree,
  temperature: number,
  { labels, logits }: DevScores,
): number[] {
  const units = layout.unitNodes.length
  const probabilities = nodeProbabilities(layout, tree, temperature)
  const ids: number[][] = []
  const scores: number[][] = []
  for (let row = 0; row < labels.length; row++) {
    const { marginal } = probabilities(logits.subarray(row * units, (row + 1) * units))
    const likely = tree.nodes.flatMap(({ id }) => (marginal[id]! >= leastThreshold ? [id] : []))
    ids.push(likely)
    scores.push(likely.map((id) => marginal[id]!))
  }
  const tune = labels.length < rowsForLabelThresholds ? globalThreshold : labelThresholds
  const { thresholds } = tune(tree, scoredIds(ids, scores), idSets(labels.map((row) => [...new Set(row)])))
  return Array.from(thresholds, (threshold) => Math.min(1, Math.max(0, threshold)))
}

/** Temperatures tried, as powers of two. */
const coldest = -4
const hottest = 4
const temperatureStep = 0.125

/**
 * Temperature and, with several labels per row, one threshold for all labels, from lists of the best units of dev rows. Single labels: the temperature
 * that makes the gold labels most likely in the rows where they are listed. Several: the threshold of the highest micro-F1; the scores are
 * probabilities already.
 */
export function tuneRanked(
  layout: HeadLayout,
  tree: LabelTree,
  { labels, ranked }: { labels: readonly (readonly number[])[]; ranked: RankedUnits },
): { temperature: number; thresholds?: number[] } {
  const part = (row: number) =>
    [
      ranked.units.subarray(ranked.offsets[row]!, ranked.offsets[row + 1]!),
      ranked.logits.subarray(ranked.offsets[row]!, ranked.offsets[row + 1]!),
    ] as const // prettier-ignore
  if (layout.activation === 'sigmoid') {
    const probabilities = rankedProbabilities(layout, tree)
    const listed = labels.map((_, row) =>
      [...probabilities(...part(row)).marginal].filter(([, p]) => p >= leastThreshold),
    )
    const { thresholds } = globalThreshold(
      tree,
      scoredIds(
        listed.map((row) => row.map(([id]) => id)),
        listed.map((row) => row.map(([, p]) => p)),
      ),
      idSets(labels.map((row) => [...new Set(row)])),
    ) // prettier-ignore
    return { temperature: 1, thresholds: Array.from(thresholds, (threshold) => Math.min(1, Math.max(0, threshold))) }
  }
  const rows = labels.flatMap((ids, row) => {
    const [units, logits] = part(row)
    const at = units.findIndex((unit) => layout.unitNodes[unit] === ids[0])
    return at < 0 ? [] : [{ logits, at }]
  })
  let best = { temperature: 1, loss: Number.POSITIVE_INFINITY }
  for (let power = coldest; power <= hottest && rows.length > 0; power += temperatureStep) {
    const temperature = 2 ** power
    let loss = 0
    for (const { logits, at } of rows) {
      const total = logits.reduce((sum, logit) => sum + Math.exp((logit - logits[0]!) / temperature), 0)
      loss -= (logits[at]! - logits[0]!) / temperature - Math.log(total)
    }
    if (loss < best.loss) best = { temperature, loss }
  }
  return { temperature: best.temperature }
}
