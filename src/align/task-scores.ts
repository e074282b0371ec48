/** How well a task's head answers labelled texts: the logits of a linear head become labels as its settings say, and are scored against the right ones. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { idSets, scoredIds } from '../evaluate/id-sets.ts'
import { computeMetrics } from '../evaluate/metrics.ts'
import { type Decoder, decode } from '../labels/decode.ts'
import type { HeadLayout } from '../labels/head-layout.ts'
import { LabelTree } from '../labels/label-tree.ts'
import { nodeProbabilities } from '../labels/node-probabilities.ts'
import { readLabelTree } from '../labels/read-label-tree.ts'
import type { Matrix } from '../tensor/linear-algebra/index.ts'
import { readJson } from '../util/json.ts'

export interface TaskScores {
  /** Share of rows whose predicted path (or set of paths) is the right one, 0 to 1. */
  readonly accuracy: number
  /** F1 over labels and their ancestors (Kiritchenko et al., 2006); where the tree has several levels. */
  readonly hierarchicalF1?: number
  /** Expected calibration error of the predicted paths' probabilities, 15 bins. */
  readonly ece?: number
}

/** What `classifier.json` says of how logits become labels; the parts that are read here. */
interface HeadSettings {
  layout: { activation: HeadLayout['activation']; unitNodes: number[]; groups: HeadLayout['groups'] }
  terminals: number[]
  temperature: number
  multiLabel: boolean
  thresholds?: number[]
  minConfidence?: number
  decoder?: Decoder
}

/** The label tree of a task and how its scores are read. */
export interface TaskJudge {
  readonly tree: LabelTree
  /** Scores of logits, rows x units. @param gold per row the ids of its labels. */
  scores(logits: Matrix, gold: readonly (readonly number[])[]): TaskScores
}

/** The judge of the head in a folder `heads/NAME` of a multi-task model, or of a classifier's folder. */
export async function openJudge(folder: string): Promise<TaskJudge> {
  const file = join(folder, 'classifier.json')
  if (!(await stat(file).catch(() => undefined))) return plainJudge(folder)
  const tree = await readLabelTree(join(folder, 'labels.json'))
  return judgeOf(tree, (await readJson(file)) as unknown as HeadSettings)
}

/** Of a checkpoint that came without a label tree: its label names, one of them right. */
async function plainJudge(folder: string): Promise<TaskJudge> {
  const own = join(folder, 'head.json')
  const file = (await stat(own).catch(() => undefined)) ? own : join(folder, 'config.json')
  const { id2label } = (await readJson(file)) as { id2label: Record<string, string> }
  const names = Object.entries(id2label)
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([, name]) => name)
  const tree = LabelTree.fromPaths(names.map((name) => [name]))
  const unitNodes = names.map((name) => tree.find([name])!)
  const groups = [{ parent: -1, start: 0, end: names.length }]
  const terminals = [...unitNodes].sort((a, b) => a - b)
  return judgeOf(tree, {
    layout: { activation: 'softmax', unitNodes, groups },
    terminals,
    temperature: 1,
    multiLabel: false,
  })
}

function judgeOf(tree: LabelTree, settings: HeadSettings): TaskJudge {
  const { layout, temperature, multiLabel, minConfidence = 0 } = settings
  const probabilities = nodeProbabilities(
    { ...layout, unitNodes: Int32Array.from(layout.unitNodes) },
    tree,
    temperature,
  )
  const terminals = Int32Array.from(settings.terminals)
  const thresholds = Float64Array.from(settings.thresholds ?? [])
  const decoder: Decoder = settings.decoder ?? { name: multiLabel ? 'threshold' : 'leaf-up' }
  return {
    tree,
    scores({ rows, columns, data }, gold) {
      const predicted: number[][] = []
      const confidence: number[][] = []
      for (let row = 0; row < rows; row++) {
        const nodes = probabilities(Float32Array.from(data.subarray(row * columns, (row + 1) * columns)))
        const ids = decode(decoder, tree, terminals, thresholds, nodes, minConfidence)
        predicted.push(ids)
        confidence.push(ids.map((id) => Math.min(1, nodes.marginal[id]!)))
      }
      const { exactPath, hierarchical, ece } = computeMetrics({
        tree,
        gold: idSets(gold.map((ids) => tree.closure(ids))),
        predicted: scoredIds(predicted, confidence),
      })
      return {
        accuracy: exactPath,
        ...(tree.depth > 1 ? { hierarchicalF1: hierarchical.f1 } : {}),
        ...(ece === undefined ? {} : { ece }),
      }
    },
  }
}
