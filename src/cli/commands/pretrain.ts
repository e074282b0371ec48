/** `espalier pretrain`: texts without labels in, a small encoder with its own vocabulary out, for `train --encoder`. */
import type { Command } from 'commander'
import type { PretrainOptions, PretrainResult } from '../../classify/pretrain.ts'
import { InterruptedError } from '../../util/errors.ts'
import { typedCommand } from '../command-name.ts'
import { addDataOptions, type DataFlags, readOptionsOf, remarksOnly } from '../data-options.ts'
import { examples } from '../examples.ts'
import { formatCount } from '../format.ts'
import { numberIn, wholeIn } from '../option-values.ts'
import type { Session } from '../session.ts'
import { facts } from '../table.ts'

interface PretrainFlags extends DataFlags {
  out: string
  vocabulary?: number
  layers?: number
  hidden?: number
  maxLength?: number
  epochs?: number
  lr?: number
  batch?: number
  maskShare?: number
  seed?: number
  threads?: number
  force?: boolean
  resume?: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .usage('DATA... --out DIR [--json]')
    .argument('<DATA...>', 'texts: .jsonl, .json, .csv, .tsv (each also .gz), or .parquet; labels are not read')
    .requiredOption('--out <DIR>', 'the folder to write: a BERT checkpoint')
    .option('--vocabulary <N>', 'tokens of the vocabulary (default: 8000)', wholeIn('--vocabulary', { least: 50 }))
    .option('--layers <N>', 'layers of the encoder (default: 4)', wholeIn('--layers', { least: 1 }))
    .option('--hidden <N>', 'width of the encoder, a multiple of 32 (default: 256)', wholeIn('--hidden', { least: 32 }))
    .option('--max-length <N>', 'tokens a text, 3 to 128 (default: 64)', wholeIn('--max-length', { least: 3 }))
    .option('--epochs <N>', 'passes over the texts (default: 3)', wholeIn('--epochs', { least: 1 }))
    .option('--lr <X>', 'peak learning rate (default: 0.001)', numberIn('--lr', { least: 0, most: 1, open: true }))
    .option('--batch <N>', 'texts a step (default: 64)', wholeIn('--batch', { least: 1 }))
    .option(
      '--mask-share <P>',
      'share of the tokens to guess (default: 0.15)',
      numberIn('--mask-share', { least: 0, most: 1, open: true }),
    )
    .option('--seed <N>', 'seed of every random choice (default: 0)', wholeIn('--seed', { least: 0 }))
    .option('--threads <N>', 'threads to compute with (default: 1)', wholeIn('--threads', { least: 1 }))
    .option('--force', 'replace DIR if espalier wrote it')
    .option('--resume', 'continue an interrupted run; the result is that of an uninterrupted one')
  addDataOptions(command)
    .addHelpText(
      'after',
      examples([
        'espalier pretrain texts.jsonl.gz --out base',
        'espalier pretrain texts.csv --text body --layers 2 --hidden 128 --out base',
        'espalier train tickets.csv --encoder base --out model',
      ]),
    )
    .action((data: string[], flags: PretrainFlags) => runPretrain(data, flags, session))
}

async function runPretrain(sources: string[], flags: PretrainFlags, session: Session): Promise<void> {
  const { readDataset } = await import('../../data/dataset.ts')
  const { pretrain } = await import('../../classify/pretrain.ts')
  const data = await readDataset(sources, { ...readOptionsOf(flags), ...remarksOnly(session.run) })
  const { out, vocabulary: vocabularySize, hidden: hiddenSize, lr: learningRate, batch: batchSize } = flags
  const { layers, maxLength, epochs, maskShare, seed, threads, force, resume } = flags
  const given = { vocabularySize, hiddenSize, learningRate, batchSize, layers, maxLength, epochs, maskShare, seed }
  const options = Object.fromEntries(
    Object.entries({ ...given, threads, force, resume }).filter(([, value]) => value !== undefined),
  ) as Partial<PretrainOptions>
  try {
    const result = await pretrain(data, { ...options, out, command: typedCommand(), ...session.run })
    session.settle()
    if (session.json) await session.printJson(result)
    else await session.print(...resultLines(result, session))
  } catch (error) {
    if (error instanceof InterruptedError)
      throw new InterruptedError(error.message, { help: 'repeat the command with --resume' })
    throw error
  }
}

function resultLines({ folder, history, parameters, texts, steps }: PretrainResult, session: Session): string[] {
  const losses = history.flatMap(({ dev }) => (dev ? [dev['loss']!.toFixed(3)] : []))
  return facts(
    [
      ['pretrained', `${formatCount(texts)} texts, ${formatCount(steps)} steps, ${formatCount(parameters)} parameters`],
      ...(losses.length > 0 ? [['loss', `${losses.join(', ')} (held out, nats a masked token)`] as const] : []),
      ['model', folder],
      ['next', `espalier train DATA --encoder ${folder} --out DIR`],
    ],
    (label) => session.stdout.paint('dim', label),
    session.stdout.columns,
  )
}
