/** `espalier train`: labelled texts and a label tree in, a classifier's folder out. */
import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import type { TrainOptions, TrainPlan } from '../../classify/options.ts'
import type { ReadOptions } from '../../data/row.ts'
import { type DecoderName, decoderNames } from '../../labels/decode.ts'
import { type Loss, lossNames, lossOf } from '../../train/losses/index.ts'
import { EspalierError, InputError, InterruptedError } from '../../util/errors.ts'
import { didYouMean } from '../../util/suggest.ts'
import { commandName, shellWord, typedCommand } from '../command-name.ts'
import { addDataOptions, type DataFlags, readOptionsOf } from '../data-options.ts'
import { examples } from '../examples.ts'
import { folderSize } from '../folder-size.ts'
import { formatBytes, formatCount, formatSeconds, plural } from '../format.ts'
import { parseMethodOptions } from '../method-options.ts'
import { findMethod, headMethods } from '../methods.ts'
import { type ModelRecord, modelEntries } from '../model-entries.ts'
import { collect, numberIn, oneOf, wholeIn } from '../option-values.ts'
import type { Session } from '../session.ts'
import { facts } from '../table.ts'
import { wrap } from '../text-width.ts'
import type { TaskFlags } from '../train-tasks.ts'

interface TrainFlags extends DataFlags {
  labels?: string[]
  out?: string
  dev?: string[]
  task?: string[]
  method?: string
  methodOption?: string[]
  loss?: string
  lossOption?: string[]
  decoder?: DecoderName
  encoder?: string
  epochs?: number
  lr?: number
  batch?: number
  maxLength?: number
  seed?: number
  maxMinutes?: number
  threads?: number
  unknownLabels?: 'error' | 'skip' | 'add'
  force?: boolean
  resume?: boolean
  plan?: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .usage('DATA... --out DIR [options]')
    .argument(
      '[DATA...]',
      'labelled texts: .jsonl, .json, .csv, .tsv (each also .gz), .parquet, a folder, or a pattern',
    )
    .option('--labels <FILE>', 'the label tree, labels.json (default: built from the paths in the data)', collect)
    .option(
      '--task <NAME=FILE>',
      'in place of DATA, several times: one encoder is trained on all tasks, with a head for each; --dev and --labels then take NAME=FILE too',
      collect,
    )
    .option('--out <DIR>', 'folder for the trained model')
    .option(
      '--dev <FILE>',
      'rows for early stopping, calibration and thresholds (default: a stratified tenth of the data)',
      collect,
    )
    .option(
      '--method <NAME>',
      'the head, see: espalier systems; auto chooses by the data and says why in --plan (default: auto)',
    )
    .option('--method-option <KEY=VALUE>', 'an option of the method; may be given several times', collect)
    .option(
      '--loss <NAME>',
      `in place of the head's cross-entropy, encoders only: ${lossNames.join(', ')}`,
      oneOf('--loss', lossNames),
    )
    .option('--loss-option <KEY=VALUE>', 'an option of the loss; may be given several times', collect)
    .option(
      '--decoder <NAME>',
      'how probabilities become labels: leaf-up, joint-path, top-down, per-level-argmax or threshold (default: threshold with several labels a row, else leaf-up)',
      oneOf('--decoder', decoderNames),
    )
    .option('--encoder <NAME>', 'ngram, mini, gru, a checkpoint folder, or hf:ORG/NAME (default: ngram)')
    .option(
      '--epochs <N>',
      'passes over the data, encoders only (default: by encoder)',
      wholeIn('--epochs', { least: 1 }),
    )
    .option(
      '--lr <X>',
      'peak learning rate, encoders only (default: by encoder)',
      numberIn('--lr', { least: 0, most: 1, open: true }),
    )
    .option('--batch <N>', 'rows a step, encoders only (default: 32)', wholeIn('--batch', { least: 1 }))
    .option(
      '--max-length <N>',
      'tokens a text, the rest is cut, encoders only (default: 128)',
      wholeIn('--max-length', { least: 1 }),
    )
    .option('--seed <N>', 'seed of every random choice (default: 0)', wholeIn('--seed', { least: 0 }))
    .option(
      '--max-minutes <M>',
      'stop in order after so many minutes, encoders only (default: no limit)',
      numberIn('--max-minutes', { least: 0, open: true }),
    )
    .option(
      '--threads <N>',
      "threads to compute with; an encoder's last digits can depend on it, an ngram model does not (default: the machine's cores)",
      wholeIn('--threads', { least: 1 }),
    )
    .option(
      '--unknown-labels <WHAT>',
      'rows whose label is not in the tree: error, skip, or add it (default: error)',
      oneOf('--unknown-labels', ['error', 'skip', 'add']),
    )
    .option('--force', 'replace DIR if espalier wrote it')
    .option('--resume', 'continue an interrupted run; the result is that of an uninterrupted one')
    .option('--plan', 'say what would be read, trained and written, and do nothing')
  addDataOptions(command)
    .addHelpText(
      'after',
      examples([
        'espalier train tickets.csv --text body --labels-column area,topic --out model',
        'espalier train train.jsonl.gz --dev dev.jsonl.gz --labels labels.json --out model',
        'espalier train --task news=news.jsonl --task mood=mood.csv --encoder minilm --out model',
      ]),
    )
    .action((data: string[], flags: TrainFlags) => runTrain(data, flags, session))
}

async function runTrain(sources: string[], flags: TrainFlags, session: Session): Promise<void> {
  const { task } = flags
  if (sources.length === 0 && task === undefined)
    throw new InputError('USAGE', 'DATA is missing', {
      help: 'usage: espalier train DATA... --out DIR [options]',
    })
  if (flags.out === undefined && !flags.plan)
    throw new InputError('USAGE', 'Option --out is missing', {
      help: 'say where the model goes (--out DIR), or look first (--plan)',
    })
  const reading = { ...readOptionsOf(flags), requireLabels: true, ...session.run }
  if (task !== undefined) {
    if (sources.length > 0)
      throw new InputError('USAGE', 'Both DATA and --task were given', {
        help: 'name the task of every file: --task NAME=FILE',
      })
    return trainTasks({ ...flags, task }, reading, session)
  }
  const options = await trainOptionsOf(flags, session)
  options.labels = single('--labels', flags.labels)
  const { readDataset } = await import('../../data/dataset.ts')
  const data = await readDataset(sources, reading)
  const dev = single('--dev', flags.dev)
  if (dev !== undefined) options.dev = await readDataset(dev, reading)
  if (flags.plan) {
    const { planTrain } = await import('../../classify/plan-train.ts')
    const plan = await planTrain(data, options)
    session.settle()
    return session.json ? session.printJson(plan) : session.print(...planLines(plan, flags, session))
  }
  const { train } = await import('../../classify/train.ts')
  const { workFolderOf } = await import('../../classify/work-folder.ts')
  const start = performance.now()
  const model = await train(data, options).catch((error: unknown) => {
    throw resumable(error, workFolderOf(flags.out!))
  })
  const seconds = (performance.now() - start) / 1000
  session.settle()
  try {
    const out = flags.out!
    if (session.json) return await session.printJson({ out, seconds, ...model.record })
    const command = commandName()
    const entries = [
      ['model', `${out}  ${formatBytes(await folderSize(out))}`],
      ...modelEntries(model.settings, model.record as ModelRecord),
      ['time', formatSeconds(seconds)],
      ['next', [`${command} evaluate ${shellWord(out)} TEST_FILE`, `${command} predict ${shellWord(out)} "a text"`]],
    ] as const
    await session.print(...facts(entries, (name) => session.stdout.paint('dim', name), session.stdout.columns))
  } finally {
    await model.close()
  }
}

async function trainTasks(flags: TrainFlags & TaskFlags, reading: ReadOptions, session: Session): Promise<void> {
  if (flags.loss !== undefined)
    throw new InputError('USAGE', '--loss does not go with --task', {
      help: 'several tasks are trained by cross-entropy',
    })
  const { trainTasksCommand } = await import('../train-tasks.ts')
  const { workFolderOf } = await import('../../classify/work-folder.ts')
  const {
    labels: _,
    dev: __,
    encoder = 'mini',
    ...shared
  } = await trainOptionsOf({ encoder: 'mini', ...flags }, session)
  const out = flags.out ?? 'model'
  await trainTasksCommand(flags, { ...shared, encoder, out }, reading, session).catch((error: unknown) => {
    throw resumable(error, workFolderOf(out))
  })
}

/** The value of an option that only training of several tasks takes more than once. */
function single(option: string, values: readonly string[] = []): string | undefined {
  if (values.length > 1)
    throw new InputError('USAGE', `${option} was given ${values.length} times`, { help: 'several belong to --task' })
  return values[0]
}

/** An interruption that left work behind says how to continue. */
function resumable(error: unknown, workFolder: string): unknown {
  const interrupted = EspalierError.is(error) && error.code === 'INTERRUPTED'
  const told = error instanceof Error && error.message.includes('--resume')
  if (!interrupted || told || error.help !== undefined || !existsSync(workFolder)) return error
  return new InterruptedError(error.message, { help: 'continue with --resume', where: error.where, cause: error })
}

async function trainOptionsOf(flags: TrainFlags, session: Session): Promise<TrainOptions> {
  const { out, encoder, epochs, lr, batch, maxLength, seed, maxMinutes, threads, unknownLabels } = flags
  const { force, resume, methodOption = [], lossOption = [] } = flags
  checkEncoder(flags)
  const named = flags.method === 'auto' ? undefined : flags.method
  if (methodOption.length > 0 && named === undefined)
    throw new InputError('USAGE', '--method-option needs --method', {
      help: 'see: espalier systems',
    })
  if (lossOption.length > 0 && flags.loss === undefined)
    throw new InputError('USAGE', '--loss-option needs --loss', { help: 'see: espalier train --help' })
  const factory = named === undefined ? undefined : findMethod(await headMethods(), named)
  return {
    ...session.run,
    ...(flags.loss === undefined ? {} : { loss: lossOfFlags(flags.loss, lossOption) }),
    ...{ out, encoder, epochs, lr, batch, maxLength, seed, maxMinutes, threads, unknownLabels, force, resume },
    method: factory?.(parseMethodOptions(factory.info.name, factory.schema, methodOption)),
    decoder: flags.decoder && { name: flags.decoder },
    command: typedCommand(),
  }
}

function lossOfFlags(name: string, pairs: readonly string[]): Loss {
  const factory = lossOf(name)
  return factory(parseMethodOptions(name, factory.schema, pairs, '--loss-option'))
}

/** Options of transformers; the `ngram` model has nothing to set. */
const encoderFlags = {
  epochs: '--epochs',
  lr: '--lr',
  batch: '--batch',
  maxLength: '--max-length',
  maxMinutes: '--max-minutes',
  loss: '--loss',
} as const

function checkEncoder(flags: TrainFlags): void {
  const { encoder = 'ngram' } = flags
  const known = ['ngram', 'mini', 'gru']
  if (!known.includes(encoder) && !encoder.startsWith('hf:') && !existsSync(encoder))
    throw new InputError('OPTION_VALUE', `--encoder ${encoder}: there is no such encoder or folder`, {
      where: { key: '--encoder' },
      help: didYouMean(encoder, known, 'expected ngram, mini, gru, a checkpoint folder, or hf:ORG/NAME'),
    })
  const unused = Object.entries(encoderFlags).find(([key]) => flags[key as keyof typeof encoderFlags] !== undefined)
  if (encoder === 'ngram' && unused)
    throw new InputError(
      'OPTION_UNUSED',
      `${unused[1]} is an option of transformers, the ngram model has no use for it`,
      {
        where: { key: unused[1] },
        help: 'leave it out, or choose an --encoder',
      },
    )
}

function lossOfPlan({ loss }: TrainPlan): string[] {
  if (loss === undefined) return []
  const settings = Object.entries(loss.options).map(([name, value]) => `${name} ${value}`)
  return [[`${loss.name} loss`, ...settings].join(', ')]
}

function planLines(plan: TrainPlan, flags: TrainFlags, { stdout }: Session): string[] {
  const { labels, method } = plan
  const settings = Object.entries(method.options).map(([name, value]) => `${name} ${value}`)
  const bytes = plan.writes.reduce((sum, file) => sum + file.bytes, 0)
  const warnings = plan.warnings.flatMap((warning) => {
    const [first, ...rest] = wrap(warning, stdout.columns - 14)
    return [`${stdout.paint('yellow', '⚠')} ${first}`, ...rest.map((line) => `  ${line}`)]
  })
  const entries = [
    ['inputs', plan.inputs.map(({ file, bytes }) => `${file}  ${formatBytes(bytes)}`)],
    ['rows', `${formatCount(plan.rows)} to train on, ${formatCount(plan.devRows)} dev`],
    [
      'labels',
      `${plural(labels.count, 'label')}, ${plural(labels.levels, 'level')}, ${plural(labels.leaves, 'leaf', 'leaves')}, ${labels.multiLabel ? 'several' : 'one'} a row`,
    ],
    [
      'model',
      [
        plan.encoder,
        [method.name, ...settings].join(', '),
        ...lossOfPlan(plan),
        plural(plan.parameters, 'parameter'),
      ].join(' · '),
    ],
    ...(method.why === undefined ? [] : [['why', method.why] as const]),
    ['output', flags.out === undefined ? formatBytes(bytes) : `${flags.out}  ${formatBytes(bytes)}`],
    [
      'cost',
      `${plural(plan.steps, 'step')}, peak memory ${formatBytes(plan.peakMemoryBytes)}, ${plan.seconds < 0.1 ? '' : 'about '}${formatSeconds(plan.seconds)} on this machine`,
    ],
    ...(warnings.length === 0 ? [] : [['notes', warnings] as const]),
  ] as const
  return facts(entries, (name) => stdout.paint('dim', name), stdout.columns)
}
