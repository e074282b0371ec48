/** The verb predict: texts in, label paths with probabilities out. */
import { InputError } from '../util/errors.ts'
import type { ClassifierCore } from './classifier-core.ts'
import type { PredictedPath, Prediction, PredictOptions } from './options.ts'
import { answerRows } from './row-answer.ts'

export { predictedNodes, topEnds } from './row-answer.ts'

/**
 * Predicts label paths for texts.
 * @param model a classifier from `train` or `loadClassifier`.
 * @param texts any script; an empty text is refused.
 * @returns one prediction per text, in order.
 * @throws InputError `TEXT_EMPTY`, `OPTION_RANGE`; RunError of the runtime.
 * @example
 * const [answer] = await predict(model, ['book a table for two'])
 * answer.path // ['kitchen_and_dining', 'restaurant_reservation']
 */
export async function predict(
  model: ClassifierCore,
  texts: readonly string[],
  options: PredictOptions = {},
): Promise<Prediction[]> {
  const { topK = 1, minConfidence } = options
  if (!Number.isInteger(topK) || topK < 1)
    throw new InputError('OPTION_RANGE', `Expected topK to be a whole number from 1, received ${topK}`)
  if (minConfidence !== undefined && !(minConfidence >= 0 && minConfidence <= 1)) {
    throw new InputError('OPTION_RANGE', `Expected minConfidence between 0 and 1, received ${minConfidence}`)
  }
  const empty = texts.findIndex((text) => text.trim() === '')
  if (empty >= 0)
    throw new InputError('TEXT_EMPTY', `Text ${empty + 1} is empty`, {
      help: 'give a text with at least one visible character',
    })
  const { tree } = model
  const predictions: Prediction[] = []
  await answerRows(model, texts, { ...options, topK }, ({ predicted, probability, top: best }) => {
    const paths = tree
      .ends(predicted)
      .map((end): PredictedPath => pathOf(model, end, probability))
      .sort((a, b) => b.confidence.at(-1)! - a.confidence.at(-1)!)
    const top = best.map(({ id, probability }) => ({ path: tree.path(id), probability }))
    predictions.push({ path: paths[0]?.path ?? [], confidence: paths[0]?.confidence ?? [], paths, top })
  })
  return predictions
}

function pathOf({ tree }: ClassifierCore, end: number, probability: (id: number) => number): PredictedPath {
  const ids = tree.pathIds(end)
  return { path: ids.map((id) => tree.nodes[id]!.name), confidence: ids.map(probability) }
}
