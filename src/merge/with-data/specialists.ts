/** What merging with data reads: fine-tuned classifiers of one architecture with their weights in memory, their base, and some rows of each one's task. */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Checkpoint, openCheckpoint } from '../../checkpoint/checkpoint.ts'
import type { Dataset } from '../../data/dataset.ts'
import type { HeadLayout } from '../../labels/head-layout.ts'
import { LabelTree } from '../../labels/label-tree.ts'
import { readLabelTree } from '../../labels/read-label-tree.ts'
import {
  type EncoderModel,
  encoderModel,
  loadWeights,
  type ParameterSpec,
  readEncoderConfig,
} from '../../models/index.ts'
import { permutation, random } from '../../tensor/random.ts'
import { loadTokenizer } from '../../text/tokenizer.ts'
import { InputError, throwIfAborted } from '../../util/errors.ts'
import { readJson } from '../../util/json.ts'
import type { RunOptions } from '../../util/progress.ts'
import { isHead } from '../plan/tensor-names.ts'

/** Weights by state dict key. */
export type Weights = Map<string, Float32Array>

/** Rows of a task, drawn from its data. */
export interface TaskRows {
  readonly texts: readonly string[]
  /** Token ids of each text, special ones included. */
  readonly tokens: readonly Int32Array[]
  /** Per row the ids of its labels in the model's tree; empty where the row has none. */
  readonly labels: readonly (readonly number[])[]
}

/** A fine-tuned classifier. */
export interface Specialist {
  readonly folder: string
  readonly model: EncoderModel
  readonly weights: Weights
  readonly layout: HeadLayout
  readonly tree: LabelTree
  readonly rows: TaskRows
}

export interface Specialists {
  readonly models: readonly Specialist[]
  /** The weights of the base by the same names; where it lacks one, the mean of the models. Undefined without a base. */
  readonly base: Weights | undefined
  /** Names of the parameters that are merged: all but the heads. */
  readonly shared: readonly string[]
  /** Shape by name, of shared parameters. */
  readonly shapes: ReadonlyMap<string, readonly number[]>
}

export interface OpenSpecialists extends RunOptions {
  base?: string
  data: readonly Dataset[]
  /** Rows of each task at most. */
  rows: number
  /** Draws the rows. */
  seed: number
  /** Whether labels are looked up in the model's tree; otherwise rows have none. */
  labels: boolean
}

const defaultMaxLength = 128

/** Whether a parameter is merged: heads stay with their tasks. */
const isShared = ({ name, part }: ParameterSpec): boolean => part !== 'classifier' && !isHead(bareName(name))

/** A parameter's name without the family's prefix, as merges compare names. */
export const bareName = (name: string): string => name.replace(/^(bert|roberta|distilbert)\./, '')

/**
 * Opens everything that a merge with data needs.
 * @throws InputError `MERGE_INPUT` for numbers that do not fit, `MODELS_DIFFER`, and those of reading models and data.
 */
export async function openSpecialists(folders: readonly string[], options: OpenSpecialists): Promise<Specialists> {
  const { data, base: baseFolder, signal } = options
  if (folders.length === 0)
    throw new InputError('MERGE_INPUT', 'Expected at least one model, received none', { help: 'name the models' })
  if (data.length !== folders.length)
    throw new InputError('MERGE_INPUT', `Expected data for each of ${folders.length} models, received ${data.length}`, {
      help: 'give one data set for each model, in their order',
    })
  const models: Specialist[] = []
  for (const [t, folder] of folders.entries()) {
    throwIfAborted(signal)
    models.push(await openSpecialist(folder, data[t]!, options))
  }
  const [first] = models
  for (const other of models) await checkAlike(first!, other)
  const shared = first!.model.parameters.filter(isShared)
  const base = baseFolder === undefined ? undefined : await openBase(baseFolder, models, options)
  return {
    models,
    base,
    shared: shared.map(({ name }) => name),
    shapes: new Map(shared.map(({ name, shape }) => [name, shape])),
  }
}

async function openSpecialist(name: string, data: Dataset, options: OpenSpecialists): Promise<Specialist> {
  const checkpoint = await openCheckpoint(name, options)
  const { folder } = checkpoint // where a model of the hub lies
  try {
    const config = readEncoderConfig(checkpoint.config, join(folder, 'config.json'))
    const { layout, tree, maxLength } = await labelsOf(folder, checkpoint)
    const model = encoderModel(config, { units: layout.unitNodes.length })
    if (model.readsIds)
      throw new InputError('MODEL_FORMAT', 'The head looks tokens up, which merging with data cannot feed', {
        where: { file: folder },
        help: 'merge it by a recipe, or train it with another --method than plant',
      })
    const weights = await loadWeights(model, checkpoint, options)
    const tokenizer = await loadTokenizer(folder)
    const drawn = await drawRows(data, options.rows, options.seed, options)
    const length = Math.min(maxLength, config.maxLength - model.prefix)
    const rows = {
      texts: drawn.map(({ text }) => text),
      tokens: drawn.map(({ text }) => tokenizer.encode(text, length)),
      labels: drawn.map(({ labels, file, line }) =>
        options.labels ? labels.map((path) => tree.resolve(path, { file, line })) : [],
      ),
    }
    return { folder, model, weights, layout, tree, rows }
  } finally {
    await checkpoint.close()
  }
}

/** How the outputs of a classifier are to be read: from our files, or from what config.json says of labels. */
async function labelsOf(
  folder: string,
  { config }: Checkpoint,
): Promise<{ layout: HeadLayout; tree: LabelTree; maxLength: number }> {
  const file = join(folder, 'classifier.json')
  if (await stat(file).catch(() => undefined)) {
    const { layout, maxLength = defaultMaxLength } = (await readJson(file)) as {
      layout: Omit<HeadLayout, 'unitNodes'> & { unitNodes: number[] }
      maxLength?: number
    }
    const tree = await readLabelTree(join(folder, 'labels.json'))
    return { layout: { ...layout, unitNodes: Int32Array.from(layout.unitNodes) }, tree, maxLength }
  }
  const entries = Object.entries((config['id2label'] ?? {}) as Record<string, unknown>)
  if (entries.length < 2)
    throw new InputError('MODEL_FORMAT', 'The model has no classification head', {
      where: { file: join(folder, 'config.json'), key: 'id2label' },
      help: 'merging with data needs fine-tuned classifiers',
    })
  const names = entries.sort(([a], [b]) => Number(a) - Number(b)).map(([, name]) => String(name))
  const tree = LabelTree.fromPaths(names.map((name) => [name]))
  const unitNodes = Int32Array.from(names, (name) => tree.find([name])!)
  const groups = [{ parent: -1, start: 0, end: names.length }]
  const activation = config['problem_type'] === 'multi_label_classification' ? 'sigmoid' : 'softmax'
  return { layout: { activation, unitNodes, groups }, tree, maxLength: defaultMaxLength }
}

/** `count` rows in a drawn order; the draw depends on the seed and the number of rows alone. */
async function drawRows(data: Dataset, count: number, seed: number, { signal }: RunOptions) {
  const rows: { text: string; labels: string[][]; file: string; line: number }[] = []
  for await (const { text, labels, file, line } of data) {
    throwIfAborted(signal)
    rows.push({ text, labels, file, line })
  }
  if (rows.length === 0)
    throw new InputError('DATA_EMPTY', 'There is no text to merge with', { where: { file: data.files[0] ?? '' } })
  const order = permutation(rows.length, random(seed, 'merge with data'))
  return Array.from(order.subarray(0, count), (i) => rows[i]!)
}

async function openBase(folder: string, models: readonly Specialist[], options: RunOptions): Promise<Weights> {
  const checkpoint = await openCheckpoint(folder, options)
  try {
    const [first] = models
    const config = readEncoderConfig(checkpoint.config, join(checkpoint.folder, 'config.json'))
    const model = encoderModel(config, { units: first!.model.head.units })
    const stored = new Set(Array.from(checkpoint.tensors.keys(), bareName))
    const weights = await loadWeights(model, checkpoint, { ...options, newClassifier: true })
    for (const { name, part } of first!.model.parameters)
      if (part === 'head' && !stored.has(bareName(name))) weights.set(name, meanWeights(models, name))
    for (const { name } of first!.model.parameters.filter(isShared))
      if (weights.get(name)?.length !== first!.weights.get(name)!.length) throw differ(folder, first!.folder, name)
    return weights
  } finally {
    await checkpoint.close()
  }
}

/** The mean of the models' values of a parameter. */
export function meanWeights(models: readonly { readonly weights: Weights }[], name: string): Float32Array {
  const sum = new Float64Array(models[0]!.weights.get(name)!.length)
  for (const { weights } of models) {
    const values = weights.get(name)!
    for (let i = 0; i < sum.length; i++) sum[i]! += values[i]!
  }
  return Float32Array.from(sum, (value) => value / models.length)
}

/** One architecture, size and tokenizer. */
async function checkAlike(first: Specialist, other: Specialist): Promise<void> {
  if (other === first) return
  for (const { name } of first.model.parameters.filter(isShared))
    if (other.weights.get(name)?.length !== first.weights.get(name)!.length)
      throw differ(other.folder, first.folder, name)
  const [a, b] = await Promise.all([first, other].map(({ folder }) => tokenizerText(folder)))
  if (a !== b)
    throw new InputError('MODELS_DIFFER', `The tokenizer is another one than that of ${first.folder}`, {
      where: { file: other.folder },
      help: 'merging with data needs models of one base and vocabulary',
    })
}

async function tokenizerText(folder: string): Promise<string | undefined> {
  for (const name of ['tokenizer.json', 'vocab.txt']) {
    const text = await readFile(join(folder, name), 'utf8').catch(() => undefined)
    if (text !== undefined) return text
  }
  return undefined
}

const differ = (folder: string, other: string, tensor: string) =>
  new InputError('MODELS_DIFFER', `This tensor differs in its shape from that of ${other}`, {
    where: { file: folder, tensor },
    help: 'merging with data needs models of one architecture, size and vocabulary',
  })
