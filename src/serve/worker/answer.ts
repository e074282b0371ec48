/** A batch of requests to answers: texts that need the same computation run together, and a fault of one request stays its own. */
import { toErrorRecord } from '../../util/errors.ts'
import { classifyBody, predictBody, scoreTexts } from './classify-answer.ts'
import { embedBody, embedTexts, rerankBody } from './embed-answer.ts'
import type { ServedModel } from './open-model.ts'
import type { Answer, WorkItem } from './protocol.ts'

/** One answer per item, in order. Never rejects for a fault of an item. */
export async function answerItems(model: ServedModel, items: readonly WorkItem[]): Promise<Answer[]> {
  const answers = new Array<Answer>(items.length)
  for (const indices of groupsOf(items)) {
    const group = indices.map((index) => items[index]!)
    try {
      const made = await answerGroup(model, group)
      for (const [i, index] of indices.entries()) answers[index] = made[i]!
    } catch (error) {
      if (indices.length === 1) answers[indices[0]!] = { error: toErrorRecord(error) }
      else for (const index of indices) answers[index] = (await answerItems(model, [items[index]!]))[0]!
    }
  }
  return answers
}

/** Indices of items whose texts go through the same session, in order of arrival. */
function groupsOf(items: readonly WorkItem[]): number[][] {
  const groups = new Map<string, number[]>()
  for (const [index, { head, strict, task }] of items.entries()) {
    const classifies = task.kind === 'predict' || task.kind === 'classify'
    const key = classifies ? `labels ${strict} ${head ?? ''}` : `vectors ${strict}`
    const group = groups.get(key)
    if (group) group.push(index)
    else groups.set(key, [index])
  }
  return [...groups.values()]
}

async function answerGroup(model: ServedModel, items: readonly WorkItem[]): Promise<Answer[]> {
  const { head, strict, task: first } = items[0]!
  const textsOf = ({ task }: WorkItem) => (task.kind === 'rerank' ? [task.query, ...task.texts] : task.texts)
  const texts = items.flatMap(textsOf)
  let at = 0
  const next = ({ length }: { length: number }) => {
    at += length
    return [at - length, at] as const
  }
  if (first.kind === 'predict' || first.kind === 'classify') {
    const classifier = model.classifier(head)
    if (strict) await model.refuseLong(texts, classifier.scorer.maxLength)
    const scores = await scoreTexts(classifier, texts)
    return items.map((item) => {
      const rows = scores.slice(...next(item.task.texts))
      const { task } = item
      if (task.kind === 'predict') return { body: predictBody(classifier, rows, task), tokens: 0 }
      if (task.kind === 'classify') return { body: classifyBody(classifier, rows, task), tokens: 0 }
      throw new TypeError(`A ${task.kind} task stands among labels`)
    })
  }
  const encoder = await model.encoder()
  if (strict) await model.refuseLong(texts, encoder.maxLength)
  const { vectors, tokens } = await embedTexts(encoder, texts)
  return items.map((item) => {
    const [from, to] = next(textsOf(item))
    const counted = tokens.slice(from, to).reduce((sum, count) => sum + count, 0)
    const own = vectors.slice(from, to)
    const { task } = item
    if (task.kind === 'rerank') return { body: rerankBody(own, task), tokens: counted }
    if (task.kind === 'embed') return { body: embedBody(own, task), tokens: counted }
    throw new TypeError(`A ${task.kind} task stands among vectors`)
  })
}
