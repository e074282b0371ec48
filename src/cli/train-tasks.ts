/** `espalier train --task NAME=FILE ...`: one encoder and a head for each task. */

import type { TrainTasksOptions, TrainTasksPlan } from '../classify/train-tasks.ts'
import type { Dataset } from '../data/dataset.ts'
import type { ReadOptions } from '../data/row.ts'
import { InputError } from '../util/errors.ts'
import { commandName, shellWord } from './command-name.ts'
import { folderSize } from './folder-size.ts'
import { formatBytes, formatCount, formatSeconds, plural } from './format.ts'
import type { Session } from './session.ts'
import { facts } from './table.ts'

export interface TaskFlags {
  task: string[]
  labels?: string[]
  dev?: string[]
  plan?: boolean
}

/** `NAME=FILE` entries by name; several files of one name belong together. */
function byName(option: string, entries: readonly string[] = []): Map<string, string[]> {
  const files = new Map<string, string[]>()
  for (const entry of entries) {
    const [, name, file] = /^([^=]+)=(.+)$/.exec(entry) ?? []
    if (name === undefined || file === undefined)
      throw new InputError('USAGE', `Expected ${option} NAME=FILE, received ${entry}`, {
        help: 'with --task, every file is of a task',
      })
    files.set(name, [...(files.get(name) ?? []), file])
  }
  return files
}

/** Trains or plans. `shared` has the options that are the same for every task. */
export async function trainTasksCommand(
  flags: TaskFlags,
  shared: Omit<TrainTasksOptions, 'labels' | 'dev'>,
  reading: ReadOptions,
  session: Session,
): Promise<void> {
  const { readDataset } = await import('../data/dataset.ts')
  const read = async (entries: Map<string, string[]>): Promise<Record<string, Dataset>> => {
    const sets: [string, Dataset][] = []
    for (const [name, files] of entries) sets.push([name, await readDataset(files, reading)])
    return Object.fromEntries(sets)
  }
  const data = await read(byName('--task', flags.task))
  const trees = [...byName('--labels', flags.labels)].map(([name, files]) => [name, files.at(-1)!] as const)
  const options: TrainTasksOptions = {
    ...shared,
    labels: Object.fromEntries(trees),
    dev: await read(byName('--dev', flags.dev)),
  }
  const { planTrainTasks, trainTasks } = await import('../classify/train-tasks.ts')
  if (flags.plan) {
    const plan = await planTrainTasks(data, options)
    session.settle()
    return session.json ? session.printJson(plan) : session.print(...planLines(plan, session))
  }
  const start = performance.now()
  const model = await trainTasks(data, options)
  await model.close()
  const seconds = (performance.now() - start) / 1000
  session.settle()
  const { out } = options
  if (session.json) return session.printJson({ out, seconds, tasks: model.tasks })
  const command = commandName()
  const entries = [
    ['model', `${out}  ${formatBytes(await folderSize(out))}`],
    ['tasks', model.tasks.join(', ')],
    ['time', formatSeconds(seconds)],
    [
      'next',
      [
        `${command} evaluate ${shellWord(out)} TEST_FILE --task ${model.tasks[0]}`,
        `${command} predict ${shellWord(out)} "a text"`,
      ],
    ],
  ] as const
  await session.print(...facts(entries, (name) => session.stdout.paint('dim', name), session.stdout.columns))
}

function planLines(plan: TrainTasksPlan, { stdout }: Session): string[] {
  const bytes = plan.writes.reduce((sum, file) => sum + file.bytes, 0)
  const notes = plan.tasks.flatMap(({ task, warnings }) => warnings.map((warning) => `${task}: ${warning}`))
  const entries = [
    [
      'tasks',
      plan.tasks.map(
        ({ task, rows, devRows, labels, method }) =>
          `${task}: ${formatCount(rows)} rows, ${formatCount(devRows)} dev, ${plural(labels.count, 'label')}, ${method.name}`,
      ),
    ],
    ['model', `${plan.encoder} · ${plural(plan.parameters, 'parameter')}`],
    ['output', `${plan.writes.map(({ file }) => file).join(', ')}  ${formatBytes(bytes)}`],
    [
      'cost',
      `${plural(plan.steps, 'step')}, peak memory ${formatBytes(plan.peakMemoryBytes)}, about ${formatSeconds(plan.seconds)} on this machine`,
    ],
    ...(notes.length === 0 ? [] : [['notes', notes] as const]),
  ] as const
  return facts(entries, (name) => stdout.paint('dim', name), stdout.columns)
}
