/** `merge --search`: coefficients of a recipe chosen by what its merges score on labelled texts. */
import { stat } from 'node:fs/promises'
import type { Classifier } from '../../classify/classifier.ts'
import type { Dataset } from '../../data/dataset.ts'
import type { Metrics } from '../../evaluate/metrics.ts'
import type { SearchSpace } from '../../merge/search/search-recipe.ts'
import type { Scalar } from '../../merge/settings.ts'
import { InputError } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { taskDatasets } from '../align-data.ts'
import { typedCommand } from '../command-name.ts'
import { remarksOnly } from '../data-options.ts'
import { formatScore, plural } from '../format.ts'
import { parseMethodOptions } from '../method-options.ts'
import type { Session } from '../session.ts'
import { facts, table } from '../table.ts'
import { wrap } from '../text-width.ts'
import { type MergeFlags, requiredOut, type SearchMetric } from './merge-flags.ts'
import { resultDocument, resultLines, runOptionsOf, showPlan } from './merge-recipe.ts'

const metricOf = (metrics: Metrics, metric: SearchMetric): number =>
  metric === 'hierarchicalF1' ? metrics.hierarchical.f1 : metrics[metric]

/** A share of the loss beside the metric, so that the search of weights sees differences that change no answer. */
const lossShare = 0.05

export async function searchByFile(
  file: string,
  out: string | undefined,
  data: string,
  flags: MergeFlags,
  session: Session,
): Promise<void> {
  if (flags.resume)
    throw new InputError('USAGE', '--resume does not go with --search', { help: 'a search begins from its start' })
  const { planRecipe, planSearch, searchRecipe } = await import('../../merge/merge.ts')
  const space = await spaceOf(file, flags)
  const options = runOptionsOf(flags, session)
  if (flags.plan) {
    const plan = await planSearch(file, { ...options, ...space })
    const searched =
      plan.kind === 'grid'
        ? `all ${plural(plan.merges - 1, 'combination')} of the values given`
        : `CMA-ES over ${plural(plan.numbers, 'number')}, in ${plural(plan.groups.length, 'group')} of layers: ${plural(plan.merges, 'merge')} at most`
    return showPlan(file, flags, session, { document: { search: plan }, lines: [`search      ${searched}`] })
  }
  const folder = requiredOut(out, 'espalier merge RECIPE.yml OUT --search DATA')
  await checkData(
    data,
    (await planRecipe(file, options)).heads.map(({ key }) => key),
  )
  const metric = flags.metric ?? 'exactPath'
  const byTask: Record<string, number>[] = []
  const score = async (merged: string): Promise<number> => {
    const tasks = await measure(merged, data, metric, session)
    byTask.push(Object.fromEntries(tasks.map(({ task, value }) => [task, value])))
    const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length
    const loss = space.grid ? 0 : lossShare * mean(tasks.map(({ nll }) => nll))
    return mean(tasks.map(({ value }) => value)) - loss
  }
  const { resume: _, ...run } = options
  const result = await searchRecipe(file, folder, { ...run, ...space, score, record: { command: typedCommand() } })
  session.settle()
  const { merge, ...found } = result
  // Of a search of weights the first measurement and the last candidate's are shown.
  const shown = space.grid ? byTask : [byTask[0]!, byTask.at(-1)!]
  const tasks = result.candidates.map((_, i) => shown[i]!)
  const best = tasks[result.candidates.indexOf(result.best)]!
  if (session.json) {
    const candidates = result.candidates.map((candidate, i) => ({ ...candidate, [metric]: tasks[i] }))
    return session.printJson({ ...resultDocument(merge), search: { metric, ...found, candidates, tasks: best } })
  }
  const { paint, columns } = session.stdout
  await session.print(
    ...(space.grid ? [...gridTable(result.candidates, session), ''] : []),
    ...facts(
      [
        ['searched', wrap(`${plural(byTask.length, 'merge')} by ${metric}`, columns - 12)],
        ['as written', wrap(taskText(tasks[0]!), columns - 12)],
        ['found', wrap(`${foundText(result.best.settings)}${taskText(best)}`, columns - 12)],
      ],
      (label) => paint('dim', label),
    ),
    ...resultLines(merge, session),
  )
}

/** A merge that keeps heads is measured on a folder with a file for each task, one classifier on a file. */
async function checkData(data: string, tasks: readonly string[]): Promise<void> {
  const found = await stat(data).catch(() => undefined)
  if (!found)
    throw new InputError('ENOENT', 'The labelled texts are not there', {
      where: { file: data },
      help: 'give a file, or a folder with a file for each task, such as validation/trec.jsonl',
    })
  if (found.isDirectory() === tasks.length > 0) return
  throw tasks.length > 0
    ? new InputError('TASK_UNNAMED', `The merge has ${tasks.length} tasks, expected a folder with a file for each`, {
        where: { file: data },
        help: `put it in a folder and name it after its task: ${tasks.map((task) => `${task}.jsonl`).join(', ')}`,
      })
    : new InputError('USAGE', 'The merge is one classifier, expected a file of labelled texts', {
        where: { file: data },
        help: 'name a file of the folder',
      })
}

function foundText(settings: Readonly<Record<string, Scalar>> | undefined): string {
  if (settings === undefined) return ''
  const entries = Object.entries(settings).map(([key, value]) => `${key} ${String(value)}`)
  return entries.length === 0 ? 'the recipe as written: ' : `${entries.join(', ')}: `
}

const taskText = (tasks: Readonly<Record<string, number>>): string =>
  Object.entries(tasks)
    .map(([task, value]) => (task === '' ? formatScore(value) : `${task} ${formatScore(value)}`))
    .join(', ')

/** The combinations of a grid, the best first. */
function gridTable(
  candidates: readonly { settings?: Readonly<Record<string, Scalar>>; score: number }[],
  session: Session,
): string[] {
  const keys = [...new Set(candidates.flatMap(({ settings = {} }) => Object.keys(settings)))]
  const rows = [...candidates]
    .sort((a, b) => b.score - a.score)
    .map(({ settings = {}, score }) => [
      ...keys.map((key) => (key in settings ? String(settings[key]) : 'as written')),
      formatScore(score),
    ])
  const columns = [...keys.map((head) => ({ head })), { head: 'score', align: 'right' as const }]
  return table(columns, rows, session.stdout.columns)
}

/** What is searched: the values of `--grid`, or the settings of the search of weights. */
async function spaceOf(file: string, flags: MergeFlags): Promise<SearchSpace> {
  const { unconstrainedMerge } = await import('../../merge/search/unconstrained-merge.ts')
  const { info, schema } = unconstrainedMerge
  if (flags.grid === undefined)
    return { ...parseMethodOptions(info.name, schema, flags.methodOption ?? []), ...given(flags.seed) } as SearchSpace
  if (flags.methodOption !== undefined)
    throw new InputError('USAGE', '--method-option and --grid do not go together', {
      help: 'with --search, --method-option sets up the search of weights',
    })
  const { readRecipe, camelCase } = await import('../../merge/recipe/read-recipe.ts')
  const { findMergeMethod } = await import('../../merge/plan/find-method.ts')
  const recipe = await readRecipe(file)
  const method = findMergeMethod(recipe.method, recipe.methodPlace)
  const grid = flags.grid.map((entry) => {
    const [, key, values] = /^([^=]+)=(.*)$/.exec(entry) ?? []
    if (key === undefined || values === undefined)
      throw new InputError('USAGE', `Expected --grid KEY=VALUE,VALUE, received ${entry}`, {
        help: 'for example --grid lambda=0.3,0.5,1',
      })
    const name = camelCase(key)
    const parse = (value: string) =>
      parseMethodOptions(method.info.name, method.schema, [`${name}=${value}`])[name] as Scalar
    return [name, values.split(',').map(parse)] as const
  })
  return { grid: Object.fromEntries(grid), ...given(flags.seed) }
}

const given = (seed: number | undefined) => (seed === undefined ? {} : { seed })

/** The metric of every task of a merged folder; of a single classifier the task has an empty name. */
async function measure(
  folder: string,
  source: string,
  metric: SearchMetric,
  session: Session,
): Promise<{ task: string; value: number; nll: number }[]> {
  const { loadClassifier } = await import('../../classify/load-classifier.ts')
  const { loadTasks } = await import('../../classify/load-tasks.ts')
  const quiet: RunOptions = { signal: session.run.signal }
  if ((await stat(source)).isDirectory()) {
    const data = await taskDatasets(folder, source, {}, session)
    const model = await loadTasks(folder, quiet)
    try {
      const measured = []
      for (const [task, rows] of Object.entries(data))
        measured.push({ task, ...(await measureOne(model.classifier(task), rows, metric, quiet)) })
      return measured
    } finally {
      await model.close()
    }
  }
  const { readDataset } = await import('../../data/dataset.ts')
  const rows = await readDataset(source, { requireLabels: true, ...remarksOnly(session.run) })
  const model = await loadClassifier(folder, quiet)
  try {
    return [{ task: '', ...(await measureOne(model, rows, metric, quiet)) }]
  } finally {
    await model.close()
  }
}

async function measureOne(
  model: Classifier,
  rows: Dataset,
  metric: SearchMetric,
  options: RunOptions,
): Promise<{ value: number; nll: number }> {
  const { evaluate } = await import('../../classify/evaluate.ts')
  const { metrics } = await evaluate(model, rows, options)
  return { value: metricOf(metrics, metric), nll: metrics.nll ?? 0 }
}
