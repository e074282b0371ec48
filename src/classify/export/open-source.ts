/** What is exported: a classifier, a head of a merged model, or an encoder without a head. */
import { join } from 'node:path'
import { openCheckpoint, readConfig } from '../../checkpoint/checkpoint.ts'
import { type EncoderModel, encoderModel, loadWeights, readEncoderConfig, slotKey } from '../../models/index.ts'
import { loadTokenizer, type Tokenizer } from '../../text/tokenizer.ts'
import { InputError } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import type { Classifier } from '../classifier.ts'
import { loadClassifier, localFolder } from '../load-classifier.ts'
import { loadTasks, taskNames } from '../load-tasks.ts'

export interface EncoderParts {
  readonly model: EncoderModel
  /** By state dict key. */
  readonly weights: ReadonlyMap<string, Float32Array>
  readonly tokenizer: Tokenizer
  /** Tokens per text; the rest is cut. */
  readonly maxLength: number
}

export interface ExportSource {
  readonly folder: string
  readonly config: Record<string, unknown>
  /** Undefined for an encoder without a head. */
  readonly classifier: Classifier | undefined
  /** Undefined for models that are no encoders. */
  readonly encoder: EncoderParts | undefined
  close(): Promise<void>
}

/**
 * Opens what is to be exported.
 * @throws InputError as `loadClassifier` and `loadTasks` do; `EXPORT_HEAD` if a head must be named.
 */
export async function openExportSource(
  source: string,
  options: RunOptions & { head?: string } = {},
): Promise<ExportSource> {
  const { head } = options
  const folder = await localFolder(source, options)
  const config = await readConfig(folder)
  if (head !== undefined) {
    const tasks = await loadTasks(folder, { ...options, tasks: [head] })
    const classifier = tasks.classifier(head)
    return { folder, config, classifier, encoder: partsOf(classifier), close: () => tasks.close() }
  }
  const heads = await taskNames(folder)
  if (heads.length > 0)
    throw new InputError('EXPORT_HEAD', `The model has ${heads.length} heads, an export has one`, {
      help: `name it with --head: ${heads.join(', ')}`,
    })
  const { architectures, id2label } = config
  const isBare =
    config[slotKey] === undefined &&
    Array.isArray(architectures) &&
    !architectures.some((name) => /SequenceClassification$/.test(String(name)))
  const isEncoder = !String(config['model_type']).startsWith('espalier-')
  if (isEncoder && (isBare || typeof id2label !== 'object')) {
    const encoder = await openBareEncoder(folder, options)
    return { folder, config, classifier: undefined, encoder, close: async () => undefined }
  }
  const classifier = await loadClassifier(folder, options)
  return { folder, config, classifier, encoder: partsOf(classifier), close: () => classifier.close() }
}

function partsOf({ scorer: { parts } }: Classifier): EncoderParts | undefined {
  return parts.kind === 'encoder' ? parts : undefined
}

async function openBareEncoder(folder: string, options: RunOptions): Promise<EncoderParts> {
  const checkpoint = await openCheckpoint(folder, options)
  try {
    const config = readEncoderConfig(checkpoint.config, join(folder, 'config.json'))
    const model = encoderModel(config)
    const weights = await loadWeights(model, checkpoint, options)
    return { model, weights, tokenizer: await loadTokenizer(folder), maxLength: config.maxLength }
  } finally {
    await checkpoint.close()
  }
}
