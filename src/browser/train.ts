/** Trains a head on an encoder, or fine-tunes the encoder with it, in the thread that calls: the steps are those of training in Node. */
import { tuneTemperature, tuneThresholds } from '../classify/calibrate.ts'
import { classifierConfig, defaultMaxLength } from '../classify/classifier-config.ts'
import type { ClassifierSettings } from '../classify/classifier-settings.ts'
import type { HeadMethod } from '../classify/head-method.ts'
import { conditionalSoftmax } from '../classify/methods/conditional-softmax.ts'
import { flat } from '../classify/methods/flat.ts'
import { perNode } from '../classify/methods/per-node.ts'
import type { HeadLayout } from '../labels/head-layout.ts'
import { headTargets } from '../labels/head-targets.ts'
import { LabelTree } from '../labels/label-tree.ts'
import { parseLabelTree } from '../labels/parse-label-tree.ts'
import { encoderModel } from '../models/architectures.ts'
import type { EncoderModel } from '../models/encoder.ts'
import { readEncoderConfig } from '../models/encoder-config.ts'
import { openEncoder } from '../models/encoder-runtime.ts'
import { loadWeights } from '../models/weights.ts'
import type { Tokenizer } from '../text/tokenizer-json.ts'
import { adamWDefaults } from '../train/adamw.ts'
import { simdAdamW } from '../train/adamw-kernel.ts'
import { batchCount, epochBatches, type TokenRows } from '../train/batches.ts'
import { checkJob, fineTuneDefaults } from '../train/encoder-job.ts'
import { objective } from '../train/objectives/index.ts'
import { Optimizer } from '../train/optimizer.ts'
import { parameterRules } from '../train/parameter-rules.ts'
import { learningRateFactor } from '../train/schedule.ts'
import { TrainingStep } from '../train/training-step.ts'
import { InputError, RunError, throwIfAborted } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import { version } from '../util/version.ts'
import { type BrowserClassifier, browserClassifier } from './browser-classifier.ts'
import { type ModelSource, modelFiles, needJsonFile, readWeights } from './model-files.ts'
import { readTokenizer, tensorSource } from './open.ts'
import { chooseRuntime, type RuntimeOptions } from './runtime-choice.ts'

/** A labelled text: label paths from the root, several only for a model of several labels per row. */
export interface LabelledText {
  text: string
  labels: readonly (readonly string[])[]
}

const methods: Record<string, () => HeadMethod> = {
  flat: () => flat(),
  'conditional-softmax': () => conditionalSoftmax(),
  'per-node': () => perNode(),
}

export interface BrowserTrainOptions extends RuntimeOptions, RunOptions {
  /** A folder with an encoder checkpoint: config.json, model.safetensors, tokenizer.json. */
  encoder: ModelSource
  /** Label tree as JSON, in any form that `parseLabelTree` takes. Default: built from the rows' label paths. */
  labels?: unknown
  /** Rows to calibrate on. Default: none, the temperature stays 1. */
  dev?: readonly LabelledText[]
  /** Default: `flat`, or `per-node` where a label has several parents. */
  method?: 'flat' | 'conditional-softmax' | 'per-node'
  /** `head`: the encoder stays as it is. `all` (default): every weight is trained. */
  train?: 'head' | 'all'
  /** Default 5. */
  epochs?: number
  /** Peak learning rate. Default 2e-4; 5e-3 for the head alone. */
  lr?: number
  /** Rows per step. Default 16. */
  batch?: number
  /** Tokens per text, the rest is cut. Default 128, or the encoder's own limit. */
  maxLength?: number
  /** Default 0. */
  seed?: number
}

/** Trains in this thread. See `trainClassifier`. */
export async function trainHere(
  rows: readonly LabelledText[],
  options: BrowserTrainOptions,
): Promise<BrowserClassifier> {
  const { seed = 0, epochs = fineTuneDefaults.epochs, batch = 16, train: what = 'all', signal, onProgress } = options
  const lr = options.lr ?? (what === 'head' ? 5e-3 : fineTuneDefaults.learningRate)
  if (rows.length === 0) throw new InputError('TRAIN_EMPTY', 'There are no rows to train on')
  const tree = options.labels === undefined ? treeOf(rows) : parseLabelTree(options.labels)
  const labels = rows.map((row) => row.labels.map((path) => tree.resolve(path)))
  const multiLabel = labels.some((ids) => tree.ends(ids).length > 1)
  const terminals = [...new Set(labels.flatMap((ids) => tree.ends(ids)))].sort((a, b) => a - b)
  if (terminals.length === 0)
    throw new InputError('TRAIN_EMPTY', 'No row has a label', { help: 'give at least one row with a label' })
  const method = methodOf(options.method, tree)
  const layout = method.layout(tree, { multiLabel, terminals })
  const targets = headTargets(layout, tree, labels)

  const files = modelFiles(options.encoder, options)
  const source = await needJsonFile(files, 'config.json')
  const config = readEncoderConfig(source, `${files.place} config.json`)
  const maxLength = Math.min(options.maxLength ?? defaultMaxLength, config.maxLength)
  const model = encoderModel(config, { units: layout.unitNodes.length })
  const [tokenizer, tensors, runtime] = await Promise.all([
    readTokenizer(files),
    readWeights(files),
    chooseRuntime(options),
  ])
  const weights = await loadWeights(model, tensorSource(tensors), { newClassifier: true, seed, ...options })
  const settings = {
    ...fineTuneDefaults,
    epochs,
    learningRate: lr,
    batchSize: batch,
    seed,
    threads: runtime.threads,
    freeze: what === 'head' ? model.parameters.filter(({ part }) => part === 'encoder').map(({ name }) => name) : [],
  }
  const tokens = tokenRows(rows, tokenizer, maxLength)
  checkJob({ source: { config }, pooling: 'head', layout, train: { rows: tokens, targets }, options: settings })
  const history = await descend(
    { model, weights, layout, tokens, targets, settings, runtime: runtime.runtime },
    options,
  )
  throwIfAborted(signal)

  const answers: ClassifierSettings = {
    format: 1,
    method: { name: method.name, options: method.options },
    multiLabel,
    layout: { ...layout, unitNodes: [...layout.unitNodes], groups: layout.groups.map((group) => ({ ...group })) },
    terminals,
    temperature: 1,
    ...(multiLabel ? { thresholds: tree.nodes.map(() => 0.5) } : {}),
    minConfidence: 0,
    maxLength,
  }
  const { dev } = options
  if (dev && dev.length > 0) {
    const scores = {
      labels: dev.map((row) => row.labels.map((path) => tree.resolve(path))),
      logits: await devLogits(model, weights, tokenizer, dev, maxLength, runtime),
    }
    answers.temperature = tuneTemperature(layout, tree, scores)
    if (multiLabel) answers.thresholds = tuneThresholds(layout, tree, answers.temperature, scores)
  }
  onProgress?.({ step: 'train', done: epochs * rows.length, total: epochs * rows.length, unit: 'rows' })
  const record = {
    espalier: version,
    verb: 'train',
    command: 'trainClassifier in a browser',
    method: answers.method,
    options: { epochs, lr, batch, maxLength, train: what },
    seed,
    rows: { train: rows.length, dev: dev?.length ?? 0 },
    training: history,
  }
  const parts = { kind: 'encoder' as const, model, weights, tokenizer, maxLength, ...runtime }
  return browserClassifier(tree, answers, { ...parts, config: classifierConfig(config, layout, tree) }, record)
}

const treeOf = (rows: readonly LabelledText[]): LabelTree => LabelTree.fromPaths(rows.flatMap(({ labels }) => labels))

function methodOf(name: string | undefined, tree: LabelTree): HeadMethod {
  const method = methods[name ?? (tree.isTree ? 'flat' : 'per-node')]
  if (method) return method()
  throw new InputError('METHOD_UNKNOWN', `There is no method "${name}"`, {
    help: `methods: ${Object.keys(methods).join(', ')}`,
  })
}

function tokenRows(rows: readonly LabelledText[], tokenizer: Tokenizer, maxLength: number): TokenRows {
  const { ids, offsets } = tokenizer.encodeBatch(
    rows.map(({ text }) => text),
    maxLength,
  )
  return { tokens: ids, offsets: Uint32Array.from(offsets) }
}

interface Descent {
  model: EncoderModel
  /** Changed in place. */
  weights: Map<string, Float32Array>
  layout: HeadLayout
  tokens: TokenRows
  targets: ReturnType<typeof headTargets>
  settings: typeof fineTuneDefaults
  runtime: Awaited<ReturnType<typeof chooseRuntime>>['runtime']
}

/** The updates. Between two of them the thread is free, so that an abort is seen. */
async function descend(
  { model, weights, layout, tokens, targets, settings, runtime }: Descent,
  { signal, onProgress }: RunOptions,
): Promise<{ steps: number; firstLoss: number; lastLoss: number }> {
  const isHead = new Set(model.parameters.filter(({ part }) => part !== 'encoder').map(({ name }) => name))
  const rules = parameterRules(model.parameters, settings.freeze, (name) => isHead.has(name), settings.headRate)
  const trained = model.parameters.filter(({ name }) => rules.get(name)!.trained)
  const tensorOf = ({ name, shape }: (typeof trained)[number]) => {
    const { decays, rate } = rules.get(name)!
    return { name, weights: weights.get(name)!, decays, rate, width: shape.at(-1)! }
  }
  const dense = trained.filter(({ lookup }) => !lookup).map(tensorOf)
  const tables = trained.filter(({ lookup }) => lookup).map(tensorOf)
  const kernel = await simdAdamW(dense.map((tensor) => tensor.weights.length))
  const optimizer = new Optimizer(dense, tables, kernel, { ...adamWDefaults, weightDecay: settings.weightDecay })
  const { seed, threads, labelSmoothing, batchSize, epochs, clip } = settings
  const loss = { labelSmoothing }
  const data = { rows: tokens, targets, microBatchSize: batchSize }
  const setup = { model, weights, rules, layout, objective: objective(), loss, ...data, seed, threads, runtime }
  const step = await TrainingStep.create(setup, optimizer, onProgress ? { onProgress } : {})
  const rows = tokens.offsets.length - 1
  const perEpoch = batchCount(rows, batchSize)
  const steps = epochs * perEpoch
  const schedule = { name: settings.schedule, warmUp: settings.warmUp }
  let firstLoss = 0
  let lastLoss = 0
  try {
    for (let epoch = 0; epoch < epochs; epoch++)
      for (const [index, batch] of epochBatches(tokens, batchSize, seed, epoch).entries()) {
        throwIfAborted(signal)
        const number = epoch * perEpoch + index + 1
        const rate = settings.learningRate * learningRateFactor(schedule, number, steps)
        const { loss, norm } = await step.run(batch, rate, clip)
        if (!Number.isFinite(loss) || !Number.isFinite(norm))
          throw new RunError('LOSS_NOT_FINITE', `The loss is not a finite number at step ${number}`, {
            help: 'try a lower learning rate',
          })
        if (number === 1) firstLoss = loss
        lastLoss = loss
        const done = epoch * rows + Math.min(rows, (index + 1) * batchSize)
        onProgress?.({ step: 'train', done, total: epochs * rows, unit: 'rows', metrics: { loss } })
        await new Promise<void>((resolve) => setTimeout(resolve))
      }
  } finally {
    await step.close()
  }
  for (const { name } of tables) weights.set(name, optimizer.table(name))
  return { steps, firstLoss, lastLoss }
}

async function devLogits(
  model: EncoderModel,
  weights: ReadonlyMap<string, Float32Array>,
  tokenizer: Tokenizer,
  dev: readonly LabelledText[],
  maxLength: number,
  runtime: Awaited<ReturnType<typeof chooseRuntime>>,
): Promise<Float32Array> {
  const encoder = await openEncoder(model, weights, 'logits', runtime)
  const rows = await encoder.run(dev.map(({ text }) => tokenizer.encode(text, maxLength)))
  await encoder.close()
  const units = model.head.units
  const logits = new Float32Array(rows.length * units)
  for (const [row, values] of rows.entries()) logits.set(values, row * units)
  return logits
}
