/** What `align` and `merge --align` share: the rows of each task, and how the outcome is shown. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { TaskAlignment } from '../align/align.ts'
import type { Dataset } from '../data/dataset.ts'
import { InputError } from '../util/errors.ts'
import { type DataFlags, readOptionsOf, remarksOnly } from './data-options.ts'
import type { Session } from './session.ts'
import { table } from './table.ts'

const dataFile = /\.(jsonl|json|csv|tsv|parquet)(\.gz)?$/

/** The rows of each task: a file and the task's name, or a folder of files named after tasks. */
export async function taskDatasets(
  model: string,
  source: string,
  flags: DataFlags & { task?: string },
  session: Session,
): Promise<Record<string, Dataset>> {
  const { readDataset } = await import('../data/dataset.ts')
  const reading = { ...readOptionsOf(flags), requireLabels: true, ...remarksOnly(session.run) }
  if (flags.task !== undefined) return { [flags.task]: await readDataset(source, reading) }
  const { taskNames } = await import('../classify/load-tasks.ts')
  const tasks = await taskNames(model)
  const folder = (await stat(source).catch(() => undefined))?.isDirectory() ?? false
  if (!folder)
    throw new InputError('USAGE', 'DATA is a file: the task it belongs to is not named', {
      help: `add --task NAME: ${tasks.join(', ')}`,
    })
  const found = (await readdir(source)).filter(
    (name) => dataFile.test(name) && tasks.includes(name.replace(dataFile, '')),
  )
  if (found.length === 0)
    throw new InputError('DATA_EMPTY', 'The folder has no file of a task of the model', {
      where: { file: source },
      help: `name the files after the tasks: ${tasks.map((task) => `${task}.jsonl`).join(', ')}`,
    })
  const entries: [string, Dataset][] = []
  for (const name of found.sort())
    entries.push([name.replace(dataFile, ''), await readDataset(join(source, name), reading)])
  return Object.fromEntries(entries)
}

/** What alignment did to each task, as a table. */
export function alignmentLines(tasks: readonly TaskAlignment[], session: Session): string[] {
  const { paint, columns } = session.stdout
  const share = (value: number | undefined) => (value === undefined ? '' : value.toFixed(3))
  const rows = tasks.map(({ task, texts, scores, agreementBefore, agreementAfter, distance }) => [
    task,
    String(texts),
    share(scores?.specialist.accuracy),
    share(scores?.merged.accuracy),
    share(scores?.aligned.accuracy),
    [agreementBefore, agreementAfter].map(share).filter(Boolean).join(' → '),
    share(distance),
  ])
  const head = ['task', 'texts', 'specialist', 'merged', 'aligned', 'agreement', 'distance'].map((name) =>
    paint('dim', name),
  )
  return [
    ...table(
      [{ flexible: true }, ...Array.from({ length: 6 }, () => ({ align: 'right' as const }))],
      [head, ...rows],
      columns,
    ),
    paint('dim', 'specialist, merged, aligned: accuracy on texts not aligned with'),
    paint('dim', "agreement: share of them with the specialist's answer, before → after"),
  ]
}
