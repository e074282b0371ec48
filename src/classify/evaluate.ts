/** The verb evaluate: a classifier against labelled rows, measured with every metric of the field. */
import type { Dataset } from '../data/dataset.ts'
import type { Row } from '../data/row.ts'
import { scoredIds } from '../evaluate/id-sets.ts'
import { computeMetrics, type Metrics } from '../evaluate/metrics.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import type { NodeProbabilities } from '../labels/node-probabilities.ts'
import { EspalierError, InputError, throwIfAborted } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import type { Classifier } from './classifier.ts'
import { predictedNodes, topEnds } from './predict.ts'

export interface EvaluateOptions extends RunOptions {
  /** Cut paths at the first label less probable than this, 0 to 1. Default: the model's (0). */
  minConfidence?: number
  /** Rows with a label that the model does not know: an error (default), or left out. */
  unknownLabels?: 'error' | 'skip'
  /** Texts scored together. Default 64. */
  batch?: number
  /** Called for every row, in order; for reports that keep examples. */
  onRow?: (row: EvaluatedRow) => void
}

export interface EvaluatedRow {
  row: Row
  /** Ids, closed under ancestors, ascending. */
  gold: number[]
  predicted: number[]
  probabilities: NodeProbabilities
}

/** Candidates kept per row for the ranking metrics. */
const ranked = 5
const chunkRows = 1024
/** Keeps log-likelihoods finite where a model gives the truth no chance. */
const leastProbability = 1e-12

/**
 * Measures a classifier on labelled rows. Rows without labels (out of scope) count as right when the model abstains.
 * @returns the metrics; definitions in docs/evaluate.md.
 * @throws InputError `LABEL_UNKNOWN`, `DATA_EMPTY`, and the errors of reading data.
 * @example
 * const metrics = await measure(model, await readDataset('test.jsonl.gz'))
 * metrics.exactPath // 0.93
 */
export async function measure(model: Classifier, data: Dataset, options: EvaluateOptions = {}): Promise<Metrics> {
  const { tree, settings } = model
  const units = settings.layout.unitNodes.length
  const gold: number[][] = []
  const predicted: number[][] = []
  const confidence: number[][] = []
  const ranking: number[][] = []
  const rankingScores: number[][] = []
  const logLikelihoods: number[] = []
  let skipped = 0

  const score = async (rows: { row: Row; ids: number[] }[]): Promise<void> => {
    const logits = await model.scorer.score(
      rows.map(({ row }) => row.text),
      options,
    )
    for (const [index, { row, ids }] of rows.entries()) {
      const probabilities = model.probabilities(logits.subarray(index * units, (index + 1) * units))
      const closure = tree.closure(ids)
      const nodes = predictedNodes(model, probabilities, options.minConfidence)
      const top = topEnds(model, probabilities, ranked)
      gold.push(closure)
      predicted.push(nodes)
      confidence.push(nodes.map((id) => Math.min(1, probabilities.marginal[id]!)))
      ranking.push(top.map(({ id }) => id))
      rankingScores.push(top.map(({ probability }) => probability))
      logLikelihoods.push(logLikelihood(model, closure, probabilities))
      options.onRow?.({ row, gold: closure, predicted: nodes, probabilities })
    }
    options.onProgress?.({
      step: 'evaluate',
      done: gold.length,
      unit: 'rows',
      ...(data.count === undefined ? {} : { total: data.count }),
    })
  }

  let waiting: { row: Row; ids: number[] }[] = []
  for await (const row of data) {
    throwIfAborted(options.signal)
    const ids = resolveGold(tree, row, options.unknownLabels ?? 'error')
    if (!ids) {
      skipped++
      continue
    }
    waiting.push({ row, ids })
    if (waiting.length < chunkRows) continue
    await score(waiting)
    waiting = []
  }
  if (waiting.length > 0) await score(waiting)
  if (skipped > 0)
    options.onProgress?.({
      step: 'evaluate',
      done: gold.length,
      note: `${skipped} rows left out: their labels are not in the model's tree`,
    })
  if (gold.length === 0)
    throw new InputError('DATA_EMPTY', 'There is no row to evaluate on', {
      where: { file: data.files[0] ?? '' },
      help: 'give rows whose labels are in the tree of the model',
    })
  return computeMetrics({
    tree,
    gold: scoredIds(gold, gold),
    predicted: scoredIds(predicted, confidence),
    ranking: scoredIds(ranking, rankingScores),
    logLikelihoods: Float64Array.from(logLikelihoods),
  })
}

function resolveGold(tree: LabelTree, row: Row, unknown: 'error' | 'skip'): number[] | undefined {
  try {
    return row.labels.map((path) => tree.resolve(path, { file: row.file, line: row.line }))
  } catch (error) {
    if (unknown === 'skip' && EspalierError.is(error) && error.code === 'LABEL_UNKNOWN') return undefined
    throw error
  }
}

/** Log of the probability of the gold labels: of the end of the path, or of every yes and no. */
function logLikelihood(
  { tree, settings }: Classifier,
  closure: readonly number[],
  { marginal, ending }: NodeProbabilities,
): number {
  if (!settings.multiLabel) {
    const end = tree.ends(closure)[0]
    return end === undefined
      ? Math.log(leastProbability)
      : Math.log(Math.min(1, Math.max(leastProbability, ending[end]!)))
  }
  let sum = 0
  let at = 0
  for (let id = 0; id < tree.size; id++) {
    const isGold = closure[at] === id
    if (isGold) at++
    sum += Math.log(Math.max(leastProbability, isGold ? marginal[id]! : 1 - marginal[id]!))
  }
  return Math.min(0, sum)
}
