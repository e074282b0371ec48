/** The verb predict: texts in, label paths with probabilities out. */
import { decodePath, decodeThresholds } from '../labels/decode.ts'
import type { NodeProbabilities } from '../labels/node-probabilities.ts'
import { InputError, throwIfAborted } from '../util/errors.ts'
import type { Classifier } from './classifier.ts'
import type { PredictedPath, Prediction, PredictOptions } from './options.ts'

/** Ids predicted for one row: closed under ancestors, ascending; empty if the model abstains. */
export function predictedNodes(
  model: Classifier,
  probabilities: NodeProbabilities,
  minConfidence = model.settings.minConfidence,
): number[] {
  const { tree, settings } = model
  if (!settings.multiLabel) return decodePath(tree, model.terminals, probabilities, minConfidence)
  const chosen = decodeThresholds(tree, model.thresholds, probabilities)
  return minConfidence > 0 ? chosen.filter((id) => probabilities.marginal[id]! >= minConfidence) : chosen
}

/** The `k` most probable ends of paths, most probable first; ties by id. With several labels per row, by their marginal probability. */
export function topEnds(
  model: Classifier,
  probabilities: NodeProbabilities,
  k: number,
): { id: number; probability: number }[] {
  const values = model.settings.multiLabel ? probabilities.marginal : probabilities.ending
  const top: { id: number; probability: number }[] = []
  for (const id of model.terminals) {
    const probability = values[id]!
    if (top.length === k && probability <= top[k - 1]!.probability) continue
    let at = top.length
    while (at > 0 && top[at - 1]!.probability < probability) at--
    top.splice(at, 0, { id, probability })
    if (top.length > k) top.pop()
  }
  return top
}

/** Scores texts in batches and hands each row's probabilities to `use`, in order. */
export async function forEachRow(
  model: Classifier,
  texts: readonly string[],
  options: PredictOptions,
  use: (probabilities: NodeProbabilities, row: number) => void,
): Promise<void> {
  const units = model.settings.layout.unitNodes.length
  const chunk = Math.max(options.batch ?? 64, 1024)
  for (let start = 0; start < texts.length; start += chunk) {
    throwIfAborted(options.signal)
    const part = texts.slice(start, start + chunk)
    const logits = await model.scorer.score(part, options)
    for (let row = 0; row < part.length; row++)
      use(model.probabilities(logits.subarray(row * units, (row + 1) * units)), start + row)
    options.onProgress?.({
      step: 'predict',
      done: Math.min(start + chunk, texts.length),
      total: texts.length,
      unit: 'texts',
    })
  }
}

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
  model: Classifier,
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
  await forEachRow(model, texts, options, (probabilities) => {
    const nodes = predictedNodes(model, probabilities, minConfidence)
    const paths = tree
      .ends(nodes)
      .map((end): PredictedPath => pathOf(model, end, probabilities))
      .sort((a, b) => b.confidence.at(-1)! - a.confidence.at(-1)!)
    const top = topEnds(model, probabilities, topK).map(({ id, probability }) => ({ path: tree.path(id), probability }))
    predictions.push({ path: paths[0]?.path ?? [], confidence: paths[0]?.confidence ?? [], paths, top })
  })
  return predictions
}

function pathOf(model: Classifier, end: number, probabilities: NodeProbabilities): PredictedPath {
  const ids = model.tree.pathIds(end)
  return { path: ids.map((id) => model.tree.nodes[id]!.name), confidence: ids.map((id) => probabilities.marginal[id]!) }
}
