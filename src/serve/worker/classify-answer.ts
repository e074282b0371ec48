/** Scores to the JSON that /predict and /v1/classify send. */
import type { Classifier } from '../../classify/classifier.ts'
import { answerRows, type RowAnswer } from '../../classify/row-answer.ts'
import { formatPath } from '../../labels/label-tree.ts'
import type { ClassifyTask, PredictTask } from './protocol.ts'

/** Labels that /predict lists of a model which only ranks the best of very many. */
const listed = 100

/**
 * For each text every label with its score, the best first. Labels are the paths at which answers may end (with several labels a row: all paths);
 * scores are their probabilities. Raw scores are the logits of the head's outputs.
 */
export async function predictBodies(
  model: Classifier,
  texts: readonly string[],
  tasks: readonly PredictTask[],
): Promise<string[]> {
  const { tree, settings, scorer } = model
  const label = (id: number) => formatPath(tree.path(id))
  const { unitNodes } = settings.layout
  const rows: { score: number; label: string }[][] = []
  const rawScores = tasks[0]!.rawScores
  if (scorer.rank) {
    if (rawScores) {
      const { offsets, units, logits } = await scorer.rank(texts, listed)
      for (let row = 0; row < texts.length; row++)
        rows.push(
          Array.from(units.subarray(offsets[row]!, offsets[row + 1]!), (unit, i) => {
            return { score: logits[offsets[row]! + i]!, label: label(unitNodes[unit]!) }
          }),
        )
    } else
      await answerRows(model, texts, { topK: listed }, ({ top }) =>
        rows.push(top.map(({ id, probability }) => ({ score: probability, label: label(id) }))),
      )
  } else {
    const scores = await scorer.score(texts)
    for (let row = 0; row < texts.length; row++) {
      const logits = scores.subarray(row * scorer.units, (row + 1) * scorer.units)
      const { marginal, ending } = model.probabilities(logits)
      rows.push(
        rawScores
          ? unitNodes.map((id, unit) => ({ score: logits[unit]!, label: label(id) }))
          : settings.multiLabel
            ? tree.nodes.map(({ id }) => ({ score: marginal[id]!, label: label(id) }))
            : Array.from(model.terminals, (id) => ({ score: ending[id]!, label: label(id) })),
      )
    }
  }
  for (const row of rows) row.sort((a, b) => b.score - a.score)
  return bodiesOf(tasks, rows)
}

/** For each text its path, the probability of every label along it, all predicted paths, the best labels of every level, and whether the model abstains. */
export async function classifyBodies(
  model: Classifier,
  texts: readonly string[],
  tasks: readonly ClassifyTask[],
): Promise<string[]> {
  const { topK, minConfidence } = tasks[0]!
  const rows: object[] = []
  const options = { topK, ...(minConfidence === undefined ? {} : { minConfidence }) }
  await answerRows(model, texts, options, (answer) => rows.push(classified(model, answer, topK)))
  return bodiesOf(tasks, rows, (row, index) => ({ index, ...row }))
}

function classified(model: Classifier, answer: RowAnswer, topK: number): object {
  const { tree, scorer } = model
  const { predicted, probability, top } = answer
  const pathOf = (end: number) => ({ path: tree.path(end), confidence: tree.pathIds(end).map(probability) })
  const paths = tree
    .ends(predicted)
    .map(pathOf)
    .sort((a, b) => b.confidence.at(-1)! - a.confidence.at(-1)!)
  // A model that ranks the best of very many knows nothing of the others.
  const known = scorer.rank ? tree.closure(top.map(({ id }) => id)) : tree.nodes.map(({ id }) => id)
  const levels = Array.from({ length: tree.depth }, () => [] as number[])
  for (const id of known) levels[tree.nodes[id]!.level - 1]!.push(id)
  const scored = (id: number) => ({ path: tree.path(id), probability: probability(id) })
  return {
    path: paths[0]?.path ?? [],
    confidence: paths[0]?.confidence ?? [],
    abstained: paths.length === 0,
    paths,
    levels: levels.map((ids, level) => ({ level: level + 1, labels: best(ids, probability, topK).map(scored) })),
    top: top.map(({ id, probability }) => ({ path: tree.path(id), probability })),
  }
}

/** The `count` ids of largest value, largest first; ties by id. */
function best(ids: readonly number[], value: (id: number) => number, count: number): number[] {
  const top: { id: number; own: number }[] = []
  for (const id of ids) {
    const own = value(id)
    if (top.length === count && own <= top[count - 1]!.own) continue
    let at = top.length
    while (at > 0 && top[at - 1]!.own < own) at--
    top.splice(at, 0, { id, own })
    if (top.length > count) top.pop()
  }
  return top.map(({ id }) => id)
}

/** The rows of all tasks, dealt out: one JSON list for each. */
function bodiesOf(
  tasks: readonly { texts: readonly string[] }[],
  rows: readonly object[],
  finish: (row: object, index: number) => object = (row) => row,
): string[] {
  let at = 0
  return tasks.map(({ texts }) => {
    at += texts.length
    return JSON.stringify(rows.slice(at - texts.length, at).map(finish))
  })
}
