/** `espalier predict` on a multi-task model without --task: every task answers, the texts go through the encoder once. */
import { loadTasks, type MultiTaskModel } from '../classify/load-tasks.ts'
import type { Prediction, PredictOptions } from '../classify/options.ts'
import { formatPath } from '../labels/label-tree.ts'
import { answerInBatches, type Question } from './answer-in-batches.ts'
import { formatProbability } from './format.ts'
import type { Session } from './session.ts'
import { printable, truncate } from './text-width.ts'

type Answer = Question & { tasks: Record<string, Prediction> }

export async function predictTasks(
  folder: string,
  questions: AsyncIterable<Question> | Iterable<Question>,
  options: PredictOptions,
  { jsonl }: { jsonl: boolean },
  session: Session,
): Promise<void> {
  const { threads, ...rest } = options
  const model = await loadTasks(folder, { ...(threads === undefined ? {} : { threads }), ...rest })
  try {
    const answers = answerInBatches(questions, (texts) => answerAll(model, texts, options), session)
    if (session.json && !jsonl) {
      const predictions: Answer[] = []
      for await (const part of answers) predictions.push(...part)
      session.settle()
      const multiLabel = Object.fromEntries(
        model.tasks.map((task) => [task, model.classifier(task).settings.multiLabel]),
      )
      return await session.printJson({ tasks: model.tasks, multiLabel, predictions })
    }
    for await (const part of answers)
      await session.print(
        ...part.flatMap((answer) =>
          jsonl ? [JSON.stringify(answer)] : answerLines(answer, model.tasks, options.topK ?? 1, session),
        ),
      )
  } finally {
    await model.close()
  }
}

async function answerAll(model: MultiTaskModel, texts: string[], options: PredictOptions) {
  const byTask = await model.predict(texts, options)
  return texts.map((_, i) => ({ tasks: Object.fromEntries([...byTask].map(([task, all]) => [task, all[i]!])) }))
}

/** The text, then a line for each task: `trec  HUM › HUM:ind 0.93`. */
function answerLines({ text, tasks }: Answer, names: readonly string[], topK: number, session: Session): string[] {
  const { paint, columns } = session.stdout
  const width = names.reduce((most, name) => Math.max(most, name.length), 0)
  const label = (path: readonly string[], probability: number) =>
    `${truncate(printable(formatPath(path)), Math.max(16, columns - width - 10))} ${formatProbability(probability)}`
  return [
    `"${truncate(printable(text), columns - 2)}"`,
    ...names.flatMap((name) => {
      const { paths, top } = tasks[name]!
      const answer = paths.map(({ path, confidence }) => label(path, confidence.at(-1)!)).join(' + ')
      const first = `  ${paint('dim', name.padEnd(width))}  ${answer === '' ? paint('dim', 'no label is sure enough') : answer}`
      if (topK === 1) return [first]
      return [first, ...top.map(({ path, probability }) => `  ${' '.repeat(width)}  ${label(path, probability)}`)]
    }),
  ]
}
