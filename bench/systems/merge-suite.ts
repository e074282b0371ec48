/**
 * The reference suite of the merging benchmarks: a small encoder (`mini`) trained on bank queries and two domains of CLINC150, six specialists
 * fine-tuned from it on one further domain each (15 intents, 100 texts an intent), and two domains that nobody was trained on. Which domain
 * plays which role is drawn by the seed. Trained once for each seed into `bench/.cache/merge-suite`, about a minute of one core each.
 *
 *     npx tsx bench/systems/merge-suite.ts [--data ../shared/data] [--seeds 0,1,2]
 *
 * writes docs/results/merge-suite.md: what the specialists, the base and the plain merges reach.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { openCheckpoint } from '../../dist/checkpoint/checkpoint.js'
import { writeCheckpoint } from '../../dist/checkpoint/write-checkpoint.js'
import { linear, type MergeMethod, type ModelToMerge, merge, taskArithmetic, ties } from '../../dist/index.js'
import type { HeadLayout, HeadTargets } from '../../dist/labels/head-layout.js'
import {
  type EncoderConfig,
  encoderModel,
  miniConfig,
  openEncoder,
  readEncoderConfig,
} from '../../dist/models/index.js'
import { permutation, random } from '../../dist/tensor/random.js'
import { loadTokenizer, type Tokenizer, tokenizerFrom } from '../../dist/text/tokenizer.js'
import { trainWordPiece } from '../../dist/text/train-wordpiece.js'
import { packTokens } from '../../dist/train/batches.js'
import { scratchDefaults } from '../../dist/train/encoder-job.js'
import { trainEncoder } from '../../dist/train/train-encoder.js'
import { mean, provenance, spread, table, writePage } from '../results-page.ts'

/** What is trained, and how: a change makes new models. */
const settings = {
  vocabulary: 3000,
  layers: 2,
  hiddenSize: 64,
  heads: 4,
  intermediateSize: 128,
  maxLength: 32,
  baseEpochs: 4,
  taskEpochs: 6,
  baseRate: 1e-3,
  taskRate: 1e-3,
  tasks: 6,
  heldOut: 2,
}

export interface Rows {
  /** Token ids of each text. */
  readonly tokens: readonly Int32Array[]
  /** The right label of each, as its number in the task. */
  readonly targets: Int32Array
}

/** A classification task: one domain and its intents. */
export interface SuiteTask {
  readonly name: string
  readonly labels: readonly string[]
  readonly train: Rows
  readonly validation: Rows
  readonly test: Rows
}

/** Parameters by name, as in the checkpoint; the classifier is not among them. */
export type Weights = ReadonlyMap<string, Float32Array>

export interface Head {
  /** [labels, hidden size] */
  readonly weight: Float32Array
  readonly bias: Float32Array
}

export interface Specialist extends SuiteTask {
  readonly folder: string
  readonly head: Head
}

type Split = 'train' | 'validation' | 'test'

interface Row {
  text: string
  labels: string[][]
}

const rowsOf = (file: string): Row[] =>
  gunzipSync(readFileSync(file))
    .toString('utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Row)

/** The encoder's weights of a checkpoint, without its classifier unless asked for. */
export async function readWeights(folder: string, head = false): Promise<Map<string, Float32Array>> {
  const checkpoint = await openCheckpoint(folder)
  const weights = new Map<string, Float32Array>()
  for (const name of checkpoint.tensors.keys())
    if (head || !name.startsWith('classifier.')) weights.set(name, await checkpoint.readFloat32(name))
  await checkpoint.close()
  return weights
}

/** base + lambda * (merged - base) */
export function scaled(base: Weights, merged: Weights, lambda: number): Map<string, Float32Array> {
  return new Map(
    Array.from(merged, ([name, values]) => {
      const origin = base.get(name)!
      return [name, values.map((value, i) => origin[i]! + lambda * (value - origin[i]!))]
    }),
  )
}

/** Runs texts through an encoder whose weights change from call to call. */
export class Features {
  private readonly weights: Map<string, Float32Array>
  private readonly runtime: Awaited<ReturnType<typeof openEncoder>>

  private constructor(weights: Map<string, Float32Array>, runtime: Awaited<ReturnType<typeof openEncoder>>) {
    this.weights = weights
    this.runtime = runtime
  }

  static async open(config: EncoderConfig): Promise<Features> {
    const model = encoderModel(config, { pooling: 'mean' })
    const length = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1)
    const weights = new Map(model.parameters.map(({ name, shape }) => [name, new Float32Array(length(shape))]))
    return new Features(weights, await openEncoder(model, weights, 'pooled'))
  }

  /** The pooled vector of each text. */
  async of(weights: Weights, tokens: readonly Int32Array[]): Promise<Float32Array[]> {
    for (const [name, target] of this.weights) target.set(weights.get(name)!)
    return this.runtime.run(tokens, { batchSize: 64 })
  }

  close(): Promise<void> {
    return this.runtime.close()
  }
}

const classify = (features: Float32Array, { weight, bias }: Head): number => {
  let best = 0
  let highest = Number.NEGATIVE_INFINITY
  for (let unit = 0; unit < bias.length; unit++) {
    let score = bias[unit]!
    for (let j = 0; j < features.length; j++) score += weight[unit * features.length + j]! * features[j]!
    if (score > highest) [best, highest] = [unit, score]
  }
  return best
}

export interface Score {
  readonly accuracy: number
  /** In nats. */
  readonly loss: number
}

function scoreOf(features: readonly Float32Array[], { weight, bias }: Head, targets: Int32Array): Score {
  let [hits, loss] = [0, 0]
  for (const [i, vector] of features.entries()) {
    const scores = Array.from(bias, (start, unit) =>
      vector.reduce((sum, x, j) => sum + x * weight[unit * vector.length + j]!, start),
    )
    const top = Math.max(...scores)
    loss += top + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - top), 0)) - scores[targets[i]!]!
    if (scores.indexOf(top) === targets[i]) hits++
  }
  return { accuracy: hits / targets.length, loss: loss / targets.length }
}

export const accuracyOf = (features: readonly Float32Array[], head: Head, targets: Int32Array): number =>
  features.filter((vector, i) => classify(vector, head) === targets[i]).length / targets.length

export class MergeSuite {
  readonly seed: number
  readonly folder: string
  readonly baseFolder: string
  readonly config: EncoderConfig
  readonly base: Weights
  readonly specialists: readonly Specialist[]
  readonly heldOut: readonly SuiteTask[]
  private readonly features: Features

  constructor(parts: Omit<MergeSuite, keyof MethodsOf> & { features: Features }) {
    this.seed = parts.seed
    this.folder = parts.folder
    this.baseFolder = parts.baseFolder
    this.config = parts.config
    this.base = parts.base
    this.specialists = parts.specialists
    this.heldOut = parts.heldOut
    this.features = parts.features
  }

  /** The share of right answers on each task, with the heads of the specialists on one encoder. */
  accuracies(weights: Weights, split: Split = 'test', tasks: readonly Specialist[] = this.specialists) {
    return this.accuraciesFor(() => weights, split, tasks)
  }

  /** As `accuracies`, with an encoder of its own for each task. */
  async accuraciesFor(
    weightsOf: (task: Specialist, index: number) => Weights | Promise<Weights>,
    split: Split = 'test',
    tasks: readonly Specialist[] = this.specialists,
  ): Promise<number[]> {
    const result: number[] = []
    for (const [index, task] of tasks.entries()) {
      const { tokens, targets } = task[split]
      const features = await this.features.of(await weightsOf(task, index), tokens)
      result.push(accuracyOf(features, task.head, targets))
    }
    return result
  }

  /** The mean of `accuracies`. */
  async accuracy(weights: Weights, split: Split = 'test', tasks = this.specialists): Promise<number> {
    return mean(await this.accuracies(weights, split, tasks))
  }

  /** Mean accuracy and negative log-likelihood of the right answers, on `count` texts of each task. */
  async fitness(weights: Weights, split: Split, count: number): Promise<Score> {
    const scores: Score[] = []
    for (const task of this.specialists) {
      const rows = task[split]
      const part = {
        tokens: everyNth(rows.tokens, count),
        targets: Int32Array.from(everyNth(Array.from(rows.targets), count)),
      }
      scores.push(scoreOf(await this.features.of(weights, part.tokens), task.head, part.targets))
    }
    return { accuracy: mean(scores.map((score) => score.accuracy)), loss: mean(scores.map((score) => score.loss)) }
  }

  /** The same for one task; a classifier among the weights takes the place of the task's. */
  async score(weights: Weights, task: Specialist, split: Split): Promise<Score> {
    const [weight, bias] = [weights.get('classifier.weight'), weights.get('classifier.bias')]
    const { tokens, targets } = task[split]
    return scoreOf(await this.features.of(weights, tokens), weight && bias ? { weight, bias } : task.head, targets)
  }

  /** The pooled vectors of texts. */
  pooled(weights: Weights, tokens: readonly Int32Array[]): Promise<Float32Array[]> {
    return this.features.of(weights, tokens)
  }

  /** Accuracy of a linear probe (ridge regression) on frozen features, from `shots` texts of each label. */
  async probe(weights: Weights, task: SuiteTask, shots = 25): Promise<number> {
    const seen = new Map<number, number>()
    const chosen = Array.from(task.train.targets.keys()).filter((i) => {
      const count = seen.get(task.train.targets[i]!) ?? 0
      seen.set(task.train.targets[i]!, count + 1)
      return count < shots
    })
    const train = await this.features.of(
      weights,
      chosen.map((i) => task.train.tokens[i]!),
    )
    const head = ridge(
      train,
      Int32Array.from(chosen, (i) => task.train.targets[i]!),
      task.labels.length,
    )
    return accuracyOf(await this.features.of(weights, task.test.tokens), head, task.test.targets)
  }

  /** Merges specialists (default: all) by the engine and reads the result. */
  async merge(
    method: MergeMethod,
    tasks: readonly Specialist[] = this.specialists,
    options: { base?: boolean; seed?: number; settings?: readonly object[] } = {},
  ): Promise<Map<string, Float32Array>> {
    return mergeFolders(
      method,
      tasks.map(({ folder }, i) => ({ model: folder, ...options.settings?.[i] })),
      {
        ...(options.base === false ? {} : { base: this.baseFolder }),
        seed: options.seed ?? this.seed,
      },
    )
  }

  /** Tries scales of what the merge changed on the validation split; gives the best one and its weights. */
  async chooseLambda(
    merged: Weights,
    grid: readonly number[] = lambdas,
  ): Promise<{ lambda: number; weights: Map<string, Float32Array> }> {
    let best = { lambda: Number.NaN, accuracy: -1 }
    for (const lambda of grid) {
      const accuracy = await this.accuracy(scaled(this.base, merged, lambda), 'validation')
      if (accuracy > best.accuracy) best = { lambda, accuracy }
    }
    return { lambda: best.lambda, weights: scaled(this.base, merged, best.lambda) }
  }

  close(): Promise<void> {
    return this.features.close()
  }
}

type MethodsOf = {
  [Key in keyof MergeSuite as MergeSuite[Key] extends (...args: never[]) => unknown ? Key : never]: MergeSuite[Key]
}

/** Scales that are tried where a method has one. */
export const lambdas = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.3, 1.6, 2, 2.5, 3]

const everyNth = <T>(values: readonly T[], count: number): T[] =>
  Array.from({ length: count }, (_, i) => values[Math.floor((i * values.length) / count)]!)

/** Methods that are not those of the catalogue run where they are called: models this small are merged sooner than a thread starts. */
export const inThisThread = (method: MergeMethod): MergeMethod => ({ ...method, definition: { ...method.definition } })

/** Merges folders into a temporary one and reads the result; with `head` the classifiers of one task are merged and read too. */
export async function mergeFolders(
  method: MergeMethod,
  models: readonly ModelToMerge[],
  { head = false, ...options }: { base?: string; seed?: number; head?: boolean },
): Promise<Map<string, Float32Array>> {
  const folder = await mkdtemp(join(tmpdir(), 'espalier-suite-'))
  try {
    await merge(models, {
      ...options,
      method: inThisThread(method),
      out: join(folder, 'merged'),
      ...(head ? {} : { head: { kind: 'keep-per-task' as const } }),
      threads: 1,
    })
    return await readWeights(join(folder, 'merged'), head)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** One-hot ridge regression on centred features. */
function ridge(features: readonly Float32Array[], targets: Int32Array, units: number): Head {
  const n = features[0]!.length
  const center = new Float64Array(n)
  for (const vector of features) for (let j = 0; j < n; j++) center[j]! += vector[j]! / features.length
  const a = Array.from({ length: n }, () => new Float64Array(n + units))
  for (const [i, vector] of features.entries())
    for (let j = 0; j < n; j++) {
      const x = vector[j]! - center[j]!
      for (let k = 0; k < n; k++) a[j]![k]! += x * (vector[k]! - center[k]!)
      a[j]![n + targets[i]!]! += x
    }
  const strength = (0.1 * a.reduce((sum, row, j) => sum + row[j]!, 0)) / n
  for (let j = 0; j < n; j++) a[j]![j]! += strength
  // Symmetric and positive: elimination needs no pivots.
  for (let j = 0; j < n; j++) {
    const pivot = a[j]![j]!
    for (let k = j; k < n + units; k++) a[j]![k]! /= pivot
    for (let i = 0; i < n; i++) {
      const factor = a[i]![j]!
      if (i !== j && factor !== 0) for (let k = j; k < n + units; k++) a[i]![k]! -= factor * a[j]![k]!
    }
  }
  const weight = new Float32Array(units * n)
  for (let unit = 0; unit < units; unit++) for (let j = 0; j < n; j++) weight[unit * n + j] = a[j]![n + unit]!
  const counts = new Float64Array(units)
  for (const target of targets) counts[target]!++
  const bias = Float32Array.from(counts, (count, unit) =>
    center.reduce((sum, x, j) => sum - x * weight[unit * n + j]!, count / targets.length),
  )
  return { weight, bias }
}

/** Widths of the encoder: `wide` is twice `small` (the default). */
export type SuiteSize = 'small' | 'wide'

export interface SuiteOptions {
  size?: SuiteSize
  data?: string
  cache?: string
  seed: number
}

interface Roles {
  base: string[]
  tasks: string[]
  heldOut: string[]
}

function rolesOf(domains: readonly string[], seed: number): Roles {
  const order = Array.from(permutation(domains.length, random(seed, 'merge suite')), (i) => domains[i]!)
  const { tasks, heldOut } = settings
  return {
    tasks: order.slice(0, tasks),
    heldOut: order.slice(tasks, tasks + heldOut),
    base: order.slice(tasks + heldOut),
  }
}

/** Opens the suite of a seed; trains it first if the cache lacks it. */
export async function openSuite({
  data = '../shared/data',
  cache = 'bench/.cache',
  seed,
  size = 'small',
}: SuiteOptions): Promise<MergeSuite> {
  const clinc = Object.fromEntries(
    (['train', 'dev', 'test'] as const).map((split) => [split, rowsOf(join(data, 'clinc150', `${split}.jsonl.gz`))]),
  ) as Record<'train' | 'dev' | 'test', Row[]>
  const domains = [...new Set(clinc.train.map(({ labels }) => labels[0]![0]!))].sort()
  const roles = rolesOf(domains, seed)
  const key = createHash('sha256').update(JSON.stringify({ settings, roles })).digest('hex').slice(0, 8)
  const folder = join(cache, 'merge-suite', `${seed}-${key}${size === 'small' ? '' : `-${size}`}`)
  const factor = size === 'wide' ? 2 : 1
  const baseFolder = join(folder, 'base')
  const ofDomain = (rows: readonly Row[], domain: string) => rows.filter(({ labels }) => labels[0]![0] === domain)
  if (!existsSync(baseFolder)) {
    const banking = rowsOf(join(data, 'banking77', 'train.jsonl.gz'))
    const texts = [...banking, ...clinc.train].map(({ text }) => text)
    const json = trainWordPiece(texts, { vocabularySize: settings.vocabulary })
    const tokenizer = await tokenizerFrom(json)
    const { layers, hiddenSize, heads, intermediateSize, maxLength } = settings
    const config = miniConfig({
      vocabularySize: tokenizer.vocabularySize,
      padTokenId: tokenizer.padId,
      layers,
      hiddenSize: factor * hiddenSize,
      heads,
      intermediateSize: factor * intermediateSize,
      maxLength,
    })
    const rows = [...banking, ...roles.base.flatMap((domain) => ofDomain(clinc.train, domain))]
    await trainInto(baseFolder, { config }, taskRows(rows, tokenizer), {
      epochs: settings.baseEpochs,
      learningRate: settings.baseRate,
      seed,
      files: { 'tokenizer.json': `${JSON.stringify(json)}\n` },
    })
  }
  const tokenizer = await loadTokenizer(baseFolder)
  const taskOf = (name: string): SuiteTask => {
    const labels = [...new Set(ofDomain(clinc.train, name).map(leafOf))].sort()
    const part = (rows: readonly Row[]) => taskRows(ofDomain(rows, name), tokenizer, labels)
    return { name, labels, train: part(clinc.train), validation: part(clinc.dev), test: part(clinc.test) }
  }
  const specialists: Specialist[] = []
  for (const name of roles.tasks) {
    const task = taskOf(name)
    const target = join(folder, name)
    if (!existsSync(target))
      await trainInto(target, { folder: baseFolder }, task.train, {
        epochs: settings.taskEpochs,
        seed,
        copyFrom: baseFolder,
        labels: task.labels,
      })
    specialists.push({ ...task, folder: target, head: await readHead(target) })
  }
  const config = readEncoderConfig(JSON.parse(readFileSync(join(baseFolder, 'config.json'), 'utf8')))
  return new MergeSuite({
    seed,
    folder,
    baseFolder,
    config,
    base: await readWeights(baseFolder),
    specialists,
    heldOut: roles.heldOut.map(taskOf),
    features: await Features.open(config),
  })
}

const leafOf = ({ labels }: Row): string => labels[0]!.join(' > ')

function taskRows(rows: readonly Row[], tokenizer: Tokenizer, labels?: readonly string[]): Rows {
  const names = labels ?? [...new Set(rows.map(leafOf))].sort()
  const numbers = new Map(names.map((name, i) => [name, i]))
  return {
    tokens: rows.map(({ text }) => tokenizer.encode(text, settings.maxLength)),
    targets: Int32Array.from(rows, (row) => numbers.get(leafOf(row))!),
  }
}

/** The classifier of a checkpoint. */
export async function readHead(folder: string): Promise<Head> {
  const checkpoint = await openCheckpoint(folder)
  const head = {
    weight: await checkpoint.readFloat32('classifier.weight'),
    bias: await checkpoint.readFloat32('classifier.bias'),
  }
  await checkpoint.close()
  return head
}

export interface SuiteTraining {
  epochs: number
  seed: number
  schedule?: 'linear' | 'constant'
  learningRate?: number
  files?: Record<string, string>
  copyFrom?: string
  labels?: readonly string[]
}

/** One softmax over all labels, and the right one of each row. */
export function softmaxTargets(targets: Int32Array, units: number): { layout: HeadLayout; targets: HeadTargets } {
  const counts = Uint32Array.from({ length: targets.length + 1 }, (_, row) => row)
  return {
    layout: {
      activation: 'softmax',
      unitNodes: Int32Array.from({ length: units }, (_, unit) => unit),
      groups: [{ parent: -1, start: 0, end: units }],
    },
    targets: {
      groupOffsets: counts,
      activeGroups: new Uint32Array(targets.length),
      unitOffsets: counts,
      rightUnits: Uint32Array.from(targets),
    },
  }
}

/** Trains an encoder with a head on rows and writes its checkpoint; a folder that is there is left as it is. */
export async function trainInto(
  folder: string,
  source: { config: EncoderConfig } | { folder: string },
  rows: Rows,
  { epochs, seed, schedule = 'linear', learningRate = settings.taskRate, files, copyFrom, labels }: SuiteTraining,
): Promise<void> {
  if (existsSync(folder)) return
  const units = rows.targets.reduce((most, target) => Math.max(most, target + 1), labels?.length ?? 0)
  const { patience: _, ...defaults } = scratchDefaults
  const { layout, targets } = softmaxTargets(rows.targets, units)
  const result = await trainEncoder({
    ...{ source, pooling: 'mean' as const, layout },
    train: { rows: packTokens(rows.tokens), targets },
    options: { ...defaults, epochs, learningRate, schedule, seed, threads: 1 },
  })
  const model = encoderModel(result.config, { units, pooling: 'mean' })
  await writeCheckpoint(folder, {
    config: {
      ...result.config.source,
      ...(labels ? { id2label: Object.fromEntries(labels.map((label, i) => [i, label])) } : {}),
    },
    tensors: model.parameters.map(({ name, shape }) => ({
      name,
      dtype: 'F32' as const,
      shape: [...shape],
      data: result.weights.get(name)!,
    })),
    ...(files ? { files } : {}),
    ...(copyFrom === undefined ? {} : { copyFrom }),
  })
}

async function main(): Promise<void> {
  const { values: flags } = parseArgs({
    options: {
      data: { type: 'string', default: '../shared/data' },
      seeds: { type: 'string', default: '0,1,2' },
      out: { type: 'string', default: 'docs/results/merge-suite.md' },
    },
  })
  const columns: Record<string, number[]> = {}
  const note = (name: string, value: number) => {
    columns[name] = [...(columns[name] ?? []), value]
  }
  for (const seed of flags.seeds.split(',').map(Number)) {
    const start = performance.now()
    const suite = await openSuite({ data: flags.data, seed })
    console.error(`seed ${seed}: ready after ${((performance.now() - start) / 1000).toFixed(0)} s`)
    const experts = await Promise.all(suite.specialists.map(({ folder }) => readWeights(folder)))
    note('specialists, each on its task', mean(await suite.accuraciesFor((_, index) => experts[index]!)))
    note('base with their heads', await suite.accuracy(suite.base))
    note('average', await suite.accuracy(await suite.merge(linear(), undefined, { base: false })))
    const sum = await suite.merge(taskArithmetic())
    note('task arithmetic, λ by validation', await suite.accuracy((await suite.chooseLambda(sum)).weights))
    note(
      'TIES (density 0.2, whole model), λ 1',
      await suite.accuracy(await suite.merge(ties({ density: 0.2, scope: 'model' }))),
    )
    note('held-out tasks, 25-shot probe on the base', mean(await probes(suite, suite.base)))
    await suite.close()
    for (const [name, values] of Object.entries(columns)) console.error(`  ${name}: ${values.at(-1)!.toFixed(3)}`)
  }
  await writePage(
    flags.out,
    `# The merging suite

A small encoder (${settings.layers} layers x ${settings.hiddenSize}, ${settings.vocabulary.toLocaleString('en-US')} tokens, mean over tokens) trained ${settings.baseEpochs} epochs on Banking77 and two domains of CLINC150; six specialists,
fine-tuned ${settings.taskEpochs} epochs on one further domain each (15 intents, 100 training, 20 validation and 30 test texts an intent); two domains held out. The seed draws
which domain plays which role, the first weights and the order of the rows. Accuracy on the tests of the six tasks, each with its own
specialist's head; mean ± standard deviation over seeds ${flags.seeds}.

${table(
  ['encoder', 'accuracy'],
  Object.entries(columns).map(([name, values]) => [name, spread(values)]),
)}

The benchmarks of merge methods run on these models; see [merge-methods.md](merge-methods.md).

${provenance(`npx tsx bench/systems/merge-suite.ts --seeds ${flags.seeds}`).join('\n')}`,
  )
}

async function probes(suite: MergeSuite, weights: Weights): Promise<number[]> {
  const result: number[] = []
  for (const task of suite.heldOut) result.push(await suite.probe(weights, task))
  return result
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
