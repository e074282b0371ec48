/** What a run of masked language modelling is asked to do, and what it answers; plain data, so that it crosses to a worker thread. */
import type { EncoderConfig } from '../models/encoder.ts'
import { InputError } from '../util/errors.ts'
import { rowCount, type TokenRows } from './batches.ts'
import { checkSchedule } from './schedule.ts'
import type { TrainLogEntry } from './train-log.ts'

export interface MlmOptions {
  readonly epochs: number
  /** Highest learning rate; linear to zero after the warm-up. */
  readonly learningRate: number
  readonly batchSize: number
  readonly weightDecay: number
  /** Below 1: share of all updates; from 1: number of updates. */
  readonly warmUp: number
  /** Limit of the global gradient norm; 0 for none. */
  readonly clip: number
  /** Share of the tokens that are asked for. */
  readonly maskShare: number
  readonly seed: number
  readonly threads: number
  /** Minutes between two saved states, if there is a work folder. */
  readonly saveMinutes: number
}

export const mlmDefaults: MlmOptions = {
  epochs: 3,
  learningRate: 1e-3,
  batchSize: 64,
  weightDecay: 0.01,
  warmUp: 0.06,
  clip: 1,
  maskShare: 0.15,
  seed: 0,
  threads: 1,
  saveMinutes: 5,
}

export interface MlmJob {
  readonly config: EncoderConfig
  readonly maskId: number
  /** Token ids that are never asked for. */
  readonly special: readonly number[]
  readonly train: TokenRows
  /** Held out: its loss is measured after every epoch, always behind the same masks. */
  readonly dev: TokenRows
  readonly options: MlmOptions
  readonly workFolder?: string
  readonly resume?: boolean
}

export interface MlmResult {
  /** By state dict key of `BertForMaskedLM`. */
  readonly weights: Map<string, Float32Array>
  /** Loss in nats a masked token, of the training rows now and then and of the dev rows after every epoch. */
  readonly history: readonly TrainLogEntry[]
  readonly steps: number
}

/** @throws InputError `OPTION_RANGE`, `TRAIN_EMPTY` */
export function checkMlmJob({ train, options }: MlmJob): void {
  const expect = (key: keyof MlmOptions, sound: (value: number) => boolean, expected: string) => {
    if (!sound(options[key]))
      throw new InputError('OPTION_RANGE', `Expected ${key} ${expected}, received ${options[key]}`, { where: { key } })
  }
  const whole = (value: number) => Number.isInteger(value) && value >= 1
  for (const key of ['epochs', 'batchSize', 'threads'] as const) expect(key, whole, 'to be a whole number from 1')
  expect('seed', Number.isSafeInteger, 'to be a whole number')
  expect('learningRate', (value) => value > 0 && value < 1, 'between 0 and 1')
  expect('maskShare', (value) => value > 0 && value < 1, 'between 0 and 1')
  for (const key of ['weightDecay', 'clip', 'saveMinutes'] as const) expect(key, (value) => value >= 0, 'of at least 0')
  checkSchedule({ name: 'linear', warmUp: options.warmUp })
  if (rowCount(train) === 0)
    throw new InputError('TRAIN_EMPTY', 'There are no rows to train on', { help: 'give at least one row with a word' })
}
