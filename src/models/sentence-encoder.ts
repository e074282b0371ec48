/**
 * Texts to vectors: an encoder with the pooling that its folder names (`1_Pooling/config.json` of sentence-transformers; Reimers and Gurevych,
 * Sentence-BERT, 2019), else the mean over tokens.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openCheckpoint, readConfig } from '../checkpoint/checkpoint.ts'
import { loadTokenizer } from '../text/tokenizer.ts'
import { InputError } from '../util/errors.ts'
import { parseJson } from '../util/json.ts'
import type { RunOptions } from '../util/progress.ts'
import { encoderModel } from './architectures.ts'
import type { EncoderModel } from './encoder.ts'
import { readEncoderConfig } from './encoder-config.ts'
import { openEncoder } from './encoder-runtime.ts'
import type { EncoderModelParts, ModelParts } from './model-parts.ts'
import { loadWeights } from './weights.ts'

export interface SentenceEncoderInfo {
  /** Length of a vector. */
  readonly dimensions: number
  readonly pooling: 'mean' | 'cls'
  /** Tokens per text, the rest is cut. */
  readonly maxLength: number
}

export interface SentenceEncoderOptions extends RunOptions {
  /** Default 1. */
  threads?: number
  /** The folder's classifier, if it is open already: its weights are then held once. */
  classifier?: ModelParts
}

export interface SentenceEncoder extends SentenceEncoderInfo {
  /** Tokens of a text with special ones, at most `most`. */
  tokens(text: string, most: number): Int32Array
  /** One vector per text, from its tokens. */
  embed(tokens: readonly Int32Array[], options?: RunOptions): Promise<Float32Array[]>
  close(): Promise<void>
}

/**
 * What the encoder of a folder gives, from its small files alone.
 * @throws InputError `CONFIG_...`, `POOLING_UNSUPPORTED`
 */
export async function describeSentenceEncoder(folder: string): Promise<SentenceEncoderInfo> {
  const config = readEncoderConfig(await readConfig(folder), join(folder, 'config.json'))
  const limit = await optionalJson(join(folder, 'sentence_bert_config.json'))
  const most = limit?.['max_seq_length']
  const maxLength = typeof most === 'number' && most >= 1 ? Math.min(most, config.maxLength) : config.maxLength
  return { dimensions: config.hiddenSize, pooling: await readPooling(folder), maxLength }
}

/**
 * Opens the encoder of a folder for embedding; a classification head is left out.
 * @throws InputError of the checkpoint, its config and its tokenizer; `POOLING_UNSUPPORTED`.
 * @example
 * const encoder = await openSentenceEncoder('all-MiniLM-L6-v2')
 * const [vector] = await encoder.embed([encoder.tokens('book a table', encoder.maxLength)])
 */
export async function openSentenceEncoder(
  folder: string,
  options: SentenceEncoderOptions = {},
): Promise<SentenceEncoder> {
  const info = await describeSentenceEncoder(folder)
  const config = readEncoderConfig(await readConfig(folder), join(folder, 'config.json'))
  const model = encoderModel(config, { units: 0, pooling: info.pooling === 'mean' ? 'mean' : 'head' })
  const { classifier } = options
  const { weights, tokenizer } = classifier?.kind === 'encoder' ? classifier : await readParts(folder, model, options)
  const encoder = await openEncoder(model, weights, 'pooled', options)
  return {
    ...info,
    tokens: (text, most) => tokenizer.encode(text, most),
    embed: (tokens, run = {}) => encoder.run(tokens, run),
    close: () => encoder.close(),
  }
}

async function readParts(
  folder: string,
  model: EncoderModel,
  options: RunOptions,
): Promise<Pick<EncoderModelParts, 'weights' | 'tokenizer'>> {
  const checkpoint = await openCheckpoint(folder, options)
  try {
    return { weights: await loadWeights(model, checkpoint, options), tokenizer: await loadTokenizer(folder) }
  } finally {
    await checkpoint.close()
  }
}

async function readPooling(folder: string): Promise<'mean' | 'cls'> {
  const file = join(folder, '1_Pooling', 'config.json')
  const pooling = await optionalJson(file)
  if (!pooling || pooling['pooling_mode_mean_tokens'] === true || pooling['pooling_mode'] === 'mean') return 'mean'
  if (pooling['pooling_mode_cls_token'] === true || pooling['pooling_mode'] === 'cls') return 'cls'
  throw new InputError('POOLING_UNSUPPORTED', 'Expected pooling by the mean or the first token, received another', {
    where: { file },
    help: 'only pooling_mode_mean_tokens and pooling_mode_cls_token are supported',
  })
}

async function optionalJson(file: string): Promise<Record<string, unknown> | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (parseJson(text, file) as Record<string, unknown>)
}
