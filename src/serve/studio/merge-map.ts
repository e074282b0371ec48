/** How the models of a merge agree, layer by layer, as the page draws it: the measures of the verb's own report, whatever method merged them. */
import { planRecipe } from '../../merge/merge.ts'
import { parseRecipe } from '../../merge/recipe/read-recipe.ts'
import { type MergeReportCell, mergeReport } from '../../merge/report/merge-report.ts'
import { InputError } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import type { MergeMap } from './api.ts'
import type { MergeSource } from './merge-record.ts'

export interface MergeMapJob {
  sources: MergeSource[]
}

export async function mergeMap({ sources }: MergeMapJob, options: RunOptions): Promise<Omit<MergeMap, 'tasks'>> {
  const start = performance.now()
  const base = sources.find((source) => source.base)
  const models = sources.filter((source) => !source.base)
  const refuse = (message: string, help: string): never => {
    throw new InputError('STUDIO_MERGE', message, { help })
  }
  if (models.length < 2)
    refuse(
      `Expected a merge of at least two models beside the base, the record names ${models.length}`,
      'there is nothing to compare',
    )
  const missing = sources.filter(({ found }) => !found)
  if (missing.length > 0)
    refuse(
      `Models of the merge are not there any more: ${missing.map(({ folder }) => folder).join(', ')}`,
      'put them back where they were when they were merged',
    )
  // The simplest merge of the same models: every tensor that they share takes part, which the method that was used may not need.
  const recipe = {
    merge_method: base ? 'task_arithmetic' : 'linear',
    ...(base ? { base_model: base.folder } : {}),
    models: models.map(({ folder }) => ({ model: folder, parameters: { weight: 1 / models.length } })),
  }
  const plan = await planRecipe(parseRecipe(JSON.stringify(recipe), 'merge map'), options)
  const report = await mergeReport(plan, options)
  const labels = new Map(models.map(({ folder, label }) => [folder, label]))
  const from = base ? 'the base' : 'the mean of the models'
  const table = (value: (cell: MergeReportCell) => number): (number | null)[][] =>
    report.rows.map(({ cells }) => cells.map((cell) => (cell.change === 0 ? null : value(cell))))
  const changes = table(({ change }) => change)
  return {
    models: report.models.map(({ label }) => labels.get(label) ?? label),
    layers: report.rows.map(({ name, elements }) => ({ name, parameters: elements })),
    measures: [
      {
        key: 'conflict',
        name: 'sign conflict',
        meaning: `share of the model's change, by magnitude, that goes against the mean change; changes from ${from}`,
        least: 0,
        most: 0.5,
        values: table(({ conflict }) => conflict),
      },
      {
        key: 'cosine',
        name: 'cosine',
        meaning: `cosine of the model's change from ${from} with the mean change`,
        least: -1,
        most: 1,
        values: table(({ cosine }) => cosine),
      },
      {
        key: 'change',
        name: 'size of the change',
        meaning: `length of the model's change from ${from}, as a share of the length of the weights there`,
        least: 0,
        most: Math.max(1e-12, ...changes.flat().map((value) => value ?? 0)),
        values: changes,
      },
    ],
    seconds: (performance.now() - start) / 1000,
  }
}
