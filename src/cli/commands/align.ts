/** `espalier align`: fits the heads of a merged multi-task model to its encoder with a few texts of each task. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import type { AlignResult } from '../../align/align.ts'
import type { AlignMethod } from '../../align/align-method.ts'
import type { Dataset } from '../../data/dataset.ts'
import { InputError } from '../../util/errors.ts'
import { typedCommand } from '../command-name.ts'
import { addDataOptions, type DataFlags, readOptionsOf, remarksOnly } from '../data-options.ts'
import { examples } from '../examples.ts'
import { parseMethodOptions } from '../method-options.ts'
import { alignMethods, findMethod } from '../methods.ts'
import { collect, wholeIn } from '../option-values.ts'
import type { Session } from '../session.ts'
import { table } from '../table.ts'

interface AlignFlags extends DataFlags {
  out: string
  task?: string
  method: string
  methodOption?: string[]
  shots?: number
  expert?: string[]
  seed?: number
  threads?: number
  force?: boolean
}

const dataFile = /\.(jsonl|json|csv|tsv|parquet)(\.gz)?$/

export function configure(command: Command, session: Session): void {
  command
    .usage('MODEL DATA --out DIR [--task NAME] [--json]')
    .argument('<MODEL>', 'a multi-task model, as a merge of classifiers makes it')
    .argument('<DATA>', 'labelled texts: a file with --task, or a folder with a file for each task, NAME.jsonl')
    .requiredOption('--out <DIR>', 'the folder to write')
    .option('--task <NAME>', 'the task that DATA is of')
    .option('--method <NAME>', 'how heads are fitted, see: espalier systems (default: ft-classifier)', 'ft-classifier')
    .option('--method-option <KEY=VALUE>', 'an option of the method; may be given several times', collect)
    .option('--shots <K>', 'texts of each label (default: 10)', wholeIn('--shots', { least: 1 }))
    .option(
      '--expert <TASK=DIR>',
      'the fine-tuned classifier of a task (default: where the merge found it); may be given several times',
      collect,
    )
    .option('--seed <N>', 'draws the texts (default: 0)', wholeIn('--seed', { least: 0 }))
    .option('--threads <N>', 'threads to compute with (default: 1)', wholeIn('--threads', { least: 1 }))
    .option('--force', 'replace DIR if espalier wrote it')
  addDataOptions(command)
    .addHelpText(
      'after',
      examples([
        'espalier align merged few/ --shots 10 --out aligned',
        'espalier align merged trec.jsonl --task trec --method-option solver=rotation --out aligned',
      ]),
    )
    .action((model: string, data: string, flags: AlignFlags) => runAlign(model, data, flags, session))
}

async function runAlign(model: string, source: string, flags: AlignFlags, session: Session): Promise<void> {
  const method = await methodOf(flags)
  const experts = Object.fromEntries(
    (flags.expert ?? []).map((entry) => {
      const [, task, folder] = /^([^=]+)=(.+)$/.exec(entry) ?? []
      if (task === undefined || folder === undefined)
        throw new InputError('USAGE', `Expected --expert TASK=DIR, received ${entry}`)
      return [task, folder]
    }),
  )
  const data = await datasets(model, source, flags, session)
  const { align } = await import('../../align/align.ts')
  const { out, seed, threads, force } = flags
  const result = await align(model, data, {
    ...session.run,
    method,
    out,
    experts,
    command: typedCommand(),
    ...(seed === undefined ? {} : { seed }),
    ...(threads === undefined ? {} : { threads }),
    ...(force === undefined ? {} : { force }),
  })
  session.settle()
  if (session.json) return session.printJson({ method: { name: method.name, options: method.options }, ...result })
  await session.print(...resultLines(result, session))
}

async function methodOf({ method, methodOption = [], shots }: AlignFlags): Promise<AlignMethod> {
  const factory = findMethod(await alignMethods(), method)
  const given = parseMethodOptions(factory.info.name, factory.schema, methodOption)
  return factory({ ...given, ...(shots === undefined ? {} : { shots }) })
}

/** The rows of each task: a file and the task's name, or a folder of files named after tasks. */
async function datasets(
  model: string,
  source: string,
  flags: AlignFlags,
  session: Session,
): Promise<Record<string, Dataset>> {
  const { readDataset } = await import('../../data/dataset.ts')
  const reading = { ...readOptionsOf(flags), requireLabels: true, ...remarksOnly(session.run) }
  if (flags.task !== undefined) return { [flags.task]: await readDataset(source, reading) }
  const { taskNames } = await import('../../classify/load-tasks.ts')
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

function resultLines({ folder, tasks }: AlignResult, session: Session): string[] {
  const { paint, columns } = session.stdout
  const share = (value: number | undefined) => (value === undefined ? '' : value.toFixed(3))
  const rows = tasks.map(({ task, texts, agreementBefore, agreementAfter, distance, distanceRotated }) => [
    task,
    String(texts),
    share(agreementBefore),
    share(agreementAfter),
    share(distance),
    share(distanceRotated),
  ])
  const head = ['task', 'texts', 'before', 'after', 'distance', 'rotated'].map((name) => paint('dim', name))
  return [
    ...table(
      [{ flexible: true }, ...Array.from({ length: 5 }, () => ({ align: 'right' as const }))],
      [head, ...rows],
      columns,
    ),
    paint('dim', 'before, after: share of other texts on which model and expert agree'),
    `model  ${folder}`,
    `next   espalier predict ${folder} TEXT`,
  ]
}
