/** `espalier organize`: better labels out of those that there are. */
import type { Command } from 'commander'
import { typedCommand } from '../command-name.ts'
import { addDataOptions, type DataFlags, readOptionsOf } from '../data-options.ts'
import { examples } from '../examples.ts'
import { plural } from '../format.ts'
import { parseMethodOptions } from '../method-options.ts'
import { findMethod, organizeMethods } from '../methods.ts'
import { collect, namesOf, numberIn, wholeIn } from '../option-values.ts'
import type { Session } from '../session.ts'
import { facts, table } from '../table.ts'

interface OrganizeFlags extends DataFlags {
  method: string
  methodOption?: string[]
  secondColumn: string | string[]
  out: string
  dev?: number
  test?: number
  seed?: number
  force?: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .usage('DATA... --second-column NAME --out DIR [options]')
    .argument('<DATA...>', 'texts that are labelled twice: .jsonl, .json, .csv, .tsv (each also .gz), .parquet')
    .requiredOption(
      '--second-column <NAMES>',
      'the column of the second schema, or several "area,topic" that make one path',
      namesOf('--second-column'),
    )
    .requiredOption('--out <DIR>', 'the folder to write: train, dev and test rows, the label tree, the report')
    .option('--method <NAME>', 'how labels are combined, see: espalier systems', 'htc-datasets')
    .option('--method-option <KEY=VALUE>', 'an option of the method; may be given several times', collect)
    .option('--dev <SHARE>', 'share of the rows for dev (default: 0.1)', numberIn('--dev', { least: 0, most: 0.9 }))
    .option('--test <SHARE>', 'share of the rows for test (default: 0.2)', numberIn('--test', { least: 0, most: 0.9 }))
    .option('--seed <N>', 'draws samples and splits (default: 0)', wholeIn('--seed', { least: 0 }))
    .option('--force', 'replace DIR if espalier wrote it')
  addDataOptions(command)
    .addHelpText(
      'after',
      examples([
        'espalier organize papers.jsonl --labels-column journal --second-column topic --out clean',
        'espalier organize papers.csv --second-column topic --method-option theta=0.3 --out clean',
        'espalier train clean/train.jsonl --dev clean/dev.jsonl --labels clean/labels.json --out model',
      ]),
    )
    .action((data: string[], flags: OrganizeFlags) => runOrganize(data, flags, session))
}

async function runOrganize(sources: string[], flags: OrganizeFlags, session: Session): Promise<void> {
  const factory = findMethod(await organizeMethods(), flags.method)
  const method = factory(parseMethodOptions(factory.info.name, factory.schema, flags.methodOption ?? []))
  const { readDataset } = await import('../../data/dataset.ts')
  const { organize } = await import('../../taxonomy/organize.ts')
  const reading = { ...readOptionsOf(flags), requireLabels: true, ...session.run }
  const data = await readDataset(sources, reading)
  const second = await readDataset(sources, { ...reading, labels: flags.secondColumn })
  const { out, dev, test, seed, force } = flags
  const result = await organize(data, {
    ...session.run,
    method,
    second,
    out,
    command: typedCommand(),
    ...(dev === undefined ? {} : { dev }),
    ...(test === undefined ? {} : { test }),
    ...(seed === undefined ? {} : { seed }),
    ...(force === undefined ? {} : { force }),
  })
  session.settle()
  const { report, splits, tree, dropped } = result
  if (session.json)
    return session.printJson({ out, method: { name: method.name, options: method.options }, splits, ...report })
  const quality = report['quality'] as Record<string, readonly Record<string, number>[]>
  await session.print(
    ...facts(
      [
        ['kept', `${plural(result.rows.length, 'text')}, ${plural(tree.size, 'label')}`],
        ['dropped', `${plural(dropped.length, 'text')}, see ${out}/dropped.jsonl`],
        ['split', `${splits.train} train, ${splits.dev} dev, ${splits.test} test`],
      ],
      (name) => session.stdout.paint('dim', name),
      session.stdout.columns,
    ),
    '',
    ...table(
      [
        { head: 'schema' },
        ...['level', 'texts', 'classes', 'intra', 'inter', 'silhouette', 'NMI'].map((head) => ({
          head,
          align: 'right' as const,
        })),
      ],
      Object.entries(quality).flatMap(([schema, levels]) =>
        levels.map(({ level, texts, classes, intra, inter, silhouette, nmi }) => [
          schema,
          String(level),
          String(texts),
          String(classes),
          ...[intra, inter, silhouette, nmi].map((value) => value!.toFixed(3)),
        ]),
      ),
      session.stdout.columns,
    ),
    '',
    'Higher intra, silhouette and NMI and lower inter mean that texts of one label belong together.',
    `next   espalier train ${out}/train.jsonl --dev ${out}/dev.jsonl --labels ${out}/labels.json --out model`,
  )
}
