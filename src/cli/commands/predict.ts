/** `espalier predict`: label paths for texts from the command line, a data file, or lines of standard input. */
import { createInterface } from 'node:readline'
import { addAbortSignal } from 'node:stream'
import type { Command } from 'commander'
import type { Classifier } from '../../classify/classifier.ts'
import type { Prediction, PredictOptions } from '../../classify/options.ts'
import { formatPath } from '../../labels/label-tree.ts'
import { InputError, throwIfAborted } from '../../util/errors.ts'
import { answerInBatches, type Question } from '../answer-in-batches.ts'
import { costLine } from '../cost-line.ts'
import { addDataOptions, type DataFlags, readOptionsOf, remarksOnly } from '../data-options.ts'
import { examples } from '../examples.ts'
import { formatProbability } from '../format.ts'
import { numberIn, wholeIn } from '../option-values.ts'
import { addScoringOptions, type ScoringFlags } from '../scoring-options.ts'
import type { Session } from '../session.ts'
import { printable, textWidth, truncate } from '../text-width.ts'

interface PredictFlags extends DataFlags, ScoringFlags {
  input?: string
  task?: string
  topK: number
  minConfidence?: number
  jsonl?: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .usage('MODEL [TEXT...] [--input FILE] [--json]')
    .argument('<MODEL>', "a trained classifier's folder")
    .argument('[TEXT...]', 'texts; without them and without --input, the lines of standard input')
    .option(
      '--input <FILE>',
      'predict every row of a data file (.jsonl, .csv, .tsv, .parquet; - is JSONL on standard input)',
    )
    .option('--task <NAME>', 'the task of a multi-task model (default: every task answers)')
    .option('--top-k <K>', 'show the K most probable labels of each text', wholeIn('--top-k', { least: 1 }), 1)
    .option(
      '--min-confidence <P>',
      'stop at the first label that is less probable than this, 0 to 1; the answer may then be an inner label, or none (default: as trained)',
      numberIn('--min-confidence', { least: 0, most: 1 }),
    )
  addScoringOptions(command).option(
    '--jsonl',
    'print one JSON object a line as answers come, for pipes and large files',
  )
  addDataOptions(command)
    .addHelpText(
      'after',
      examples([
        'espalier predict model "book a table for two"',
        'espalier predict model --input tickets.csv --text body --jsonl > answers.jsonl',
        'espalier predict merged "book a table for two" --task clinc150',
      ]),
    )
    .action((model: string, texts: string[], flags: PredictFlags) => runPredict(model, texts, flags, session))
}

async function runPredict(folder: string, texts: string[], flags: PredictFlags, session: Session): Promise<void> {
  if (texts.length > 0 && flags.input !== undefined)
    throw new InputError('USAGE', 'Texts and --input exclude each other', { help: 'give one of them' })
  const questions = await openQuestions(texts, flags, session)
  const { loadClassifier } = await import('../../classify/load-classifier.ts')
  const { predict } = await import('../../classify/predict.ts')
  const { batch, threads, topK, minConfidence, beam } = flags
  const decoder = flags.decoder && { name: flags.decoder, beam }
  // How far a batch is says nothing of the whole.
  const options: PredictOptions = { batch, threads, topK, minConfidence, decoder, beam, ...remarksOnly(session.run) }
  const { taskNames } = await import('../../classify/load-tasks.ts')
  if (flags.task === undefined && (await taskNames(folder)).length > 0) {
    const { predictTasks } = await import('../predict-tasks.ts')
    return predictTasks(folder, questions, options, { jsonl: flags.jsonl ?? false }, session)
  }
  const model = await loadClassifier(folder, { ...options, task: flags.task })
  try {
    const answers = answerInBatches(questions, (part) => predict(model, part, options), session)
    await printAnswers(answers, model, flags, session)
  } finally {
    await model.close()
  }
}

/** Texts of the command line, rows of a file, or lines of a pipe. What can be checked before the model is loaded is checked here. */
async function openQuestions(
  texts: string[],
  flags: PredictFlags,
  session: Session,
): Promise<AsyncIterable<Question> | Iterable<Question>> {
  if (texts.length > 0) return texts.map((text) => ({ text }))
  if (flags.input !== undefined) {
    const { readDataset } = await import('../../data/dataset.ts')
    return readDataset(flags.input, { ...readOptionsOf(flags), ...remarksOnly(session.run) })
  }
  if (process.stdin.isTTY)
    throw new InputError('USAGE', 'There is no text to predict', {
      help: 'give a TEXT in quotes, --input FILE, or pipe lines to standard input',
    })
  return linesOfStdin(session.run.signal)
}

async function* linesOfStdin(signal: AbortSignal): AsyncGenerator<Question> {
  const lines = createInterface({ input: addAbortSignal(signal, process.stdin), crlfDelay: Number.POSITIVE_INFINITY })
  let any = false
  try {
    for await (const text of lines) {
      if (text.trim() === '') continue
      any = true
      yield { text }
    }
  } catch (error) {
    throwIfAborted(signal)
    throw error
  }
  if (!any)
    throw new InputError('DATA_EMPTY', 'Standard input holds no text', {
      help: 'give a TEXT in quotes, --input FILE, or pipe lines to standard input',
    })
}

type Answer = Question & Prediction

async function printAnswers(
  answers: AsyncIterable<Answer[]>,
  model: Classifier,
  { topK, jsonl }: PredictFlags,
  session: Session,
): Promise<void> {
  if (session.json && !jsonl) {
    const predictions: Answer[] = []
    for await (const part of answers) predictions.push(...part)
    session.settle()
    const usage = model.scorer.usage?.()
    return session.printJson({ multiLabel: model.settings.multiLabel, predictions, ...(usage ? { usage } : {}) })
  }
  for await (const part of answers) {
    const lines = jsonl
      ? part.map((answer) => JSON.stringify(answer))
      : part.flatMap((answer) => answerLines(answer, topK, session))
    await session.print(...lines)
  }
  const usage = model.scorer.usage?.()
  if (usage) session.remark(costLine(usage))
}

const longestQuote = 48

/** `"how much is..." → auto_and_commute › tire_pressure 0.97`, and the alternatives below it. */
function answerLines({ text, paths, top }: Answer, topK: number, { stdout: { paint, columns } }: Session): string[] {
  const shown = paths.map(({ path, confidence }) => ({
    path: printable(formatPath(path)),
    probability: confidence.at(-1)!,
  }))
  const answer = shown
    .map(({ path, probability }) => `${paint('bold', path)} ${formatProbability(probability)}`)
    .join(paint('dim', ' + '))
  const room = columns - textWidth(answer) - 5
  const question = `"${truncate(printable(text), Math.min(longestQuote, Math.max(16, room)))}"`
  const first = `${question} ${paint('dim', '→')} ${answer === '' ? paint('dim', 'no label is sure enough') : answer}`
  if (topK === 1) return [first]
  return [
    first,
    ...top.map(({ path, probability }) => `  ${formatProbability(probability)}  ${printable(formatPath(path))}`),
  ]
}
