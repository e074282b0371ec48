/** `espalier evaluate`: a classifier against labelled rows, with every metric of the tree, and a report page if asked for. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import type { Classifier } from '../../classify/classifier.ts'
import type { Dataset } from '../../data/dataset.ts'
import type { Curve } from '../../evaluate/report.ts'
import type { ExplainMethod } from '../../explain/explain-method.ts'
import type { Faithfulness } from '../../explain/faithfulness.ts'
import { writeFileAtomic } from '../../util/atomic.ts'
import { InputError } from '../../util/errors.ts'
import { typedCommand } from '../command-name.ts'
import { costLine } from '../cost-line.ts'
import { addDataOptions, readOptionsOf, remarksOnly } from '../data-options.ts'
import { examples } from '../examples.ts'
import { explainMethod } from '../explain-option.ts'
import { faithfulnessLines } from '../faithfulness-lines.ts'
import { metricLines } from '../metric-lines.ts'
import { collect, numberIn, oneOf, wholeIn } from '../option-values.ts'
import type { RateFlags } from '../rate-prompts.ts'
import { addScoringOptions, type ScoringFlags } from '../scoring-options.ts'
import type { Session } from '../session.ts'

interface EvaluateFlags extends RateFlags, ScoringFlags {
  task?: string
  report?: string
  minConfidence?: number
  unknownLabels?: 'error' | 'skip'
  explain?: string
  explainOption?: string[]
  explainRows?: number
  seed?: number
}

export function configure(command: Command, session: Session): void {
  command
    .usage('MODEL DATA [--report FILE] [--json]')
    .argument('<MODEL>', "a trained classifier's folder, or hf:ORG/NAME")
    .argument('<DATA>', 'labelled texts: .jsonl, .json, .csv, .tsv (each also .gz), or .parquet')
    .option('--task <NAME>', 'the task of a multi-task model, as a merge of classifiers makes it')
    .option('--report <FILE>', 'write a page to read: label tree, worst siblings, rows, curves (.html)')
    .option(
      '--min-confidence <P>',
      'stop at the first label that is less probable than this, 0 to 1 (default: as trained)',
      numberIn('--min-confidence', { least: 0, most: 1 }),
    )
    .option(
      '--unknown-labels <WHAT>',
      'rows with a label that the model does not know: error, or skip (default: error)',
      oneOf('--unknown-labels', ['error', 'skip']),
    )
    .option(
      '--explain <METHOD>',
      'measure how faithful explanations by this method are, beside random ones, see: espalier help explain',
    )
    .option(
      '--hp-score <FRAMEWORK>',
      'with a chat model: how elaborate a prompt each row needs, in place of the metrics: manual, or adaptive',
      oneOf('--hp-score', ['manual', 'adaptive']),
    )
    .option('--hp-penalty <P>', 'added for a row that no prompt solves', numberIn('--hp-penalty', { least: 0 }))
    .option('--hp-rows <N>', 'rows rated (default: 100)', wholeIn('--hp-rows', { least: 1 }))
    .option('--explain-option <KEY=VALUE>', 'an option of that method; may be given several times', collect)
    .option('--explain-rows <N>', 'rows drawn for it (default: 100)', wholeIn('--explain-rows', { least: 1 }))
    .option('--seed <N>', 'seed of that drawing (default: 0)', wholeIn('--seed', { least: 0 }))
  addScoringOptions(command)
  addDataOptions(command)
    .addHelpText(
      'after',
      examples([
        'espalier evaluate model test.jsonl.gz',
        'espalier evaluate model test.csv --report report.html',
        'espalier evaluate model test.jsonl --explain occlusion',
      ]),
    )
    .action((model: string, data: string, flags: EvaluateFlags) => runEvaluate(model, data, flags, session))
}

async function runEvaluate(folder: string, source: string, flags: EvaluateFlags, session: Session): Promise<void> {
  if (flags.hpScore !== undefined) {
    const { ratePrompts } = await import('../rate-prompts.ts')
    return ratePrompts(folder, source, flags, session)
  }
  if (flags.report !== undefined) await checkReportPath(flags.report)
  if (flags.explain === undefined && (flags.explainOption ?? flags.explainRows ?? flags.seed) !== undefined)
    throw new InputError('USAGE', '--explain-option, --explain-rows and --seed need --explain')
  const method = await explainMethod(flags.explain, flags.explainOption)
  const { readDataset } = await import('../../data/dataset.ts')
  const { loadClassifier } = await import('../../classify/load-classifier.ts')
  const { evaluate } = await import('../../classify/evaluate.ts')
  const data = await readDataset(source, { ...readOptionsOf(flags), requireLabels: true, ...remarksOnly(session.run) })
  const { minConfidence, unknownLabels, batch, threads, beam } = flags
  const decoder = flags.decoder && { name: flags.decoder, beam }
  const model = await loadClassifier(folder, { ...session.run, threads, task: flags.task })
  try {
    const curves = flags.report === undefined ? undefined : await curvesOf(folder)
    const report = await evaluate(model, data, {
      ...session.run,
      command: typedCommand(),
      minConfidence,
      decoder,
      beam,
      unknownLabels,
      batch,
      curves,
    })
    if (flags.report !== undefined) {
      const { renderReport } = await import('../../evaluate/report.ts')
      await writeFileAtomic(flags.report, renderReport(report))
    }
    const explained = method && (await faithfulnessOf(model, data, method, flags, session))
    session.settle()
    const page = flags.report === undefined ? {} : { report: flags.report }
    const usage = model.scorer.usage?.()
    if (session.json) {
      const { rows: _rows, tree: _tree, metrics, ...facts } = report
      return await session.printJson({
        ...metrics,
        ...facts,
        ...page,
        ...(usage ? { usage } : {}),
        ...(explained ? { explain: explained } : {}),
      })
    }
    await session.print(...metricLines(report.metrics, session.stdout))
    if (usage) session.remark(costLine(usage))
    if (explained) await session.print(...faithfulnessLines(explained, session.stdout))
    if (flags.report !== undefined) await session.print(`report        ${flags.report}`)
  } finally {
    await model.close()
  }
}

/** How faithful a method's explanations of some of the rows are. */
async function faithfulnessOf(
  model: Classifier,
  data: Dataset,
  method: ExplainMethod,
  { explainRows, seed }: EvaluateFlags,
  session: Session,
): Promise<Faithfulness> {
  const { faithfulness } = await import('../../explain/faithfulness.ts')
  const texts: string[] = []
  for await (const row of data) texts.push(row.text)
  return faithfulness(model, texts, { ...session.run, method, sample: explainRows, seed })
}

/** The training curves of a trained folder; a checkpoint from elsewhere has none. */
async function curvesOf(folder: string): Promise<Curve[]> {
  if (folder.startsWith('hf:')) return []
  const { trainingCurves } = await import('../../classify/curves.ts')
  return trainingCurves(folder)
}

/** A report replaces a page, nothing else: what can be wrong with its path is said before the work. */
async function checkReportPath(file: string): Promise<void> {
  if (!/\.html?$/i.test(file))
    throw new InputError('OPTION_VALUE', 'The report is a page: its name must end with .html', {
      where: { file },
      help: `for example --report ${file}.html`,
    })
  const found = await stat(file).catch(() => undefined)
  if (found?.isDirectory())
    throw new InputError('OUT_EXISTS', 'The report path is a folder, expected a file', {
      where: { file },
      help: `for example --report ${join(file, 'report.html')}`,
    })
}
