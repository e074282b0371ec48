/** `espalier extract-lora`: what a fine-tuned model learned, as a LoRA adapter for its base; or, with --plan, what that would do. */
import type { Command } from 'commander'
import type { ExtractResult } from '../../merge/extract/extract-lora.ts'
import type { ExtractPlan, ExtractTensor } from '../../merge/extract/plan-extract.ts'
import { InputError } from '../../util/errors.ts'
import { typedCommand } from '../command-name.ts'
import { examples } from '../examples.ts'
import { formatBytes, formatSeconds, plural } from '../format.ts'
import { numberIn, wholeIn } from '../option-values.ts'
import type { Session } from '../session.ts'
import { facts, table } from '../table.ts'

interface ExtractFlags {
  rank?: number
  variance?: number
  embeddings: boolean
  vectors?: boolean
  threads?: number
  force?: boolean
  plan?: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .usage('BASE MODEL [OUT] [--rank N | --variance SHARE] [--plan] [--json]')
    .argument('<BASE>', 'the model that was fine-tuned: a folder or hf:ORG/NAME')
    .argument('<MODEL>', 'the fine-tuned model')
    .argument('[OUT]', 'the folder to write; not needed with --plan')
    .option('--rank <N>', 'largest rank of a module (default: 16)', wholeIn('--rank', { least: 1 }))
    .option(
      '--variance <SHARE>',
      'instead: the least rank that holds this share of the squares, such as 0.95',
      numberIn('--variance', { least: 0, most: 1, open: true }),
    )
    .option('--no-embeddings', 'leave embeddings out')
    .option('--vectors', 'carry changed biases and norms over whole (default: leave them out)')
    .option('--threads <N>', "threads at most (default: the machine's cores)", wholeIn('--threads', { least: 1 }))
    .option('--force', 'replace an output folder that espalier wrote')
    .option('--plan', 'show what would be factored, carried whole and left out; read no weights')
    .addHelpText(
      'after',
      examples([
        'espalier extract-lora base fine-tuned --rank 32 --plan',
        'espalier extract-lora base fine-tuned adapter --rank 32',
        'espalier extract-lora base fine-tuned adapter --variance 0.95 --vectors',
      ]),
    )
    .action((base: string, model: string, out: string | undefined, flags: ExtractFlags) =>
      runExtract(base, model, out, flags, session),
    )
}

async function runExtract(
  base: string,
  model: string,
  out: string | undefined,
  { plan: onlyPlan, force = false, ...flags }: ExtractFlags,
  session: Session,
): Promise<void> {
  const options = { base, model, ...flags, ...session.run }
  if (onlyPlan) {
    const { planExtractLora } = await import('../../merge/extract/plan-extract.ts')
    const plan = await planExtractLora(options)
    session.settle()
    if (session.json) return session.printJson(plan)
    return session.print(...planLines(plan, session))
  }
  if (out === undefined)
    throw new InputError('USAGE', 'Missing argument OUT', {
      help: 'name the folder to write: espalier extract-lora BASE MODEL OUT, or pass --plan',
    })
  const { extractLora } = await import('../../merge/extract/extract-lora.ts')
  const result = await extractLora({ ...options, out, force, command: typedCommand() })
  session.settle()
  if (session.json) await session.printJson(result)
  else await session.print(...resultLines(base, result, session))
}

function planLines(plan: ExtractPlan, session: Session): string[] {
  const { tensors, rank, variance } = plan
  const names = (...actions: ExtractTensor['action'][]) =>
    tensors.filter(({ action }) => actions.includes(action)).map(({ name }) => name)
  const list = (found: readonly string[]) =>
    `${plural(found.length, 'tensor')}${found.length === 0 ? '' : found.length <= 3 ? `: ${found.join(', ')}` : `: ${found.slice(0, 2).join(', ')}, ...`}`
  const most = rank === undefined ? `as many directions as hold ${variance! * 100} % of the squares` : `rank ${rank}`
  return facts(
    [
      ['models', `${plan.model} less ${plan.base}`],
      ['factored', `${list(names('factor', 'turned', 'embedding'))} · ${most}`],
      ['whole', list(names('save'))],
      ['left out', list(names('leave'))],
      [
        'cost',
        `reads ${formatBytes(plan.readBytes)}, writes at most ${formatBytes(plan.writeBytes)}, peak memory ${formatBytes(plan.peakBytes)}, about ${formatSeconds(plan.seconds)} on ${plural(plan.threads, 'thread')}`,
      ],
    ],
    (label) => session.stdout.paint('dim', label),
    session.stdout.columns,
  )
}

const percent = (share: number): string => `${(100 * share).toPrecision(3)} %`

function resultLines(base: string, result: ExtractResult, session: Session): string[] {
  const { paint, columns } = session.stdout
  const factored = result.tensors.filter((tensor) => tensor.rank !== undefined)
  const left = result.tensors.filter(({ rank, error }) => rank === undefined && error > 0)
  const worst = [...factored].sort((a, b) => b.error - a.error).slice(0, 5)
  return [
    ...facts(
      [
        [
          'adapter',
          `${plural(factored.length, 'module')} of rank up to ${result.rank}, ${formatBytes(result.bytes)}, in ${formatSeconds(result.seconds)}`,
        ],
        ['error', `${percent(result.error)} of the difference is lost (relative Frobenius norm)`],
        ...(left.length > 0
          ? [
              [
                'left out',
                `${plural(left.length, 'changed tensor')}: biases and norms are carried with --vectors`,
              ] as const,
            ]
          : []),
        ['folder', result.folder],
        ['next', `espalier inspect ${result.folder}; in a recipe: ${base}+${result.folder}`],
      ],
      (label) => paint('dim', label),
      columns,
    ),
    '',
    ...table(
      [
        { head: 'worst modules', flexible: true },
        { head: 'rank', align: 'right' },
        { head: 'lost', align: 'right' },
      ],
      worst.map(({ name, rank, error }) => [name, String(rank), percent(error)]),
      columns,
    ),
  ]
}
