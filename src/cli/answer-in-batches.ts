/** Questions answered batch by batch as they come from a file or a pipe, so that answers can be printed before the end. */
import { throwIfAborted } from '../util/errors.ts'
import type { Session } from './session.ts'

export interface Question {
  text: string
  id?: string
}

/** Texts predicted and printed together when they come from a file or a pipe. */
const streamBatch = 1024

/** @param answer gives one object for each text; each is joined with its question. */
export async function* answerInBatches<Answer extends object>(
  questions: AsyncIterable<Question> | Iterable<Question>,
  answer: (texts: string[]) => Promise<Answer[]>,
  session: Session,
): AsyncGenerator<(Question & Answer)[]> {
  let batch: Question[] = []
  let done = 0
  const flush = async (): Promise<(Question & Answer)[]> => {
    throwIfAborted(session.run.signal)
    const predictions = await answer(batch.map(({ text }) => text))
    const answers = batch.map(({ text, id }, index) => ({
      ...(id === undefined ? {} : { id }),
      text,
      ...predictions[index]!,
    }))
    done += batch.length
    if (done > streamBatch || batch.length === streamBatch)
      session.run.onProgress({ step: 'predict', done, unit: 'texts' })
    batch = []
    return answers
  }
  for await (const question of questions) {
    batch.push(question)
    if (batch.length === streamBatch) yield await flush()
  }
  if (batch.length > 0) yield await flush()
}
