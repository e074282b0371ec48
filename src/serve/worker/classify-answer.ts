/** Scores to the JSON that /predict and /v1/classify send, written without the objects in between: those cost as much as the model does. */
import type { Classifier } from '../../classify/classifier.ts'
import { answerRows, type RowAnswer } from '../../classify/row-answer.ts'
import { type LabelJson, labelJson, listJson, numberJson } from './label-json.ts'
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
  const { settings, scorer, tree } = model
  const json = labelJson(tree)
  const { unitNodes } = settings.layout
  const rows: string[] = []
  const rawScores = tasks[0]!.rawScores
  if (scorer.rank) {
    if (rawScores) {
      const { offsets, units, logits } = await scorer.rank(texts, listed)
      for (let row = 0; row < texts.length; row++) {
        const [from, to] = [offsets[row]!, offsets[row + 1]!]
        const ids = units.subarray(from, to).map((unit) => unitNodes[unit]!)
        rows.push(scored(json, ids, logits.subarray(from, to)))
      }
    } else
      await answerRows(model, texts, { topK: listed }, ({ top }) => {
        const ids = top.map(({ id }) => id)
        const probabilities = top.map(({ probability }) => probability)
        rows.push(scored(json, ids, probabilities))
      })
  } else {
    const all = await scorer.score(texts)
    const terminals = Float64Array.from(model.terminals)
    const every = tree.nodes.map(({ id }) => id)
    for (let row = 0; row < texts.length; row++) {
      const logits = all.subarray(row * scorer.units, (row + 1) * scorer.units)
      const { marginal, ending } = model.probabilities(logits)
      if (rawScores) rows.push(scored(json, unitNodes, logits))
      else if (settings.multiLabel) rows.push(scored(json, every, marginal))
      else
        rows.push(
          scored(
            json,
            terminals,
            terminals.map((id) => ending[id]!),
          ),
        ) // prettier-ignore
    }
  }
  return bodiesOf(tasks, rows, (row) => row)
}

/** Labels with their scores, the best first, equal ones in the order given. */
function scored(json: LabelJson, ids: ArrayLike<number>, scores: ArrayLike<number>): string {
  const order = Array.from({ length: ids.length }, (_, index) => index).sort((a, b) => scores[b]! - scores[a]!)
  return listJson(order, (i) => `{"score":${numberJson(scores[i]!)},"label":${json.name(ids[i]!)}}`)
}

/** For each text its path, the probability of every label along it, all predicted paths, the best labels of every level, and whether the model abstains. */
export async function classifyBodies(
  model: Classifier,
  texts: readonly string[],
  tasks: readonly ClassifyTask[],
): Promise<string[]> {
  const { topK, minConfidence } = tasks[0]!
  const json = labelJson(model.tree)
  const isRanked = model.scorer.rank !== undefined
  const rows: string[] = []
  const options = { topK, ...(minConfidence === undefined ? {} : { minConfidence }) }
  await answerRows(model, texts, options, (answer) => rows.push(classified(json, isRanked, answer, topK)))
  return bodiesOf(tasks, rows, (row, index) => `{"index":${index},${row}}`)
}

/** The fields of an answer behind its index. */
function classified(json: LabelJson, isRanked: boolean, answer: RowAnswer, topK: number): string {
  const { tree } = json
  const { predicted, probability, top } = answer
  const ends = tree.ends(predicted).sort((a, b) => probability(b) - probability(a))
  const surePath = (end: number) =>
    `"path":${json.path(end)},"confidence":${listJson(tree.pathIds(end), (id) => numberJson(probability(id)))}`
  const sure = (id: number, value: number) => `{"path":${json.path(id)},"probability":${numberJson(value)}}`
  const paths = ends.map(surePath)
  const levels = isRanked ? knownLevels(json, top) : json.levels
  let text = `${paths[0] ?? '"path":[],"confidence":[]'},"abstained":${paths.length === 0}`
  text += `,"paths":${listJson(paths, (path) => `{${path}}`)},"levels":[`
  for (const [level, ids] of levels.entries()) {
    const labels = listJson(best(ids, probability, topK), ({ id, own }) => sure(id, own))
    text += `${level === 0 ? '' : ','}{"level":${level + 1},"labels":${labels}}`
  }
  return `${text}],"top":${listJson(top, ({ id, probability }) => sure(id, probability))}`
}

/** A model that ranks the best of very many knows nothing of the others. */
function knownLevels({ tree }: LabelJson, top: RowAnswer['top']): number[][] {
  const levels = Array.from({ length: tree.depth }, () => [] as number[])
  for (const id of tree.closure(top.map(({ id }) => id))) levels[tree.nodes[id]!.level - 1]!.push(id)
  return levels
}

/** The `count` ids of largest value, largest first; ties by id. */
function best(ids: readonly number[], value: (id: number) => number, count: number): { id: number; own: number }[] {
  const top: { id: number; own: number }[] = []
  let least = Number.NEGATIVE_INFINITY
  for (let i = 0; i < ids.length; i++) {
    const own = value(ids[i]!)
    if (top.length === count && own <= least) continue
    let at = top.length
    while (at > 0 && top[at - 1]!.own < own) at--
    top.splice(at, 0, { id: ids[i]!, own })
    if (top.length > count) top.pop()
    least = top.at(-1)!.own
  }
  return top
}

/** The rows of all tasks, dealt out: one JSON list for each. */
function bodiesOf(
  tasks: readonly { texts: readonly string[] }[],
  rows: readonly string[],
  finish: (row: string, index: number) => string,
): string[] {
  let at = 0
  return tasks.map(({ texts }) => {
    const own = rows.slice(at, at + texts.length)
    at += texts.length
    return `[${own.map(finish).join(',')}]`
  })
}
