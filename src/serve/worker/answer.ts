/** A batch of requests to answers: texts that need the same computation run together, and a fault of one request stays its own. */
import { toErrorRecord } from '../../util/errors.ts'
import { classifyBodies, predictBodies } from './classify-answer.ts'
import { embedBody, embedTexts, rerankBody } from './embed-answer.ts'
import type { ServedModel } from './open-model.ts'
import type { Answer, ClassifyTask, EmbedTask, PredictTask, RerankTask, WorkItem } from './protocol.ts'

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

/** Indices of items that ask for the same of different texts, in order of arrival. */
function groupsOf(items: readonly WorkItem[]): number[][] {
  const groups = new Map<string, number[]>()
  for (const [index, item] of items.entries()) {
    const key = groupKey(item)
    const group = groups.get(key)
    if (group) group.push(index)
    else groups.set(key, [index])
  }
  return [...groups.values()]
}

function groupKey({ head = '', strict, task }: WorkItem): string {
  if (task.kind === 'predict') return `predict ${task.rawScores} ${strict} ${head}`
  if (task.kind === 'classify') return `classify ${task.topK} ${task.minConfidence ?? ''} ${strict} ${head}`
  return `vectors ${strict}`
}

async function answerGroup(model: ServedModel, items: readonly WorkItem[]): Promise<Answer[]> {
  const { head, strict } = items[0]!
  const tasks = items.map(({ task }) => task)
  const texts = tasks.flatMap((task) => (task.kind === 'rerank' ? [task.query, ...task.texts] : task.texts))
  const { kind } = tasks[0]!
  if (kind === 'predict' || kind === 'classify') {
    const classifier = model.classifier(head)
    if (strict) await model.refuseLong(texts, classifier.scorer.maxLength)
    const bodies =
      kind === 'predict'
        ? await predictBodies(classifier, texts, tasks as PredictTask[])
        : await classifyBodies(classifier, texts, tasks as ClassifyTask[])
    return bodies.map((body) => ({ body, tokens: 0 }))
  }
  const encoder = await model.encoder()
  if (strict) await model.refuseLong(texts, encoder.maxLength)
  const { vectors, tokens } = await embedTexts(encoder, texts)
  let at = 0
  return (tasks as (EmbedTask | RerankTask)[]).map((task) => {
    const from = at
    at += task.texts.length + (task.kind === 'rerank' ? 1 : 0)
    const own = vectors.slice(from, at)
    const body = task.kind === 'rerank' ? rerankBody(own, task) : embedBody(own, task)
    return { body, tokens: tokens.slice(from, at).reduce((sum, count) => sum + count, 0) }
  })
}
