/** Scorer of an encoder with a classification head: tokens in, logits out; saved as a checkpoint that transformers loads with equal logits. */
import { join } from 'node:path'
import { openCheckpoint } from '../checkpoint/checkpoint.ts'
import { writeCheckpointInto } from '../checkpoint/write-checkpoint.ts'
import type { EncoderModel } from '../models/index.ts'
import { encoderModel, loadWeights, openEncoder, readEncoderConfig } from '../models/index.ts'
import { loadTokenizer, saveTokenizer, type Tokenizer } from '../text/tokenizer.ts'
import { InputError } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import { defaultMaxLength } from './classifier-config.ts'
import type { Scorer } from './scorer.ts'

export { classifierConfig, defaultMaxLength } from './classifier-config.ts'

export interface EncoderScorerParts {
  model: EncoderModel
  weights: ReadonlyMap<string, Float32Array>
  tokenizer: Tokenizer
  maxLength: number
  /** config.json as it is saved. */
  config: Record<string, unknown>
  threads: number
  training?: Record<string, unknown>
}

/** Makes a scorer of an encoder and its weights. */
export async function encoderScorer(parts: EncoderScorerParts, run: RunOptions = {}): Promise<Scorer> {
  const { model, weights, tokenizer, maxLength, threads, training } = parts
  const encoder = await openEncoder(model, weights, 'logits', { ...run, threads })
  const units = model.head.units
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
      run: (ids, { signal } = {}) => encoder.run(ids, { batchSize: 64, ...(signal ? { signal } : {}) }),
    },
    ...(training === undefined ? {} : { training }),
    async score(texts, { batch, signal, onProgress } = {}) {
      const tokens = texts.map((text) => tokenizer.encode(text, maxLength))
      const rows = await encoder.run(tokens, {
        batchSize: batch ?? 64,
        ...(signal ? { signal } : {}),
        ...(onProgress ? { onProgress } : {}),
      })
      const logits = new Float32Array(texts.length * units)
      for (const [row, values] of rows.entries()) logits.set(values, row * units)
      return logits
    },
    save: (folder) => saveEncoderClassifier(folder, parts),
    close: () => encoder.close(),
  }
}

/** Writes weights, config.json and the tokenizer into an existing folder. */
export async function saveEncoderClassifier(
  folder: string,
  { model, weights, tokenizer, config }: Pick<EncoderScorerParts, 'model' | 'weights' | 'tokenizer' | 'config'>,
): Promise<void> {
  const tensors = model.parameters.map(({ name, shape }) => ({
    name,
    dtype: 'F32' as const,
    shape: [...shape],
    data: weights.get(name)!,
  }))
  await writeCheckpointInto(folder, { config, tensors, metadata: { format: 'pt' } }, { checkFinite: true })
  await saveTokenizer(tokenizer, folder)
}

/**
 * Opens the encoder classifier of a folder.
 * @param maxLength tokens per text; default 128, at most what the encoder takes.
 * @throws InputError of the checkpoint, its config and its tokenizer; `MODEL_FORMAT` if it has no classification head.
 */
export async function openEncoderScorer(
  folder: string,
  options: RunOptions & { threads?: number; maxLength?: number } = {},
): Promise<Scorer> {
  const checkpoint = await openCheckpoint(folder, options)
  try {
    const file = join(folder, 'config.json')
    const config = readEncoderConfig(checkpoint.config, file)
    const labels = checkpoint.config['id2label']
    const units = typeof labels === 'object' && labels !== null ? Object.keys(labels).length : 0
    if (units === 0) {
      throw new InputError('MODEL_FORMAT', 'The checkpoint has no classification head', {
        where: { file, key: 'id2label' },
        help: 'train one: espalier train DATA --encoder FOLDER --out DIR',
      })
    }
    const model = encoderModel(config, { units })
    const weights = await loadWeights(model, checkpoint, options)
    const tokenizer = await loadTokenizer(folder)
    const maxLength = Math.min(options.maxLength ?? defaultMaxLength, config.maxLength - model.prefix)
    return await encoderScorer(
      { model, weights, tokenizer, maxLength, config: checkpoint.config, threads: options.threads ?? 1 },
      options,
    )
  } finally {
    await checkpoint.close()
  }
}
