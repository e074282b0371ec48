/** One text's answer in full: the predicted paths, and on the way down what else each level offered. */
import type { Classifier } from '../../classify/classifier.ts'
import { answerRows, type RowAnswer } from '../../classify/row-answer.ts'
import { InputError } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import type { Answer, LevelChoice } from './api.ts'
import { openModel } from './open-models.ts'

/** Labels shown on a level beside the chosen ones. */
const shownOptions = 6
const shownEnds = 8

export interface TextJob {
  folder: string
  /** A head of a merged model. */
  head?: string
  text: string
}

/** A model's answer for one text. */
export async function answerOf(model: Classifier, text: string, topK: number): Promise<RowAnswer> {
  if (text.trim() === '') throw new InputError('TEXT_EMPTY', 'The text is empty', { help: 'type a text' })
  let answer: RowAnswer | undefined
  await answerRows(model, [text], { topK }, (given) => {
    answer = given
  })
  return answer!
}

export async function answerText({ folder, head, text }: TextJob, options: RunOptions): Promise<Answer> {
  const model = await openModel(folder, head, options)
  const { tree, settings } = model
  const start = performance.now()
  const answer = await answerOf(model, text, shownEnds)
  const seconds = (performance.now() - start) / 1000
  const chosen = new Set(answer.predicted)
  const paths = tree
    .ends(answer.predicted)
    .map((end) => tree.pathIds(end))
    .map((ids) => ({
      ids,
      path: ids.map((id) => tree.nodes[id]!.name),
      confidence: ids.map((id) => Math.min(1, answer.probability(id))),
    }))
    .sort((a, b) => b.confidence.at(-1)! - a.confidence.at(-1)!)
  // Where nothing was predicted, the way that comes next is shown.
  const way = paths[0]?.ids ?? tree.pathIds(answer.top[0]!.id)
  const steps = [-1, ...way.filter((id) => tree.nodes[id]!.children.length > 0)]
  return {
    text,
    multiLabel: settings.multiLabel,
    paths,
    levels: steps.map((parent, index) => choices(model, answer, parent, index + 1, chosen)),
    top: answer.top.map(({ id, probability }) => ({ id, path: tree.path(id), probability })),
    seconds,
  }
}

/** The children of a label (-1: the root), most probable first. */
function choices(
  { tree }: Classifier,
  answer: RowAnswer,
  parent: number,
  level: number,
  chosen: ReadonlySet<number>,
): LevelChoice {
  const children = parent < 0 ? tree.roots : tree.nodes[parent]!.children
  const options = children
    .map((id) => {
      const { name, title } = tree.nodes[id]!
      return { id, name: title ?? name, probability: Math.min(1, answer.probability(id)), chosen: chosen.has(id) }
    })
    .sort((a, b) => b.probability - a.probability || a.id - b.id)
  const shown = options.filter((option, rank) => rank < shownOptions || option.chosen)
  const rest = options.filter((option) => !shown.includes(option))
  return {
    level,
    options: shown,
    others: { count: rest.length, probability: rest.reduce((sum, { probability }) => sum + probability, 0) },
  }
}
