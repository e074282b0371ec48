/** Logits to the JSON that /predict and /v1/classify send. */
import type { Classifier } from '../../classify/classifier.ts'
import { predictedNodes, topEnds } from '../../classify/predict.ts'
import { formatPath } from '../../labels/label-tree.ts'
import type { NodeProbabilities } from '../../labels/node-probabilities.ts'
import type { ClassifyTask, PredictTask } from './protocol.ts'

export interface ScoredText {
  readonly logits: Float32Array
  readonly probabilities: NodeProbabilities
}

export async function scoreTexts(model: Classifier, texts: readonly string[]): Promise<ScoredText[]> {
  const { units } = model.scorer
  const scores = await model.scorer.score(texts)
  return texts.map((_, row) => {
    const logits = scores.subarray(row * units, (row + 1) * units)
    return { logits, probabilities: model.probabilities(logits) }
  })
}

/**
 * For each text every label with its score, the best first. Labels are the paths at which answers may end (with several labels a row: all paths);
 * scores are their probabilities. Raw scores are the logits of the head's outputs.
 */
export function predictBody(model: Classifier, rows: readonly ScoredText[], { rawScores }: PredictTask): string {
  const { tree, settings } = model
  const label = (id: number) => formatPath(tree.path(id))
  const answers = rows.map(({ logits, probabilities }) => {
    const scored = rawScores
      ? settings.layout.unitNodes.map((id, unit) => ({ score: logits[unit]!, label: label(id) }))
      : settings.multiLabel
        ? tree.nodes.map(({ id }) => ({ score: probabilities.marginal[id]!, label: label(id) }))
        : Array.from(model.terminals, (id) => ({ score: probabilities.ending[id]!, label: label(id) }))
    return scored.sort((a, b) => b.score - a.score)
  })
  return JSON.stringify(answers)
}

/** For each text its path, the probability of every label along it, all predicted paths, the best labels of every level, and whether the model abstains. */
export function classifyBody(model: Classifier, rows: readonly ScoredText[], task: ClassifyTask): string {
  const { tree } = model
  const levels = Array.from({ length: tree.depth }, (_, index) => tree.level(index + 1))
  const answers = rows.map(({ probabilities }, index) => {
    const { marginal } = probabilities
    const pathOf = (end: number) => ({
      path: tree.path(end),
      confidence: tree.pathIds(end).map((id) => marginal[id]!),
    })
    const paths = tree
      .ends(predictedNodes(model, probabilities, task.minConfidence))
      .map(pathOf)
      .sort((a, b) => b.confidence.at(-1)! - a.confidence.at(-1)!)
    return {
      index,
      path: paths[0]?.path ?? [],
      confidence: paths[0]?.confidence ?? [],
      abstained: paths.length === 0,
      paths,
      levels: levels.map((ids, level) => ({
        level: level + 1,
        labels: best(ids, marginal, task.topK).map((id) => ({ path: tree.path(id), probability: marginal[id]! })),
      })),
      top: topEnds(model, probabilities, task.topK).map(({ id, probability }) => ({
        path: tree.path(id),
        probability,
      })),
    }
  })
  return JSON.stringify(answers)
}

/** The `count` ids of largest value, largest first; ties by id. */
function best(ids: readonly number[], values: Float64Array, count: number): number[] {
  const top: number[] = []
  for (const id of ids) {
    if (top.length === count && values[id]! <= values[top[count - 1]!]!) continue
    let at = top.length
    while (at > 0 && values[top[at - 1]!]! < values[id]!) at--
    top.splice(at, 0, id)
    if (top.length > count) top.pop()
  }
  return top
}
