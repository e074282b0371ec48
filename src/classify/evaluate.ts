/** The verb evaluate: a classifier against labelled rows, measured with every metric of the field, as a report. */
import { cpus, totalmem } from 'node:os'
import type { Dataset } from '../data/dataset.ts'
import type { Row } from '../data/row.ts'
import { scoredIds } from '../evaluate/id-sets.ts'
import { computeMetrics } from '../evaluate/metrics.ts'
import type { Curve, Report, ReportRow } from '../evaluate/report.ts'
import { excerpt, pickReportRows, type ReportRowLimits } from '../evaluate/report-rows.ts'
import type { Decoder } from '../labels/decode.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import { EspalierError, InputError, throwIfAborted } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import { version } from '../util/version.ts'
import type { Classifier } from './classifier.ts'
import { answerRows } from './row-answer.ts'

export interface EvaluateOptions extends RunOptions {
  /** Cut paths at the first label less probable than this, 0 to 1. Default: the model's (0). */
  minConfidence?: number
  /** Rows with a label that the model does not know: an error (default), or left out. */
  unknownLabels?: 'error' | 'skip'
  /** How probabilities become labels. Default: the model's. */
  decoder?: Decoder
  /** Nodes kept on each level by a model that searches a tree (xr-linear). Default: the model's. */
  beam?: number
  /** Texts scored together. Default 64. */
  batch?: number
  /** Training or learning curves to show in the report. */
  curves?: Curve[]
  /** Which rows the report keeps, see `pickReportRows`. */
  keepRows?: ReportRowLimits
  /** What the report says made it. */
  command?: string
}

/** Candidates kept per row for the ranking metrics. */
const ranked = 5
const chunkRows = 1024

/** What is kept of every row: a report needs the texts of a few, which are known only at the end. */
interface Judged {
  texts: string[]
  gold: number[][]
  predicted: number[][]
  confidence: number[][]
  ranking: number[][]
  rankingScores: number[][]
  logLikelihoods: number[]
  skipped: number
}

/**
 * Measures a classifier on labelled rows. Rows without labels (out of scope) count as right when the model abstains.
 * @returns a report; `report.metrics` has the numbers (definitions in docs/evaluate.md), `renderReport(report)` makes a page of it.
 * @throws InputError `LABEL_UNKNOWN`, `DATA_EMPTY`, and the errors of reading data.
 * @example
 * const { metrics } = await evaluate(model, await readDataset('test.jsonl.gz'))
 * metrics.exactPath // 0.93
 */
export async function evaluate(model: Classifier, data: Dataset, options: EvaluateOptions = {}): Promise<Report> {
  const start = performance.now()
  const judged = await judge(model, data, options)
  const seconds = (performance.now() - start) / 1000
  const { tree } = model
  const n = judged.gold.length
  if (n === 0) {
    throw new InputError('DATA_EMPTY', 'There is no row to evaluate on', {
      where: { file: data.files[0] },
      help: 'give rows whose labels are in the tree of the model',
    })
  }
  const gold = scoredIds(judged.gold, judged.gold)
  const predicted = scoredIds(judged.predicted, judged.confidence)
  const ranking = scoredIds(judged.ranking, judged.rankingScores)
  const metrics = computeMetrics({
    tree,
    gold,
    predicted,
    ranking,
    logLikelihoods: Float64Array.from(judged.logLikelihoods),
  })
  const rows = Array.from(pickReportRows(tree, gold, predicted, options.keepRows), (row) =>
    reportRow(tree, judged, row),
  )
  const { scorer, settings, record } = model
  const name = data.files.map((file) => file.replace(/^.*[\\/]/, '')).join(', ')
  return {
    format: 'espalier-report/1',
    title: `${scorer.kind} on ${name}`,
    created: new Date().toISOString(),
    model: {
      encoder: scorer.kind,
      method: settings.method.name,
      parameters: scorer.parameters,
      outputs: scorer.units,
      temperature: settings.temperature,
    },
    data: { name, rows: n },
    command: options.command ?? '',
    inputs: (await data.hash(options)).map(({ file, bytes, sha256 }) => ({ role: 'test', path: file, bytes, sha256 })),
    options: {
      minConfidence: options.minConfidence ?? settings.minConfidence,
      unknownLabels: options.unknownLabels ?? 'error',
      decoder: (options.decoder ?? model.decoder).name,
    },
    seeds: typeof record['seed'] === 'number' ? { train: record['seed'] } : {},
    versions: { espalier: version, node: process.versions.node },
    machine: `${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    seconds: { evaluate: seconds },
    tree: tree.toJSON(),
    metrics,
    curves: options.curves ?? [],
    rows,
  }
}

/** Scores every row, in chunks. */
async function judge(model: Classifier, data: Dataset, options: EvaluateOptions): Promise<Judged> {
  const { tree } = model
  const judged: Judged = {
    texts: [],
    gold: [],
    predicted: [],
    confidence: [],
    ranking: [],
    rankingScores: [],
    logLikelihoods: [],
    skipped: 0,
  }
  const { minConfidence, decoder, beam, batch, signal } = options
  const score = async (rows: { row: Row; ids: number[] }[]): Promise<void> => {
    const texts = rows.map(({ row }) => row.text)
    const asked = { topK: ranked, minConfidence, decoder, beam, batch, ...(signal ? { signal } : {}) }
    await answerRows(model, texts, asked, (answer, index) => {
      const { row, ids } = rows[index]!
      const gold = tree.closure(ids)
      judged.texts.push(row.text)
      judged.gold.push(gold)
      judged.predicted.push(answer.predicted)
      judged.confidence.push(answer.predicted.map((id) => Math.min(1, answer.probability(id))))
      judged.ranking.push(answer.top.map(({ id }) => id))
      judged.rankingScores.push(answer.top.map(({ probability }) => probability))
      judged.logLikelihoods.push(answer.logLikelihood(gold))
    })
    options.onProgress?.({ step: 'evaluate', done: judged.gold.length, unit: 'rows', total: data.count })
  }
  let waiting: { row: Row; ids: number[] }[] = []
  for await (const row of data) {
    throwIfAborted(options.signal)
    const ids = resolveGold(tree, row, options.unknownLabels ?? 'error')
    if (ids) waiting.push({ row, ids })
    else judged.skipped++
    if (waiting.length < chunkRows) continue
    await score(waiting)
    waiting = []
  }
  if (waiting.length > 0) await score(waiting)
  if (judged.skipped > 0) {
    const note = `${judged.skipped} rows left out: their labels are not in the model's tree`
    options.onProgress?.({ step: 'evaluate', done: judged.gold.length, note })
  }
  return judged
}

function reportRow(tree: LabelTree, judged: Judged, row: number): ReportRow {
  return {
    row: row + 1,
    text: excerpt(judged.texts[row]!),
    gold: tree.ends(judged.gold[row]!),
    predicted: judged.predicted[row]!,
    probabilities: judged.confidence[row]!,
    alternatives: judged.ranking[row]!.map((id, at) => [id, judged.rankingScores[row]![at]!]),
  }
}

function resolveGold(tree: LabelTree, row: Row, unknown: 'error' | 'skip'): number[] | undefined {
  try {
    return row.labels.map((path) => tree.resolve(path, { file: row.file, line: row.line }))
  } catch (error) {
    if (unknown === 'skip' && EspalierError.is(error) && error.code === 'LABEL_UNKNOWN') return undefined
    throw error
  }
}
