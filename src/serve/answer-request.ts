/** From a request's texts to a model's answer: which model, whether the texts are acceptable, and the wait for an inference thread. */
import type { Context } from 'hono'
import type * as v from 'valibot'
import { InputError } from '../util/errors.ts'
import type { ServeContext, ServeEnv } from './context.ts'
import type { Answered } from './models/engine.ts'
import { readBody } from './read-body.ts'
import type { Task } from './worker/protocol.ts'

/** Reads a request's body by its schema. @throws InputError of `readBody` */
export const bodyOf = <Schema extends v.GenericSchema>(
  c: Context<ServeEnv>,
  { limits }: ServeContext,
  schema: Schema,
): Promise<v.InferOutput<Schema>> => readBody(c.req.raw, schema, limits.bodyBytes, c.env?.incoming)

export interface Question {
  /** As the request names it; the path's `:model` stands in for it. */
  model?: string | null | undefined
  /** false: refuse texts that would be cut. */
  truncate?: boolean | null | undefined
  task: Task
}

/**
 * Asks a model.
 * @throws InputError `MODEL_UNKNOWN`, `BATCH_TOO_LARGE`, `TEXT_TOO_LONG`, `TEXT_EMPTY`; RunError `OVERLOADED`, `TIME_LIMIT`; the answer's own fault.
 */
export async function ask(
  c: Context<ServeEnv>,
  { models, limits }: ServeContext,
  { model, truncate, task }: Question,
): Promise<Answered & { model: string }> {
  const texts = task.kind === 'rerank' ? [task.query, ...task.texts] : task.texts
  const notes = c.get('notes')
  notes.texts = texts.length
  if (task.texts.length > limits.requestTexts)
    throw new InputError(
      'BATCH_TOO_LARGE',
      `Expected at most ${limits.requestTexts} texts in a request, received ${task.texts.length}`,
      {
        help: 'send them in several requests',
      },
    )
  for (const [index, text] of texts.entries()) {
    if (text.length > limits.textLength)
      throw new InputError(
        'TEXT_TOO_LONG',
        `Expected texts of at most ${limits.textLength} characters, text ${index + 1} has ${text.length}`,
      )
    if (text.trim() === '')
      throw new InputError('TEXT_EMPTY', `Text ${index + 1} is empty`, {
        help: 'give a text with at least one visible character',
      })
  }
  const { slot, head } = models.find(model ?? c.req.param('model'))
  const name = head === undefined ? slot.name : `${slot.name}:${head}`
  notes.model = name
  const item = { ...(head === undefined ? {} : { head }), strict: truncate === false, task }
  return { ...(await slot.engine.submit(item, c.req.raw.signal)), model: name }
}
