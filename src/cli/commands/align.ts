/** `espalier align`: fits the heads of a merged multi-task model to its encoder with a few texts of each task. */
import type { Command } from 'commander'
import type { AlignMethod } from '../../align/align-method.ts'
import { InputError } from '../../util/errors.ts'
import { alignmentLines, taskDatasets } from '../align-data.ts'
import { checkReportFile, planOfMerge, writeAlignReport } from '../align-report.ts'
import { typedCommand } from '../command-name.ts'
import { addDataOptions, type DataFlags } from '../data-options.ts'
import { examples } from '../examples.ts'
import { parseMethodOptions } from '../method-options.ts'
import { alignMethods, findMethod } from '../methods.ts'
import { collect, wholeIn } from '../option-values.ts'
import type { Session } from '../session.ts'

interface AlignFlags extends DataFlags {
  out: string
  task?: string
  method: string
  methodOption?: string[]
  shots?: number
  expert?: string[]
  test?: string
  report?: string
  seed?: number
  threads?: number
  force?: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .usage('MODEL DATA --out DIR [--task NAME] [--json]')
    .argument('<MODEL>', 'a multi-task model, as a merge of classifiers makes it')
    .argument('<DATA>', 'labelled texts: a file with --task, or a folder with a file for each task, NAME.jsonl')
    .requiredOption('--out <DIR>', 'the folder to write')
    .option('--task <NAME>', 'the task that DATA is of')
    .option('--method <NAME>', 'how heads are fitted, see: espalier systems', 'ft-classifier')
    .option('--method-option <KEY=VALUE>', 'an option of the method; may be given several times', collect)
    .option('--shots <K>', 'texts of each label (default: 10)', wholeIn('--shots', { least: 1 }))
    .option(
      '--expert <TASK=DIR>',
      'the fine-tuned classifier of a task (default: where the merge found it); may be given several times',
      collect,
    )
    .option(
      '--test <DATA>',
      'labelled texts to measure on, given as DATA is (default: those of DATA that are not drawn)',
    )
    .option('--report <FILE>', 'a page of each task before and after, and how the merged models agree; ends with .html')
    .option('--seed <N>', 'draws the texts (default: 0)', wholeIn('--seed', { least: 0 }))
    .option('--threads <N>', 'threads to compute with (default: 1)', wholeIn('--threads', { least: 1 }))
    .option('--force', 'replace DIR if espalier wrote it')
  addDataOptions(command)
    .addHelpText(
      'after',
      examples([
        'espalier align merged few/ --shots 10 --out aligned --test test/ --report aligned.html',
        'espalier align merged trec.jsonl --task trec --method-option solver=rotation --out aligned',
      ]),
    )
    .action((model: string, data: string, flags: AlignFlags) => runAlign(model, data, flags, session))
}

async function runAlign(model: string, source: string, flags: AlignFlags, session: Session): Promise<void> {
  checkReportFile(flags.report)
  const method = await methodOf(flags)
  const experts = Object.fromEntries(
    (flags.expert ?? []).map((entry) => {
      const [, task, folder] = /^([^=]+)=(.+)$/.exec(entry) ?? []
      if (task === undefined || folder === undefined)
        throw new InputError('USAGE', `Expected --expert TASK=DIR, received ${entry}`)
      return [task, folder]
    }),
  )
  const data = await taskDatasets(model, source, flags, session)
  const test = flags.test === undefined ? undefined : await taskDatasets(model, flags.test, flags, session)
  const { align } = await import('../../align/align.ts')
  const { out, seed, threads, force } = flags
  const result = await align(model, data, {
    ...session.run,
    method,
    out,
    experts,
    ...(test === undefined ? {} : { test }),
    command: typedCommand(),
    ...(seed === undefined ? {} : { seed }),
    ...(threads === undefined ? {} : { threads }),
    ...(force === undefined ? {} : { force }),
  })
  if (flags.report !== undefined)
    await writeAlignReport(flags.report, result, await planOfMerge(model, session), {}, session)
  session.settle()
  if (session.json) return session.printJson(result)
  await session.print(
    ...alignmentLines(result.tasks, session),
    ...(flags.report === undefined ? [] : [`report ${flags.report}`]),
    `model  ${result.folder}`,
    `next   espalier predict ${result.folder} TEXT`,
  )
}

async function methodOf({ method, methodOption = [], shots }: AlignFlags): Promise<AlignMethod> {
  const factory = findMethod(await alignMethods(), method)
  const given = parseMethodOptions(factory.info.name, factory.schema, methodOption)
  return factory({ ...given, ...(shots === undefined ? {} : { shots }) })
}
