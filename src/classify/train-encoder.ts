/** Trains the scorer of an encoder for a head layout: fine-tunes a checkpoint, or trains `mini` from scratch with a vocabulary of its own. */
import { join } from 'node:path'
import { resolveModel } from '../checkpoint/resolve-model.ts'
import { headTargets } from '../labels/head-targets.ts'
import type { EncoderConfig } from '../models/index.ts'
import { encoderModel, miniConfig, readEncoderConfig } from '../models/index.ts'
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
import { classifierConfig, defaultMaxLength, encoderScorer } from './encoder-scorer.ts'
import { adjustmentOf } from './logit-adjustment.ts'
import type { TrainOptions } from './options.ts'
import type { Scorer } from './scorer.ts'
import type { ScorerTraining } from './train-scorer.ts'
import type { LabelledTexts } from './training-data.ts'

/** Vocabulary of `mini`: enough for whole words of everyday text, small enough to train on a few thousand rows. */
export const miniVocabulary = 8000

interface Start {
  source: EncoderJob['source']
  config: EncoderConfig
  tokenizer: Tokenizer
  defaults: LoopOptions
}

export async function trainEncoderScorer(training: ScorerTraining, encoder: string): Promise<Scorer> {
  const { tree, method, layout, targets, train, dev, options, workFolder } = training
  const { source, config, tokenizer, defaults } =
    encoder === 'mini' ? await startMini(train.texts) : await startCheckpoint(encoder, options)
  const maxLength = Math.min(options.maxLength ?? defaultMaxLength, config.maxLength)
  const tokens = ({ texts }: LabelledTexts) => packTokens(texts.map((text) => tokenizer.encode(text, maxLength)))
  const loop: LoopOptions = {
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
  const job: EncoderJob = {
    source,
    pooling: 'head',
    layout,
    train: { rows: tokens(train), targets },
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

async function startMini(texts: readonly string[]): Promise<Start> {
  const tokenizer = await tokenizerFrom(trainWordPiece(texts, { vocabularySize: miniVocabulary }))
  const config = miniConfig({ vocabularySize: tokenizer.vocabularySize, padTokenId: tokenizer.padId })
  return { source: { config }, config, tokenizer, defaults: scratchDefaults }
}

async function startCheckpoint(encoder: string, options: TrainOptions): Promise<Start> {
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
