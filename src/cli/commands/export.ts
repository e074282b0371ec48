/** `espalier export`: a model in the files of another program. */
import type { Command } from 'commander'
import { type ExportFormat, exportFormats } from '../../classify/export/export-model.ts'
import { commandName, shellWord, typedCommand } from '../command-name.ts'
import { examples } from '../examples.ts'
import { formatNumber } from '../format.ts'
import { oneOf } from '../option-values.ts'
import type { Session } from '../session.ts'
import { facts } from '../table.ts'

interface ExportFlags {
  format: ExportFormat
  out: string
  force?: boolean
  head?: string
  type: 'F32' | 'F16'
}

export function configure(command: Command, session: Session): void {
  command
    .usage('MODEL --format NAME --out DIR')
    .argument('<MODEL>', "a classifier's or checkpoint's folder, or hf:ORG/NAME")
    .requiredOption('--format <FORMAT>', exportFormats.join(', '), oneOf('--format', exportFormats))
    .requiredOption('--out <DIR>', 'the folder to write')
    .option('--force', 'replace an output folder that espalier wrote')
    .option('--head <NAME>', 'the head to export of a merged model with several')
    .option('--type <TYPE>', 'weights in a gguf file: F32 or F16', oneOf('--type', ['F32', 'F16']), 'F32')
    .addHelpText(
      'after',
      examples([
        'espalier export model --format onnx --out model-onnx',
        'espalier export model --format transformers --out model-hf',
        'espalier export merged --head trec --format gguf --type F16 --out trec-gguf',
      ]),
    )
    .action((model: string, flags: ExportFlags) => runExport(model, flags, session))
}

async function runExport(model: string, flags: ExportFlags, session: Session): Promise<void> {
  const { exportModel } = await import('../../classify/export/export-model.ts')
  const { format, out, force, head, type } = flags
  const result = await exportModel(model, {
    format,
    out,
    ggufType: type,
    command: typedCommand(),
    ...(force === undefined ? {} : { force }),
    ...(head === undefined ? {} : { head }),
    ...session.run,
  })
  session.settle()
  if (session.json) return session.printJson(result)
  const { compared, count, largestDifference, tolerance } = result.parity
  await session.print(
    ...facts(
      [
        ['export', `${format} in ${out}`],
        [
          'checked',
          `${count} ${compared === 'tensors' ? 'tensors' : 'texts'}: ${compared} differ by ${formatNumber(largestDifference)} at most (allowed: ${formatNumber(tolerance)})`,
        ],
        ['next', nextStep(format, out)],
      ],
      (name) => session.stdout.paint('dim', name),
    ),
  )
}

function nextStep(format: ExportFormat, out: string): string {
  if (format === 'onnx')
    return `await pipeline('text-classification', '${out}', { dtype: 'fp32' }) // @huggingface/transformers`
  if (format === 'transformers') return `AutoModelForSequenceClassification.from_pretrained("${out}") # Python`
  if (format === 'gguf') return `llama-embedding -m ${shellWord(`${out}/model.gguf`)} -p "a text"`
  return `${commandName()} predict ${shellWord(out)} "a text"`
}
