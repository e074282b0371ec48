/** Evaluation reports read from JSON: whole ones, and what `evaluate --json` prints (figures without tree and rows). Anything else is refused by name. */
import * as v from 'valibot'
import type { Report } from '../../evaluate/report.ts'
import { pageData } from '../../evaluate/report-page/page-data.ts'
import { LabelTree } from '../../labels/label-tree.ts'
import { parseLabelTree } from '../../labels/read-label-tree.ts'
import { InputError } from '../../util/errors.ts'
import type { EvaluationDocument, Figure, Score } from './api.ts'

const number = v.pipe(v.number(), v.finite())
const path = v.array(v.string())
const ids = v.array(v.pipe(v.number(), v.integer(), v.minValue(0)))
const scores = v.looseObject({ precision: number, recall: number, f1: number })

const metricsSchema = v.looseObject({
  n: number,
  microF1: number,
  macroF1: number,
  leafAccuracy: number,
  exactPath: number,
  levels: v.array(
    v.looseObject({ level: number, accuracy: number, microF1: number, macroF1: number, support: number }),
  ),
  hierarchical: v.looseObject({ ...scores.entries, perSample: scores }),
  pathConstrained: v.looseObject({ microF1: number, macroF1: number }),
  pathStrict: v.looseObject({ microF1: number, macroF1: number }),
  consistency: number,
  abstained: number,
  ece: v.optional(number),
  brier: v.optional(number),
  nll: v.optional(number),
  reliability: v.optional(
    v.array(v.looseObject({ from: number, to: number, count: number, confidence: number, accuracy: number })),
  ),
  perLabel: v.array(
    v.looseObject({ path, support: number, predicted: number, precision: number, recall: number, f1: number }),
  ),
  confusions: v.array(v.looseObject({ a: path, b: path, count: number, aAsB: number, bAsA: number })),
})

const named = v.record(v.string(), v.union([v.string(), number]))
const reportSchema = v.looseObject({
  format: v.literal('espalier-report/1'),
  title: v.string(),
  created: v.string(),
  model: named,
  data: v.looseObject({ name: v.string(), rows: number }),
  command: v.string(),
  inputs: v.array(v.looseObject({ role: v.string(), path: v.string(), sha256: v.string() })),
  versions: v.record(v.string(), v.string()),
  seconds: v.record(v.string(), number),
  curves: v.optional(
    v.array(
      v.looseObject({
        name: v.string(),
        quantity: v.string(),
        xUnit: v.string(),
        points: v.array(v.tuple([number, number])),
      }),
    ),
    [],
  ),
  rows: v.optional(
    v.array(
      v.looseObject({
        row: number,
        text: v.string(),
        gold: ids,
        predicted: ids,
        probabilities: v.optional(v.array(number)),
        alternatives: v.optional(v.array(v.tuple([number, number]))),
      }),
    ),
    [],
  ),
})

/**
 * The report in parsed JSON.
 * @throws InputError `STUDIO_REPORT` that names the first field which is not as expected.
 */
export function readReport(value: Record<string, unknown>, file: string): Report {
  const { metrics, ...rest } = 'metrics' in value ? value : { ...value, metrics: value }
  const parsed = v.safeParse(v.object({ metrics: metricsSchema, report: reportSchema }), { metrics, report: rest })
  if (!parsed.success) {
    const issue = parsed.issues[0]
    throw refused(issue.message, file, (v.getDotPath(issue) ?? '').replace(/^report\./, ''))
  }
  const { output } = parsed
  const paths = output.metrics.perLabel.map((label) => label.path)
  const tree = 'tree' in rest ? parseLabelTree(rest['tree'], file) : LabelTree.fromPaths(paths, file)
  const fits =
    tree.size === paths.length &&
    output.report.rows.every(({ gold, predicted, alternatives = [] }) =>
      [...gold, ...predicted, ...alternatives.map(([id]) => id)].every((id) => id < tree.size),
    ) &&
    output.metrics.confusions.every(({ a, b }) => tree.find(a) !== undefined && tree.find(b) !== undefined)
  if (!fits) throw refused('The figures and the label tree are not of one evaluation', file, 'tree')
  return { ...output.report, tree: tree.toJSON(), metrics: output.metrics } as unknown as Report
}

const refused = (message: string, file: string, key: string): InputError =>
  new InputError('STUDIO_REPORT', message, { where: { file, key }, help: 'write it again: espalier evaluate' })

export function scoreOf({ metrics, data }: Report): Score {
  return { exactPath: metrics.exactPath, macroF1: metrics.macroF1, rows: metrics.n, data: data.name }
}

/** The report as the page shows it. */
export function evaluationDocument(id: string, report: Report): EvaluationDocument {
  const { metrics, title, created, command, model, data } = report
  const figures: Figure[] = [
    { name: 'exact path', value: metrics.exactPath },
    { name: 'leaf accuracy', value: metrics.leafAccuracy },
    ...metrics.levels.map(({ level, accuracy }) => ({ name: `level ${level} accuracy`, value: accuracy })),
    { name: 'micro-F1', value: metrics.microF1 },
    { name: 'macro-F1', value: metrics.macroF1 },
    { name: 'hierarchical F1', value: metrics.hierarchical.f1 },
    { name: 'path-constrained macro-F1', value: metrics.pathConstrained.macroF1 },
    { name: 'strict path macro-F1', value: metrics.pathStrict.macroF1 },
    { name: 'consistency', value: metrics.consistency },
    { name: 'stopped early', value: metrics.abstained, less: true },
  ]
  for (const name of ['ece', 'brier', 'nll'] as const)
    if (metrics[name] !== undefined)
      figures.push({
        name: { ece: 'ECE', brier: 'Brier score', nll: 'NLL (nats)' }[name],
        value: metrics[name],
        less: true,
      })
  return {
    id,
    title,
    created,
    command,
    model,
    data: { name: data.name, rows: data.rows },
    facts: [
      ...report.inputs.map(({ role, path, sha256 }): [string, string] => [role, `${path} · ${sha256.slice(0, 12)}`]),
      ...Object.entries(report.versions),
      ...(report.machine === undefined ? [] : [['machine', String(report.machine)] as [string, string]]),
    ],
    figures,
    levels: metrics.levels,
    page: pageData(report),
    complete: report.rows.length >= metrics.n,
  }
}
