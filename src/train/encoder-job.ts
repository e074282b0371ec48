/** What a training run of an encoder is asked to do, and what it answers; plain data, so that it crosses to a worker thread. */
import type { HeadLayout, HeadTargets } from '../labels/head-layout.ts'
import type { EncoderConfig, Pooling } from '../models/encoder.ts'
import type { SlotConfig } from '../models/slots/slot-config.ts'
import { InputError } from '../util/errors.ts'
import { rowCount, type TokenRows } from './batches.ts'
import type { LossJob } from './losses/index.ts'
import type { ObjectiveConfig } from './objectives/objective.ts'
import { checkSchedule, type ScheduleName } from './schedule.ts'
import type { TrainLogEntry } from './train-log.ts'

export interface TrainOptions {
  readonly epochs: number
  /** Highest learning rate. */
  readonly learningRate: number
  /** Rows of one update. */
  readonly batchSize: number
  /** Rows that go through the graph at once; lowers memory, not the result. Default: the batch. */
  readonly microBatchSize?: number
  /** Of matrices; biases and normalisation are not decayed. */
  readonly weightDecay: number
  readonly schedule: ScheduleName
  /** Below 1: share of all updates; from 1: number of updates. */
  readonly warmUp: number
  /** Limit of the global gradient norm; 0 for none. */
  readonly clip: number
  /** Every dropout rate of the encoder, 0 to below 1. Default: as its configuration says. */
  readonly dropout?: number
  /** 0 to below 1. */
  readonly labelSmoothing: number
  /** Weights that stay as they are: `embeddings`, `layers:N` (the first N), or tensor names with `*`. */
  readonly freeze: readonly string[]
  /** Learning rate of the head over that of the encoder. */
  readonly headRate: number
  readonly seed: number
  /** Threads inside one operator. ONNX Runtime cuts sums by the work of a thread, so another number may round differently. */
  readonly threads: number
  /** Stops in order after this many minutes of training, earlier runs that are resumed included. */
  readonly maxMinutes?: number
  /** Updates between two evaluations on the dev set. Default: one epoch. */
  readonly evaluateEvery?: number
  /** Stops after this many evaluations without a better one. Default: never. */
  readonly patience?: number
  /** Minutes between two saved states, if there is a work folder. */
  readonly saveMinutes: number
}

/** Settings for fine-tuning a pretrained encoder on short texts; see docs/results/fine-tune.md for what they reach. */
export const fineTuneDefaults: TrainOptions = {
  epochs: 5,
  learningRate: 2e-4,
  batchSize: 32,
  weightDecay: 0.01,
  schedule: 'linear',
  warmUp: 0.1,
  clip: 1,
  labelSmoothing: 0,
  freeze: [],
  headRate: 1,
  seed: 0,
  threads: 1,
  patience: 3,
  saveMinutes: 5,
}

/** Settings for training `mini` from scratch. */
export const scratchDefaults: TrainOptions = { ...fineTuneDefaults, epochs: 15, learningRate: 1e-3 }

/** Rows as tokens, and what is right for them. */
export interface TrainingRows {
  readonly rows: TokenRows
  readonly targets: HeadTargets
}

export interface EncoderJob {
  /** A checkpoint folder whose weights are the start, or the configuration of an encoder to train from scratch. */
  readonly source: { readonly folder: string } | { readonly config: EncoderConfig }
  /** How a row becomes one vector: `head` as the architecture has it, or the `mean` of its tokens. */
  readonly pooling: Pooling
  /** How the classifier reads the text, in place of the head that `pooling` names. */
  readonly slots?: SlotConfig
  readonly layout: HeadLayout
  /** What is minimised. Default: the loss of the layout alone, see head-loss.ts. */
  readonly objective?: ObjectiveConfig
  /** First values of parameters by name, in place of what the checkpoint has or chance gives. */
  readonly initial?: ReadonlyMap<string, Float32Array>
  readonly train: TrainingRows
  readonly dev?: TrainingRows
  /** Added to the logits while training, per unit of the layout. */
  readonly adjustment?: Float32Array
  /** In place of the cross-entropy of the head, with the objective `head` alone. */
  readonly loss?: LossJob
  readonly options: TrainOptions
  /** Where the state and the log are kept while training; without it nothing is written. */
  readonly workFolder?: string
  /** Goes on from the state in the work folder, or from the start if there is none. */
  readonly resume?: boolean
}

export interface EncoderResult {
  /** By state dict key of the sequence classification model in transformers: the best on dev, or the last without dev rows. */
  readonly weights: Map<string, Float32Array>
  readonly config: EncoderConfig
  readonly history: readonly TrainLogEntry[]
  /** epochs: ran to the end. patience: no better dev score. time: maxMinutes was over. */
  readonly stoppedBy: 'epochs' | 'patience' | 'time'
  /** Updates done. */
  readonly step: number
  /** The evaluation that the weights are from; undefined without dev rows. */
  readonly best?: { readonly step: number; readonly value: number; readonly metric: string }
}

/**
 * Checks what can be checked before the model is read.
 * @throws InputError `OPTION_RANGE`, `TRAIN_EMPTY`
 */
export function checkJob({ train, dev, layout, adjustment, options }: EncoderJob): void {
  const expect = (key: string, value: number | undefined, sound: (value: number) => boolean, expected: string) => {
    if (value !== undefined && !sound(value))
      throw new InputError('OPTION_RANGE', `Expected ${key} ${expected}, received ${value}`, { where: { key } })
  }
  const whole = (value: number) => Number.isInteger(value) && value >= 1
  const share = (value: number) => value >= 0 && value < 1
  const positive = (value: number) => value > 0 && Number.isFinite(value)
  expect('epochs', options.epochs, whole, 'to be a whole number from 1')
  expect('batchSize', options.batchSize, whole, 'to be a whole number from 1')
  expect('microBatchSize', options.microBatchSize, whole, 'to be a whole number from 1')
  expect('threads', options.threads, whole, 'to be a whole number from 1')
  expect('evaluateEvery', options.evaluateEvery, whole, 'to be a whole number from 1')
  expect('patience', options.patience, whole, 'to be a whole number from 1')
  expect('seed', options.seed, (value) => Number.isSafeInteger(value), 'to be a whole number')
  expect('learningRate', options.learningRate, (value) => positive(value) && value < 1, 'between 0 and 1')
  expect('headRate', options.headRate, positive, 'above 0')
  expect('clip', options.clip, (value) => value >= 0, 'of at least 0')
  expect('labelSmoothing', options.labelSmoothing, share, 'from 0 to below 1')
  expect('dropout', options.dropout, share, 'from 0 to below 1')
  expect('maxMinutes', options.maxMinutes, positive, 'above 0')
  expect('saveMinutes', options.saveMinutes, (value) => value >= 0, 'of at least 0')
  checkSchedule({ name: options.schedule, warmUp: options.warmUp })
  if (rowCount(train.rows) === 0)
    throw new InputError('TRAIN_EMPTY', 'There are no rows to train on', { help: 'give at least one row with a label' })
  for (const [name, part] of Object.entries({ train, ...(dev ? { dev } : {}) })) {
    const targets = part.targets.unitOffsets.length - 1
    if (targets !== rowCount(part.rows))
      throw new InputError(
        'OPTION_RANGE',
        `Expected targets for ${rowCount(part.rows)} ${name} rows, received ${targets}`,
      )
  }
  if (adjustment && adjustment.length !== layout.unitNodes.length)
    throw new InputError(
      'OPTION_RANGE',
      `Expected ${layout.unitNodes.length} adjustments, received ${adjustment.length}`,
    )
}
