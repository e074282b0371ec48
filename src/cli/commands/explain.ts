/** `espalier explain`: which tokens of a text speak for its label, and which against it. */
import { stat } from 'node:fs/promises'
import type { Command } from 'commander'
import type { Explanation } from '../../explain/explain.ts'
import { formatPath } from '../../labels/label-tree.ts'
import type { ScoreKind } from '../../labels/node-score.ts'
import { writeFileAtomic } from '../../util/atomic.ts'
import { InputError } from '../../util/errors.ts'
import { examples } from '../examples.ts'
import { explainMethod } from '../explain-option.ts'
import { formatNumber, formatProbability } from '../format.ts'
import { collect, oneOf, wholeIn } from '../option-values.ts'
import type { Session } from '../session.ts'
import { table } from '../table.ts'
import { printable } from '../text-width.ts'

interface ExplainFlags {
  method?: string
  methodOption?: string[]
  label?: string
  score?: ScoreKind
  html?: string
  seed?: number
  threads?: number
}

export function configure(command: Command, session: Session): void {
  command
    .usage('MODEL TEXT... [--label PATH] [--html FILE] [--json]')
    .argument('<MODEL>', "a trained classifier's folder, or hf:ORG/NAME")
    .argument('<TEXT...>', 'texts to explain')
    .option(
      '--method <NAME>',
      'integrated-gradients, occlusion, attention-rollout, lime, kernel-shap or linear, see: espalier systems (default: linear for ngram models, integrated-gradients for encoders)',
    )
    .option('--method-option <KEY=VALUE>', 'an option of the method; may be given several times', collect)
    .option(
      '--label <PATH>',
      'the label to explain, a leaf or an inner one: "travel › translate", or a name that occurs once (default: the most probable one of each text)',
    )
    .option(
      '--score <KIND>',
      "what is explained: log-odds or probability of the label, or its logit, which only the head's own outputs have (default: log-odds)",
      oneOf('--score', ['log-odds', 'probability', 'logit']),
    )
    .option('--html <FILE>', 'write a page with the tokens coloured (.html)')
    .option('--seed <N>', 'seed of sampled methods (default: 0)', wholeIn('--seed', { least: 0 }))
    .option(
      '--threads <N>',
      "threads to compute with (default: the machine's cores)",
      wholeIn('--threads', { least: 1 }),
    )
    .addHelpText(
      'after',
      examples([
        'espalier explain model "book a table for two"',
        'espalier explain model "book a table for two" --label kitchen_and_dining --html why.html',
        'espalier explain model "book a table for two" --method kernel-shap --json',
      ]),
    )
    .action((model: string, texts: string[], flags: ExplainFlags) => runExplain(model, texts, flags, session))
}

async function runExplain(folder: string, texts: string[], flags: ExplainFlags, session: Session): Promise<void> {
  if (flags.html !== undefined) await checkPagePath(flags.html)
  const method = await explainMethod(flags.method, flags.methodOption)
  const { loadClassifier } = await import('../../classify/load-classifier.ts')
  const { explain } = await import('../../explain/explain.ts')
  const { score, seed, threads } = flags
  const label = flags.label?.split(/\s+[›>]\s+/).map((name) => name.trim())
  const model = await loadClassifier(folder, { ...session.run, threads })
  try {
    const explanations = await explain(model, texts, { ...session.run, method, label, score, seed })
    if (flags.html !== undefined) {
      const { renderExplanations } = await import('../../explain/render-explanations.ts')
      await writeFileAtomic(flags.html, renderExplanations(explanations))
    }
    session.settle()
    const page = flags.html === undefined ? {} : { html: flags.html }
    if (session.json) return await session.printJson({ explanations, ...page })
    for (const [index, explanation] of explanations.entries())
      await session.print(...(index > 0 ? [''] : []), ...explanationLines(explanation, session))
    if (flags.html !== undefined) await session.print('', `page  ${flags.html}`)
  } finally {
    await model.close()
  }
}

/** Tokens shown of a long text: the strongest, in their order. */
const mostTokens = 20

function explanationLines(explanation: Explanation, { stdout: { paint, columns } }: Session): string[] {
  const { text, label, probability, score, tokens, method, truncated } = explanation
  const most = tokens.reduce((largest, { value }) => Math.max(largest, Math.abs(value)), 0)
  const weakest = [...tokens].sort((a, b) => Math.abs(b.value) - Math.abs(a.value))[mostTokens - 1]
  const shown = tokens
    .filter(({ value }) => !weakest || Math.abs(value) >= Math.abs(weakest.value))
    .slice(0, mostTokens)
  const width = Math.min(30, columns - 44)
  const rows = shown.map(({ text, value }) => {
    const bar = '█'.repeat(most === 0 ? 0 : Math.round((Math.abs(value) / most) * width))
    return [
      `  ${printable(text)}`,
      `${value < 0 ? '-' : '+'}${formatNumber(Math.abs(value))}`,
      paint(value < 0 ? 'yellow' : 'cyan', bar),
    ]
  })
  const base = score.base === undefined ? '' : `, ${formatNumber(score.base)} without the tokens`
  return [
    `"${printable(text)}"`,
    `${paint('bold', printable(formatPath(label)))} ${formatProbability(probability)}  ${paint('dim', `${method}: ${score.kind} ${formatNumber(score.value)}${base}`)}`,
    ...table([{ flexible: true }, { align: 'right' }, {}], rows, columns),
    ...(shown.length < tokens.length
      ? [paint('dim', `  the strongest ${shown.length} of ${tokens.length} tokens`)]
      : []),
    ...(truncated ? [paint('dim', '  the model reads the beginning of this text only')] : []),
  ]
}

async function checkPagePath(file: string): Promise<void> {
  if (!/\.html?$/i.test(file))
    throw new InputError('OPTION_VALUE', 'The explanation is a page: its name must end with .html', {
      where: { file },
      help: `for example --html ${file}.html`,
    })
  if ((await stat(file).catch(() => undefined))?.isDirectory())
    throw new InputError('OUT_EXISTS', 'The path of the page is a folder, expected a file', { where: { file } })
}
