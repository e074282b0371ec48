/** `espalier select`: fewer rows out of many, chosen by rule. */
import { stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { InputError } from '../../util/errors.ts'
import { addDataOptions, type DataFlags, readOptionsOf } from '../data-options.ts'
import { examples } from '../examples.ts'
import { plural } from '../format.ts'
import { oneOf, wholeIn } from '../option-values.ts'
import type { Session } from '../session.ts'
import { facts } from '../table.ts'

interface SelectFlags extends DataFlags {
  fewShot?: 'paths'
  k?: number
  devK?: number
  out?: string
  devOut?: string
  seed?: number
  force?: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .usage('DATA... --few-shot paths --k N --out FILE [options]')
    .argument(
      '<DATA...>',
      'labelled texts: .jsonl, .json, .csv, .tsv (each also .gz), .parquet, a folder, or a pattern',
    )
    .option('--few-shot <HOW>', 'paths: K rows of every label path', oneOf('--few-shot', ['paths']))
    .option('--k <N>', 'rows of each path', wholeIn('--k', { least: 1 }))
    .option('--out <FILE>', 'the chosen rows, .jsonl or .jsonl.gz')
    .option('--dev-out <FILE>', 'K other rows of every path, for development')
    .option('--dev-k <N>', 'rows of each path in --dev-out (default: as --k)', wholeIn('--dev-k', { least: 1 }))
    .option('--seed <N>', 'seed of the draw (default: 0)', wholeIn('--seed', { least: 0 }))
    .option('--force', 'replace files that exist')
  addDataOptions(command)
    .addHelpText(
      'after',
      examples([
        'espalier select train.jsonl.gz --few-shot paths --k 4 --out few.jsonl --dev-out few-dev.jsonl',
        'espalier train few.jsonl --dev few-dev.jsonl --labels labels.json --out model',
      ]),
    )
    .action((data: string[], flags: SelectFlags) => runSelect(data, flags, session))
}

async function runSelect(sources: string[], flags: SelectFlags, session: Session): Promise<void> {
  const { fewShot, k, out, devOut, devK, seed, force } = flags
  for (const [option, value] of [
    ['--few-shot', fewShot],
    ['--k', k],
    ['--out', out],
  ] as const) {
    if (value === undefined)
      throw new InputError('USAGE', `Option ${option} is missing`, { help: 'see: espalier select --help' })
  } // prettier-ignore
  if (devK !== undefined && devOut === undefined)
    throw new InputError('USAGE', '--dev-k needs --dev-out', { help: 'say where the development rows go' })
  for (const file of [out!, ...(devOut === undefined ? [] : [devOut])]) await checkFile(file, force ?? false)
  const { readDataset } = await import('../../data/dataset.ts')
  const { writeJsonl } = await import('../../data/write-jsonl.ts')
  const { fewShotPaths } = await import('../../select/few-shot-paths.ts')
  const data = await readDataset(sources, { ...readOptionsOf(flags), requireLabels: true, ...session.run })
  const rows = await data.collect()
  const chosen = fewShotPaths(rows, {
    k: k!,
    dev: devOut === undefined ? 0 : (devK ?? k!),
    ...(seed === undefined ? {} : { seed }),
  })
  await writeJsonl(out!, chosen.train, session.run)
  if (devOut !== undefined) await writeJsonl(devOut, chosen.dev, session.run)
  session.settle()
  const { train, dev, short } = chosen
  if (session.json)
    return session.printJson({
      out,
      devOut,
      read: rows.length,
      train: train.length,
      dev: dev.length,
      k,
      seed: seed ?? 0,
      short,
    })
  await session.print(
    ...facts(
      [
        ['read', plural(rows.length, 'row')],
        ['out', `${out}  ${plural(train.length, 'row')}`],
        ...(devOut === undefined ? [] : [['dev', `${devOut}  ${plural(dev.length, 'row')}`] as const]),
        ...(short.length === 0
          ? []
          : [
              [
                'notes',
                `${plural(short.length, 'path')} with fewer than ${k} rows, such as ${short[0]!.path.join(' › ')}`,
              ] as const,
            ]),
      ],
      (name) => session.stdout.paint('dim', name),
      session.stdout.columns,
    ),
  )
}

async function checkFile(file: string, force: boolean): Promise<void> {
  if (!/\.jsonl(\.gz)?$/i.test(file))
    throw new InputError('OPTION_VALUE', 'The chosen rows are JSON Lines: the name must end in .jsonl or .jsonl.gz', {
      where: { file },
    })
  if (!force && (await stat(file).catch(() => undefined)))
    throw new InputError('OUT_EXISTS', 'The file exists', {
      where: { file },
      help: 'choose another name, or pass --force',
    })
}
