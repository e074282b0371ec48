/** A classifier in a browser: the same answers as in Node, from the same files, which it can also give back. */
import { readSafetensorsBytes } from '../checkpoint/safetensors-bytes.ts'
import { layoutSafetensors, type TensorSpec } from '../checkpoint/safetensors-header.ts'
import { type AnsweringScorer, ClassifierCore } from '../classify/classifier-core.ts'
import { type ClassifierSettings, settingsFile, treeFile } from '../classify/classifier-settings.ts'
import type { Prediction, PredictOptions } from '../classify/options.ts'
import { predict } from '../classify/predict.ts'
import type { RuntimeName } from '../graph/index.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import { encoderModel } from '../models/architectures.ts'
import type { EncoderModel } from '../models/encoder.ts'
import { openEncoder } from '../models/encoder-runtime.ts'
import type { NgramModel } from '../models/ngram.ts'
import type { Tokenizer } from '../text/tokenizer-json.ts'
import { InputError } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'

export interface ClassifierInfo {
  /** "ngram", or the encoder's family. */
  readonly kind: string
  /** Paths of all labels, inner ones too, parents first. */
  readonly labels: readonly string[][]
  readonly multiLabel: boolean
  /** Number of trained values. */
  readonly parameters: number
  /** What computes: `js` for ngram models. */
  readonly runtime: 'js' | RuntimeName
  readonly threads: number
}

export interface EmbedOptions extends RunOptions {
  /** What becomes of the tokens' last hidden states. Default `mean`. */
  pooling?: 'mean' | 'first'
  /** Scale vectors to length one. Default true. */
  normalize?: boolean
}

/** What a page does with a classifier; the same in the page and in a worker. */
export interface BrowserClassifier {
  readonly info: ClassifierInfo
  /**
   * Label paths with probabilities, one prediction per text: those of `predict` in Node.
   * @throws InputError `TEXT_EMPTY`, `OPTION_RANGE`
   */
  predict(texts: readonly string[], options?: PredictOptions): Promise<Prediction[]>
  /** One vector per text. @throws InputError `ENCODER_ONLY` for an ngram model, which has none. */
  embed(texts: readonly string[], options?: EmbedOptions): Promise<Float32Array[]>
  /** The files of the model's folder by name, as `espalier train --out` writes them: to store, to download (`zipFiles`), to open in Node. */
  files(): Promise<Map<string, Uint8Array<ArrayBuffer>>>
  /** Frees memory. */
  close(): Promise<void>
}

export interface EncoderParts {
  readonly kind: 'encoder'
  readonly model: EncoderModel
  readonly weights: ReadonlyMap<string, Float32Array>
  readonly tokenizer: Tokenizer
  readonly maxLength: number
  /** config.json as it is saved. */
  readonly config: Record<string, unknown>
  readonly runtime: RuntimeName
  readonly threads: number
}

export interface NgramPartsInBrowser {
  readonly kind: 'ngram'
  readonly model: NgramModel
}

/** Puts a classifier together in the thread that calls. */
export async function browserClassifier(
  tree: LabelTree,
  settings: ClassifierSettings,
  parts: EncoderParts | NgramPartsInBrowser,
  record: Record<string, unknown>,
  run: RunOptions = {},
): Promise<BrowserClassifier> {
  const logits =
    parts.kind === 'ngram'
      ? undefined
      : await openEncoder(parts.model, parts.weights, 'logits', {
          runtime: parts.runtime,
          threads: parts.threads,
          ...run,
        })
  const units = parts.kind === 'ngram' ? parts.model.units : parts.model.head.units
  if (units !== settings.layout.unitNodes.length)
    throw new InputError(
      'CLASSIFIER_FORMAT',
      `The head has ${units} outputs, ${settingsFile} describes ${settings.layout.unitNodes.length}`,
      { help: 'the folder mixes files of two models' },
    )
  const scorer: AnsweringScorer = {
    units,
    async score(texts, { batch, signal, onProgress } = {}) {
      if (parts.kind === 'ngram') return parts.model.score(texts)
      const ids = texts.map((text) => parts.tokenizer.encode(text, parts.maxLength))
      const rows = await logits!.run(ids, {
        batchSize: batch ?? 64,
        ...(signal ? { signal } : {}),
        ...(onProgress ? { onProgress } : {}),
      })
      const all = new Float32Array(texts.length * units)
      for (const [row, values] of rows.entries()) all.set(values, row * units)
      return all
    },
  }
  const core = new ClassifierCore(tree, settings, scorer)
  return {
    info: {
      kind: parts.kind === 'ngram' ? 'ngram' : parts.model.config.family,
      labels: tree.nodes.map(({ id }) => tree.path(id)),
      multiLabel: settings.multiLabel,
      parameters:
        parts.kind === 'ngram'
          ? parts.model.parameters
          : parts.model.parameters.reduce((sum, { name }) => sum + parts.weights.get(name)!.length, 0),
      runtime: parts.kind === 'ngram' ? 'js' : parts.runtime,
      threads: parts.kind === 'ngram' ? 1 : parts.threads,
    },
    predict: (texts, options) => predict(core, texts, options),
    embed: (texts, options) => embed(parts, texts, options),
    files: async () => folderFiles(tree, settings, parts, record),
    async close() {
      await logits?.close()
    },
  }
}

async function embed(
  parts: EncoderParts | NgramPartsInBrowser,
  texts: readonly string[],
  { pooling = 'mean', normalize = true, ...run }: EmbedOptions = {},
): Promise<Float32Array[]> {
  if (parts.kind === 'ngram')
    throw new InputError('ENCODER_ONLY', 'An ngram model has no vectors to give', { help: 'open an encoder' })
  const { model, weights, tokenizer, maxLength, runtime, threads } = parts
  // Without a head, `pooled` is the mean of the tokens, or the first one.
  const bare = encoderModel(model.config, { pooling: pooling === 'mean' ? 'mean' : 'head' })
  const encoder = await openEncoder(bare, weights, 'pooled', { runtime, threads })
  try {
    const vectors = await encoder.run(
      texts.map((text) => tokenizer.encode(text, maxLength)),
      run,
    )
    if (normalize)
      for (const vector of vectors) {
        const length = Math.hypot(...vector)
        if (length > 0) for (let i = 0; i < vector.length; i++) vector[i]! /= length
      }
    return vectors
  } finally {
    await encoder.close()
  }
}

function folderFiles(
  tree: LabelTree,
  settings: ClassifierSettings,
  parts: EncoderParts | NgramPartsInBrowser,
  record: Record<string, unknown>,
): Map<string, Uint8Array<ArrayBuffer>> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>()
  const text = (name: string, content: string) => files.set(name, new TextEncoder().encode(content))
  const json = (name: string, value: unknown) => text(name, `${JSON.stringify(value, null, 1)}\n`)
  if (parts.kind === 'ngram') {
    const { config, tensors } = parts.model.files()
    json('config.json', config)
    files.set('model.safetensors', safetensorsBytes(tensors))
  } else {
    json('config.json', parts.config)
    const tensors = parts.model.parameters.map(({ name, shape }) => ({
      name,
      dtype: 'F32' as const,
      shape: [...shape],
      data: parts.weights.get(name)!,
    }))
    files.set('model.safetensors', safetensorsBytes(tensors))
    for (const [name, content] of Object.entries(parts.tokenizer.files())) text(name, content)
  }
  json(treeFile, tree)
  json(settingsFile, settings)
  json('espalier.json', record)
  return files
}

/** A safetensors file in memory, read back before it is given away. */
function safetensorsBytes(tensors: readonly (TensorSpec & { data: ArrayBufferView })[]): Uint8Array<ArrayBuffer> {
  const { header, tensors: placed, fileBytes } = layoutSafetensors(tensors)
  const bytes = new Uint8Array(fileBytes)
  bytes.set(header)
  const dataOf = new Map(tensors.map(({ name, data }) => [name, data]))
  for (const { name, offset } of placed) {
    const { buffer, byteOffset, byteLength } = dataOf.get(name)!
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), offset)
  }
  readSafetensorsBytes(bytes, 'model.safetensors')
  return bytes
}
