/** `merge --data`: a recipe whose method looks at rows of every model's task. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Dataset } from '../../data/dataset.ts'
import type { DataRecipe } from '../../merge/with-data/data-recipe.ts'
import { InputError } from '../../util/errors.ts'
import { typedCommand } from '../command-name.ts'
import { remarksOnly } from '../data-options.ts'
import type { Session } from '../session.ts'
import { given, type MergeFlags, requiredOut } from './merge-flags.ts'
import { resultDocument, resultLines } from './merge-recipe.ts'
import { planDocument, planLines } from './plan-lines.ts'

const dataFile = /\.(jsonl|json|csv|tsv|parquet)(\.gz)?$/

export async function mergeByData(
  file: string,
  out: string | undefined,
  rowsFolder: string,
  flags: MergeFlags,
  session: Session,
): Promise<void> {
  const [{ readDataRecipe }, { mergeWithData, planMergeWithData }] = await Promise.all([
    import('../../merge/with-data/data-recipe.ts'),
    import('../../merge/with-data/merge-with-data.ts'),
  ])
  const recipe = await readDataRecipe(file)
  const { models, base, method } = recipe
  const { seed, threads, rows, force } = flags
  const options = { ...session.run, method, ...given({ base, seed, threads, rows, force }) }
  const files = await filesOf(recipe, rowsFolder)
  if (flags.plan) {
    const plan = await planMergeWithData(models, options)
    session.settle()
    if (session.json) return session.printJson({ ...planDocument(plan), data: files })
    return session.print(...planLines(file, plan, session), `data        ${files.join(', ')}`)
  }
  const folder = requiredOut(out, 'espalier merge RECIPE.yml OUT --data DIR')
  const { readDataset } = await import('../../data/dataset.ts')
  const reading = { requireLabels: method.labels, ...remarksOnly(session.run) }
  const data: Dataset[] = []
  for (const path of files) data.push(await readDataset(path, reading))
  const result = await mergeWithData(models, { ...options, data, out: folder, command: typedCommand() })
  session.settle()
  const { report } = result
  const shown = { ...result, resumed: 0 }
  if (session.json)
    return session.printJson({ ...resultDocument(shown), method: result.method, rows: result.rows, report })
  await session.print(
    ...resultLines(shown, session),
    `rows    ${recipe.tasks.map((task, t) => `${task} ${result.rows[t]}`).join(', ')}`,
  )
}

/** The file of every model's rows. */
async function filesOf({ tasks }: DataRecipe, folder: string): Promise<string[]> {
  if (!(await stat(folder).catch(() => undefined))?.isDirectory())
    throw new InputError('ENOENT', 'The folder of rows is not there', {
      where: { file: folder },
      help: `give a folder with a file for each model: ${tasks.map((task) => `${task}.jsonl`).join(', ')}`,
    })
  const names = await readdir(folder)
  return tasks.map((task) => {
    const name = names.find((found) => dataFile.test(found) && found.replace(dataFile, '') === task)
    if (name !== undefined) return join(folder, name)
    throw new InputError('DATA_EMPTY', `The folder has no file of rows for the model ${task}`, {
      where: { file: folder },
      help: `name it after the model's folder: ${task}.jsonl`,
    })
  })
}
