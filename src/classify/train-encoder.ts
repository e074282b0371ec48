/** Trains the scorer of an encoder for a head layout: fine-tunes a checkpoint, or trains `mini` from scratch with a vocabulary of its own. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { openCheckpoint } from '../checkpoint/checkpoint.ts'
import { resolveModel } from '../checkpoint/resolve-model.ts'
import { headTargets } from '../labels/head-targets.ts'
import type { EncoderConfig } from '../models/index.ts'
import {
  encoderModel,
  initialWeights,
  loadWeights,
  openEncoder,
  readEncoderConfig,
  type SlotConfig,
} from '../models/index.ts'
import { loadTokenizer, type Tokenizer, tokenizerFrom } from '../text/tokenizer.ts'
import { trainWordPiece } from '../text/train-wordpiece.ts'
import { packTokens } from '../train/batches.ts'
import {
  type EncoderJob,
  fineTuneDefaults,
  type TrainOptions as LoopOptions,
  scratchDefaults,
} from '../train/encoder-job.ts'
import { trainEncoder } from '../train/train-encoder.ts'
import { readJson } from '../util/json.ts'
import type { RunOptions } from '../util/progress.ts'
import { lossJob } from './check-loss.ts'
import { classifierConfig, defaultMaxLength, encoderScorer } from './encoder-scorer.ts'
import type { SlotInput, SlotStart } from './head-method.ts'
import { adjustmentOf } from './logit-adjustment.ts'
import type { TrainOptions } from './options.ts'
import { maskedHeadFile } from './run-pretrain.ts'
import type { Scorer } from './scorer.ts'
import { isScratch, type ScratchEncoder, scratchEncoders, scratchVocabulary } from './scratch-encoders.ts'
import type { ScorerTraining } from './train-scorer.ts'
import type { LabelledTexts } from './training-data.ts'

export interface EncoderStart {
  source: EncoderJob['source']
  config: EncoderConfig
  tokenizer: Tokenizer
  defaults: LoopOptions
}

export async function trainEncoderScorer(training: ScorerTraining, encoder: string): Promise<Scorer> {
  const { tree, method, layout, targets, train, dev, options, workFolder } = training
  const start = await encoderStart(encoder, train.texts, options)
  const { source, tokenizer, defaults } = start
  const slots = method.slots?.slots(tree, layout, start.config)
  const config = withSlots(start.config, slots)
  const { prefix } = encoderModel(config, { units: layout.unitNodes.length })
  const maxLength = Math.min(options.maxLength ?? defaultMaxLength, config.maxLength - prefix)
  const tokens = ({ texts }: LabelledTexts) => packTokens(texts.map((text) => tokenizer.encode(text, maxLength)))
  const rows = tokens(train)
  const seed = options.seed ?? defaults.seed
  const prepared =
    slots === undefined ? {} : await prepareSlots({ ...training, slots, config, tokenizer, rows, seed }, start.source)
  const loop = loopOptions({ ...defaults, ...prepared.defaults }, options)
  const job: EncoderJob = {
    source,
    pooling: 'head',
    layout,
    ...(slots === undefined ? {} : { slots }),
    ...(prepared.objective === undefined ? {} : { objective: prepared.objective }),
    ...(options.loss ? { loss: lossJob(options.loss, method, prepared.objective !== undefined, tree) } : {}),
    ...(prepared.initial === undefined ? {} : { initial: prepared.initial }),
    train: { rows, targets },
    ...(dev === undefined ? {} : { dev: { rows: tokens(dev), targets: headTargets(layout, tree, dev.labels) } }),
    adjustment: adjustmentOf(layout, targets, method.logitAdjustment),
    options: loop,
    ...(workFolder === undefined ? {} : { workFolder, resume: options.resume ?? false }),
  }
  const result = await trainEncoder(job, options)
  const model = encoderModel(result.config, { units: layout.unitNodes.length })
  return encoderScorer(
    {
      model,
      weights: result.weights,
      tokenizer,
      maxLength,
      config: classifierConfig(config, layout, tree),
      threads: options.threads ?? 1,
      training: {
        steps: result.step,
        stoppedBy: result.stoppedBy,
        ...(result.best === undefined ? {} : { best: result.best }),
      },
    },
    options,
  )
}

/** The configuration with the slots of this training, whatever the checkpoint was trained with. */
function withSlots({ slots: _, ...config }: EncoderConfig, slots: SlotConfig | undefined): EncoderConfig {
  return slots === undefined ? config : { ...config, slots }
}

async function prepareSlots(
  input: ScorerTraining & Omit<SlotInput, 'weights' | 'spare' | 'states' | 'tokenTable' | 'run' | 'fresh'>,
  source: EncoderJob['source'],
): Promise<SlotStart> {
  const { method, config, seed } = input
  if (!method.slots?.prepare) return {}
  const bare = encoderModel(config)
  const first = async (): Promise<ReadonlyMap<string, Float32Array>> => {
    if ('config' in source) return initialWeights(bare, seed)
    const checkpoint = await openCheckpoint(source.folder, input.options)
    try {
      return await loadWeights(bare, checkpoint, input.options)
    } finally {
      await checkpoint.close()
    }
  }
  let loaded: Promise<ReadonlyMap<string, Float32Array>> | undefined
  const weights = () => (loaded ??= first())
  return method.slots.prepare({
    ...input,
    run: input.options,
    fresh: 'config' in source,
    tokenTable: bare.tokenTable,
    weights: async (name) => (await weights()).get(name)!,
    spare: async (name) => ('config' in source ? undefined : readSpareTensor(source.folder, name, input.options)),
    async states(texts) {
      const encoder = await openEncoder(bare, await weights(), 'hidden', { threads: input.options.threads ?? 1 })
      try {
        return await encoder.run(texts)
      } finally {
        await encoder.close()
      }
    },
  })
}

/** A tensor of a checkpoint, or of the file of a language model's head beside it. */
async function readSpareTensor(folder: string, name: string, options: RunOptions): Promise<Float32Array | undefined> {
  const beside = join(folder, maskedHeadFile)
  for (const path of existsSync(beside) ? [folder, beside] : [folder]) {
    const checkpoint = await openCheckpoint(path, options)
    try {
      if (checkpoint.tensors.has(name)) return await checkpoint.readFloat32(name)
    } finally {
      await checkpoint.close()
    }
  }
  return undefined
}

/** What training starts from: an encoder from scratch with a vocabulary of the training texts, or a checkpoint. */
export function encoderStart(encoder: string, texts: readonly string[], options: RunOptions): Promise<EncoderStart> {
  return isScratch(encoder) ? startScratch(encoder, texts) : startCheckpoint(encoder, options)
}

/** The settings of the training loop: those that the caller names, the defaults for the rest. */
export function loopOptions(defaults: LoopOptions, options: TrainOptions): LoopOptions {
  return {
    ...defaults,
    ...defined({
      epochs: options.epochs,
      learningRate: options.lr,
      batchSize: options.batch,
      maxMinutes: options.maxMinutes,
      threads: options.threads,
    }),
    seed: options.seed ?? defaults.seed,
  }
}

async function startScratch(encoder: ScratchEncoder, texts: readonly string[]): Promise<EncoderStart> {
  const tokenizer = await tokenizerFrom(trainWordPiece(texts, { vocabularySize: scratchVocabulary }))
  const config = scratchEncoders[encoder]({
    vocabularySize: tokenizer.vocabularySize,
    padTokenId: tokenizer.padId,
  })
  return { source: { config }, config, tokenizer, defaults: scratchDefaults }
}

async function startCheckpoint(encoder: string, options: RunOptions): Promise<EncoderStart> {
  const folder = await resolveModel(encoder, options)
  const file = join(folder, 'config.json')
  const config = readEncoderConfig((await readJson(file)) as Record<string, unknown>, file)
  return { source: { folder }, config, tokenizer: await loadTokenizer(folder), defaults: fineTuneDefaults }
}

/** The entries that have a value. */
function defined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}
