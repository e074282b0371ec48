/** What training an encoder would cost, from its configuration and the lengths of the texts, without reading a weight. */
import { join } from 'node:path'
import { resolveModel } from '../checkpoint/resolve-model.ts'
import { type EncoderConfig, encoderModel, readEncoderConfig, type SlotConfig } from '../models/index.ts'
import { loadTokenizer } from '../text/tokenizer.ts'
import { fineTuneDefaults, scratchDefaults } from '../train/encoder-job.ts'
import { readJson } from '../util/json.ts'
import { defaultMaxLength } from './encoder-scorer.ts'
import type { TrainOptions } from './options.ts'
import { isScratch, scratchEncoders, scratchVocabulary } from './scratch-encoders.ts'

export interface EncoderPlanInput {
  encoder: string
  units: number
  /** The slots that the method reads the text through. */
  slots(config: EncoderConfig): SlotConfig | undefined
  texts: readonly string[]
  threads: number
  options: TrainOptions
}

export interface TrainingCost {
  /** Optimiser steps (encoders), or problems solved (ngram). */
  steps: number
  parameters: number
  peakMemoryBytes: number
  seconds: number
  weightBytes: number
  /** What a person should know of the cost before it is spent. */
  notes?: readonly string[]
}

/** A token of English text has about so many characters; the estimate needs no better. */
const charactersPerToken = 4
/** Floating-point operations a second that one thread of a present-day processor reaches in training. */
const flopsPerThread = 60e9
/** Values of float32 kept per token, layer and hidden unit between forward and backward pass. */
const activationsPerUnit = 40
const processBytes = 150e6

export async function planEncoder({
  encoder,
  units,
  slots: slotsOf,
  texts,
  threads,
  options,
}: EncoderPlanInput): Promise<TrainingCost> {
  const config = isScratch(encoder)
    ? scratchEncoders[encoder]({ vocabularySize: scratchVocabulary })
    : await checkpointConfig(encoder, options)
  const slots = slotsOf(config)
  const model = encoderModel(slots === undefined ? config : { ...config, slots }, { units })
  const sizes = model.parameters.map(({ name, shape }) => ({
    name,
    size: shape.reduce((product, side) => product * side, 1),
  }))
  const parameters = sizes.reduce((sum, { size }) => sum + size, 0)
  const table = sizes.find(({ name }) => name === model.tokenTable)!.size
  const { epochs, batchSize } = isScratch(encoder) ? scratchDefaults : fineTuneDefaults
  const batch = options.batch ?? batchSize
  const maxLength = Math.min(options.maxLength ?? defaultMaxLength, config.maxLength)
  const lengths = texts.map((text) => Math.min(maxLength, 2 + Math.ceil(text.length / charactersPerToken)))
  const tokens = lengths.reduce((sum, length) => sum + length, 0)
  const longest = lengths.reduce((most, length) => Math.max(most, length), 0)
  const passes = options.epochs ?? epochs
  const activations =
    batch * longest * config.hiddenSize * config.layers * activationsPerUnit +
    batch * config.heads * longest ** 2 * config.layers * 4
  const seconds = (6 * (parameters - table) * tokens * passes) / (flopsPerThread * threads)
  return {
    steps: passes * Math.ceil(texts.length / batch),
    parameters,
    peakMemoryBytes: processBytes + 4 * (4 * parameters + activations),
    seconds: options.maxMinutes === undefined ? seconds : Math.min(seconds, options.maxMinutes * 60),
    weightBytes: 4 * parameters,
  }
}

/** The configuration of a checkpoint that can be trained: its tokenizer must be there too. */
async function checkpointConfig(encoder: string, options: TrainOptions) {
  const folder = await resolveModel(encoder, options)
  await loadTokenizer(folder)
  const file = join(folder, 'config.json')
  return readEncoderConfig((await readJson(file)) as Record<string, unknown>, file)
}
