/** Trains and plans the scorer of the method `xr-linear`. */
import type { HeadLayout } from '../labels/head-layout.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import type { XrTree } from '../models/xr-tree.ts'
import { trainXrLinear } from '../train/xr-linear/train-xr-linear.ts'
import type { XrOptions } from '../train/xr-linear/xr-options.ts'
import type { OwnTraining } from './head-method.ts'
import type { TrainingCost } from './plan-encoder.ts'
import type { Scorer } from './scorer.ts'
import type { LabelledTexts } from './training-data.ts'
import { xrLinearScorer } from './xr-linear-scorer.ts'

/** The method's options: those of the trainer, with what the data decides left open. */
export interface XrMethodOptions extends Omit<XrOptions, 'features'> {
  readonly features: 'auto' | 'words' | 'characters'
  readonly tree: 'learnt' | 'labels'
}

/** Characters of all texts from which words alone are worth their loss of accuracy: beyond, character n-grams fill gigabytes. */
const charactersForWords = 4_000_000

const charactersOf = (texts: readonly string[]): number => texts.reduce((sum, text) => sum + text.length, 0)

function settled({ features, ...options }: XrMethodOptions, texts: readonly string[]): XrOptions {
  if (features !== 'auto') return { ...options, features }
  return { ...options, features: charactersOf(texts) > charactersForWords ? 'words' : 'characters' }
}

export async function trainXrLinearScorer(
  { tree, layout, train, options, workFolder }: OwnTraining,
  method: XrMethodOptions,
): Promise<Scorer> {
  const trainer = settled(method, train.texts)
  const { model, facts } = await trainXrLinear(
    {
      texts: train.texts,
      labels: unitLabels(layout, train.labels),
      units: layout.unitNodes.length,
      ...(method.tree === 'labels' ? { tree: treeOfLabels(tree, layout) } : {}),
      options: trainer,
      seed: options.seed ?? 0,
      ...(options.threads === undefined ? {} : { threads: options.threads }),
      ...(workFolder === undefined ? {} : { workFolder }),
    },
    options,
  )
  return xrLinearScorer(model, layout.activation === 'sigmoid', { ...facts, featureKind: trainer.features })
}

/** The units of each row's labels, in compressed form. */
function unitLabels(layout: HeadLayout, rows: readonly (readonly number[])[]) {
  const unitOf = new Map(Array.from(layout.unitNodes, (node, unit) => [node, unit]))
  const offsets = new Uint32Array(rows.length + 1)
  for (const [row, labels] of rows.entries()) offsets[row + 1] = offsets[row]! + labels.length
  const labels = new Uint32Array(offsets[rows.length]!)
  let at = 0
  for (const row of rows) for (const label of row) labels[at++] = unitOf.get(label)!
  return { offsets, labels }
}

/** The label tree as a search tree: a node for every label that has children; one at which paths may also end has itself as a child too. */
function treeOfLabels(tree: LabelTree, { unitNodes }: HeadLayout): XrTree {
  const unitOf = new Map(Array.from(unitNodes, (node, unit) => [node, unit]))
  const inner = tree.nodes.filter(({ children }) => children.length > 0)
  const nodeOf = new Map(inner.map(({ id }, index) => [id, index + 1]))
  const nodes = inner.length + 1
  const childStart = new Uint32Array(nodes + 1)
  const targets: number[] = []
  for (const [node, id] of [-1, ...inner.map((label) => label.id)].entries()) {
    childStart[node] = targets.length
    // A label with several parents stands below the first.
    const children =
      id < 0 ? tree.roots : tree.nodes[id]!.children.filter((child) => tree.nodes[child]!.parents[0] === id)
    for (const child of children) targets.push(nodeOf.get(child) ?? nodes + unitOf.get(child)!)
    if (id >= 0 && unitOf.has(id)) targets.push(nodes + unitOf.get(id)!)
  }
  childStart[nodes] = targets.length
  return { childStart, targets: Uint32Array.from(targets) }
}

/** Estimates: entries of a row's features for each of its characters, passes of the solver, seconds for an entry against 16 labels, bytes of a weight. */
const entriesPerCharacter = { words: 0.2, characters: 4.2 } as const
const passes = 6
const secondsPerEntry = 8e-9
const secondsPerCharacter = 1.5e-6
const weightsPerLabel = { words: 60, characters: 400 } as const
const bytesPerWeight = 5
const processBytes = 150e6

export function planXrLinear(
  layout: HeadLayout,
  { texts, labels }: LabelledTexts,
  threads: number,
  method: XrMethodOptions,
): TrainingCost {
  const { features, branching, leafSize } = settled(method, texts)
  const units = layout.unitNodes.length
  const characters = charactersOf(texts)
  const entries = characters * entriesPerCharacter[features]
  const perRow = labels.reduce((sum, row) => sum + row.length, 0) / Math.max(1, texts.length)
  const levels = 1 + Math.ceil(Math.log2(Math.max(1, units / leafSize)) / Math.log2(branching))
  const blocks = levels - 1 + Math.ceil(Math.min(units, leafSize) / 16)
  const parameters = Math.round(units * weightsPerLabel[features])
  const vocabulary = Math.min(2e6, entries / 10)
  return {
    steps: Math.ceil(units / leafSize) * 2,
    parameters,
    peakMemoryBytes:
      processBytes + 3 * characters + entries * 32 + threads * (entries * 4 + texts.length * 80 + vocabulary * 64),
    seconds: characters * secondsPerCharacter + (entries * perRow * passes * blocks * secondsPerEntry) / threads,
    weightBytes: Math.round(parameters * bytesPerWeight + vocabulary * 8),
  }
}
