/**
 * Multi-task models: one encoder and a head for each task, in one folder. The encoder stands where it does in any checkpoint, the head of task
 * NAME under `heads/NAME/`: its tensors, its label tree and how its scores become answers. A merge of classifiers makes such a folder.
 */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Checkpoint, openCheckpoint } from '../checkpoint/checkpoint.ts'
import { openSafetensors } from '../checkpoint/safetensors-file.ts'
import {
  type EncoderModel,
  type EncoderRuntime,
  encoderModel,
  loadWeights,
  openEncoder,
  readEncoderConfig,
  type TensorSource,
} from '../models/index.ts'
import { toFloat32 } from '../tensor/dtypes.ts'
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.ts'
import { recordFile } from '../util/atomic.ts'
import { InputError } from '../util/errors.ts'
import { readJson } from '../util/json.ts'
import { didYouMean } from '../util/suggest.ts'
import { Classifier, type ClassifierSettings, layoutOf, readClassifierFiles, settingsFile } from './classifier.ts'
import { classifierConfig, defaultMaxLength, encoderScorer, saveEncoderClassifier } from './encoder-scorer.ts'
import type { LoadOptions } from './load-classifier.ts'
import type { Prediction, PredictOptions } from './options.ts'
import { plainCheckpoint } from './plain-checkpoint.ts'
import { predict } from './predict.ts'
import type { Scorer } from './scorer.ts'

/** The folder of the heads inside of a multi-task model. */
export const headsFolder = 'heads'
export const headFile = 'head.safetensors'
export const headConfigFile = 'head.json'

/** Names of the tasks of a multi-task model, in order; empty for other folders. */
export async function taskNames(folder: string): Promise<string[]> {
  const entries = await readdir(join(folder, headsFolder), { withFileTypes: true }).catch(() => [])
  return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).sort()
}

export interface MultiTaskModel {
  readonly folder: string
  /** In alphabetical order. */
  readonly tasks: readonly string[]
  /**
   * The classifier of one task; it shares the encoder with the others and lives as long as the model.
   * @throws InputError `TASK_UNKNOWN`
   */
  classifier(task: string): Classifier
  /** Answers of every task; texts go through the shared encoder once. */
  predict(texts: readonly string[], options?: PredictOptions): Promise<Map<string, Prediction[]>>
  /** The vectors that the heads read, one for each text. @throws InputError `HEADS_DEEP` if the heads are more than a last linear map. */
  features(texts: readonly string[], options?: PredictOptions): Promise<Float32Array[]>
  close(): Promise<void>
}

/**
 * Opens a multi-task model.
 * @param options.tasks opens only these heads; default all.
 * @throws InputError `TASK_UNKNOWN`, `MODEL_FORMAT` if the folder has no heads, and those of `loadClassifier`.
 * @example
 * const model = await loadTasks('merged')
 * model.tasks // ['banking77', 'trec']
 * const [answer] = await predict(model.classifier('trec'), ['Who wrote Ulysses ?'])
 * const all = await model.predict(['Who wrote Ulysses ?']) // by task
 */
export async function loadTasks(
  folder: string,
  options: LoadOptions & { tasks?: readonly string[] } = {},
): Promise<MultiTaskModel> {
  const known = await taskNames(folder)
  if (known.length === 0)
    throw new InputError('MODEL_FORMAT', 'The folder holds no multi-task model: it has no heads', {
      where: { file: join(folder, headsFolder) },
      help: 'merge classifiers with different labels to make one: espalier merge RECIPE.yml OUT',
    })
  const tasks = options.tasks ?? known
  for (const task of tasks) checkTask(task, known, folder)
  const checkpoint = await openCheckpoint(folder, options)
  try {
    const tokenizer = await loadTokenizer(folder)
    const heads: TaskHead[] = []
    for (const task of tasks) heads.push(await readHead(folder, task, checkpoint))
    return await MultiTask.open(folder, heads, checkpoint, tokenizer, options)
  } finally {
    await checkpoint.close()
  }
}

/** The classifier of one task alone; closing it closes the encoder. */
export async function openTask(folder: string, task: string, options: LoadOptions = {}): Promise<Classifier> {
  const model = await loadTasks(folder, { ...options, tasks: [task] })
  const { tree, settings, scorer, record } = model.classifier(task)
  return new Classifier(tree, settings, { ...scorer, close: () => model.close() }, record)
}

function checkTask(task: string, known: readonly string[], folder: string): void {
  if (known.includes(task)) return
  throw new InputError('TASK_UNKNOWN', `The model has no task "${task}"`, {
    where: { file: join(folder, headsFolder) },
    help: didYouMean(task, [...known], `tasks: ${known.join(', ')}`),
    data: { known },
  })
}

interface TaskHead extends Awaited<ReturnType<typeof readClassifierFiles>> {
  readonly task: string
  readonly folder: string
  /** By state dict key. */
  readonly tensors: ReadonlyMap<string, { shape: readonly number[]; values: Float32Array }>
  /** config.json of the encoder with the labels of this head. */
  readonly config: Record<string, unknown>
  /** What made the merged model. */
  readonly record: Record<string, unknown>
}

async function readHead(folder: string, task: string, checkpoint: Checkpoint): Promise<TaskHead> {
  const target = join(folder, headsFolder, task)
  const tensors = new Map<string, { shape: readonly number[]; values: Float32Array }>()
  const file = await openSafetensors(join(target, headFile))
  try {
    for (const [name, { bytes, dtype, shape }] of file.tensors) {
      const data = new Uint8Array(bytes)
      await file.readInto(name, data)
      tensors.set(name, { shape, values: toFloat32(data, dtype) })
    }
  } finally {
    await file.close()
  }
  const configFile = join(target, headConfigFile)
  const config = { ...checkpoint.config, ...((await readJson(configFile)) as object) }
  const trained = await stat(join(target, settingsFile)).catch(() => undefined)
  const files = trained ? await readClassifierFiles(target) : plainCheckpoint(config, configFile)
  const record = (await readJson(join(folder, recordFile)).catch(() => ({}))) as Record<string, unknown>
  return { task, folder: target, tensors, config, record, ...files }
}

class MultiTask implements MultiTaskModel {
  readonly folder: string
  readonly tasks: readonly string[]
  readonly #classifiers: ReadonlyMap<string, Classifier>
  readonly #shared: SharedEncoder | undefined

  private constructor(folder: string, classifiers: ReadonlyMap<string, Classifier>, shared: SharedEncoder | undefined) {
    this.folder = folder
    this.tasks = [...classifiers.keys()]
    this.#classifiers = classifiers
    this.#shared = shared
  }

  static async open(
    folder: string,
    heads: readonly TaskHead[],
    checkpoint: Checkpoint,
    tokenizer: Tokenizer,
    options: LoadOptions,
  ): Promise<MultiTask> {
    const config = readEncoderConfig(checkpoint.config, join(folder, 'config.json'))
    // One read and one copy of every encoder tensor, however many heads ask for it.
    const read = new Map<string, Promise<Float32Array>>()
    const sharedTensor = (name: string) => {
      const values = read.get(name) ?? checkpoint.readFloat32(name)
      read.set(name, values)
      return values
    }
    let shared: SharedEncoder | undefined
    const classifiers = new Map<string, Classifier>()
    for (const head of heads) {
      const { task, tree, settings, tensors } = head
      const model = encoderModel(config, { units: settings.layout.unitNodes.length })
      const source: TensorSource = {
        folder: head.folder,
        tensors: new Map<string, { readonly shape: readonly number[] }>([...checkpoint.tensors, ...tensors]),
        readFloat32: async (name) => tensors.get(name)?.values ?? sharedTensor(name),
      }
      const weights = await loadWeights(model, source, options)
      const maxLength = Math.min(settings.maxLength ?? defaultMaxLength, config.maxLength)
      const threads = options.threads ?? 1
      const own = { model, weights, tokenizer, maxLength, config: headConfig(head, config), threads }
      if (isLinear(model, tensors)) {
        shared ??= new SharedEncoder(await openEncoder(model, weights, 'pooled', { ...options, threads }), tokenizer)
        classifiers.set(task, new Classifier(tree, settings, headScorer(own, shared), head.record))
      } else classifiers.set(task, new Classifier(tree, settings, await encoderScorer(own, options), head.record))
    }
    return new MultiTask(folder, classifiers, shared)
  }

  classifier(task: string): Classifier {
    checkTask(task, this.tasks, this.folder)
    return this.#classifiers.get(task)!
  }

  async predict(texts: readonly string[], options: PredictOptions = {}): Promise<Map<string, Prediction[]>> {
    const answers = new Map<string, Prediction[]>()
    const ask = async () => {
      for (const [task, classifier] of this.#classifiers) answers.set(task, await predict(classifier, texts, options))
    }
    await (this.#shared ? this.#shared.remember(ask) : ask())
    return answers
  }

  async features(texts: readonly string[], options: PredictOptions = {}): Promise<Float32Array[]> {
    const { maxLength = defaultMaxLength } = [...this.#classifiers.values()][0]!.scorer
    if (!this.#shared)
      throw new InputError('HEADS_DEEP', 'The heads have layers of their own, so they share no vectors')
    return this.#shared.vectors(texts, maxLength, options)
  }

  async close(): Promise<void> {
    for (const classifier of this.#classifiers.values()) await classifier.close()
    await this.#shared?.close()
  }
}

/** Whether all that a head has of its own is the last linear map. */
function isLinear(model: EncoderModel, tensors: ReadonlyMap<string, unknown>): boolean {
  const last = model.parameters.filter(({ part }) => part === 'classifier').map(({ name }) => name)
  return tensors.size === last.length && last.every((name) => tensors.has(name))
}

function headConfig({ settings, tree }: TaskHead, config: ReturnType<typeof readEncoderConfig>) {
  return classifierConfig(config, layoutOf(settings as ClassifierSettings), tree)
}

/** The encoder of all heads; while it remembers, a text it has read needs no second pass. */
class SharedEncoder {
  readonly #runtime: EncoderRuntime
  readonly #tokenizer: Tokenizer
  #memory: Map<string, Float32Array> | undefined

  constructor(runtime: EncoderRuntime, tokenizer: Tokenizer) {
    this.#runtime = runtime
    this.#tokenizer = tokenizer
  }

  async remember(work: () => Promise<void>): Promise<void> {
    this.#memory ??= new Map()
    try {
      await work()
    } finally {
      this.#memory = undefined
    }
  }

  async vectors(texts: readonly string[], maxLength: number, { batch, signal }: PredictOptions = {}) {
    const memory = this.#memory ?? new Map<string, Float32Array>()
    const key = (text: string) => `${maxLength} ${text}`
    const fresh = [...new Set(texts)].filter((text) => !memory.has(key(text)))
    const tokens = fresh.map((text) => this.#tokenizer.encode(text, maxLength))
    const rows = await this.#runtime.run(tokens, { batchSize: batch ?? 64, ...(signal ? { signal } : {}) })
    for (const [i, text] of fresh.entries()) memory.set(key(text), rows[i]!)
    return texts.map((text) => memory.get(key(text))!)
  }

  close(): Promise<void> {
    return this.#runtime.close()
  }
}

type HeadParts = Parameters<typeof encoderScorer>[0]

/** Logits of one head from the shared vectors. */
function headScorer(parts: HeadParts, shared: SharedEncoder): Scorer {
  const { model, weights, tokenizer, maxLength, threads } = parts
  const units = model.head.units
  const [weight, bias] = model.parameters
    .filter(({ part }) => part === 'classifier')
    .map(({ name }) => weights.get(name)!)
  const logitsOf = (vectors: readonly Float32Array[]) => {
    const logits = new Float32Array(vectors.length * units)
    for (const [row, vector] of vectors.entries())
      for (let unit = 0; unit < units; unit++) {
        const at = unit * vector.length
        let sum = bias![unit]!
        for (let j = 0; j < vector.length; j++) sum += weight![at + j]! * vector[j]!
        logits[row * units + unit] = sum
      }
    return logits
  }
  let alone: Promise<EncoderRuntime> | undefined
  return {
    kind: model.config.family,
    units,
    parameters: model.parameters.reduce((sum, { name }) => sum + weights.get(name)!.length, 0),
    maxLength,
    parts: {
      kind: 'encoder',
      model,
      weights,
      tokenizer,
      maxLength,
      threads,
      // Whoever brings token ids goes through the whole graph.
      async run(ids, { signal } = {}) {
        alone ??= openEncoder(model, weights, 'logits', { threads })
        return (await alone).run(ids, { batchSize: 64, ...(signal ? { signal } : {}) })
      },
    },
    score: async (texts, options = {}) => logitsOf(await shared.vectors(texts, maxLength, options)),
    save: (folder) => saveEncoderClassifier(folder, parts),
    close: async () => (await alone)?.close(),
  }
}
