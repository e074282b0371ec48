/** Opens a folder for serving: a classifier, an encoder without a head, or a merged model whose heads are kept one per task. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { readConfig } from '../../checkpoint/checkpoint.ts'
import type { Classifier } from '../../classify/classifier.ts'
import { settingsFile } from '../../classify/classifier.ts'
import { loadClassifier, localFolder } from '../../classify/load-classifier.ts'
import { loadTasks, taskNames } from '../../classify/load-tasks.ts'
import { describeSentenceEncoder, openSentenceEncoder, type SentenceEncoder } from '../../models/sentence-encoder.ts'
import { loadTokenizer, type Tokenizer } from '../../text/tokenizer.ts'
import { InputError } from '../../util/errors.ts'
import type { ModelDescription } from './protocol.ts'

export interface ServedModel {
  readonly description: ModelDescription
  /** The classifier of a head, or of the model itself. @throws InputError `NO_CLASSIFIER` */
  classifier(head: string | undefined): Classifier
  /** Opened when it is first asked for. @throws InputError `NO_EMBEDDING` */
  encoder(): Promise<SentenceEncoder>
  /** @throws InputError `TEXT_TOO_LONG` if a text has more than `most` tokens. */
  refuseLong(texts: readonly string[], most: number | undefined): Promise<void>
  close(): Promise<void>
}

/**
 * Opens the model of a folder or `hf:` reference.
 * @throws InputError as `loadClassifier` and `openSentenceEncoder` do.
 */
export async function openServedModel(source: string, threads: number): Promise<ServedModel> {
  const folder = await localFolder(source, {})
  const config = await readConfig(folder)
  const isEncoder = !String(config['model_type']).startsWith('espalier-')
  const heads = await taskNames(folder)
  const labels = config['id2label']
  const outputs = typeof labels === 'object' && labels !== null ? Object.keys(labels).length : 0
  const isTrained = await stat(join(folder, settingsFile)).then(
    () => true,
    () => false,
  )
  const classifies = !isEncoder || isTrained || (heads.length === 0 && outputs > 1 && isClassifier(config))
  const own = classifies ? await loadClassifier(folder, { threads }) : undefined
  const tasks = heads.length > 0 ? await loadTasks(folder, { threads }) : undefined
  const embedding = isEncoder ? await describeSentenceEncoder(folder) : undefined
  const maxLength = own?.scorer.maxLength ?? embedding?.maxLength
  const description: ModelDescription = {
    kind: own?.scorer.kind ?? String(config['model_type']),
    classifies,
    heads,
    ...(embedding === undefined ? {} : { dimensions: embedding.dimensions, pooling: embedding.pooling }),
    ...(maxLength === undefined ? {} : { maxLength }),
    ...(own === undefined ? {} : { labels: { count: own.tree.size, levels: own.tree.depth } }),
  }
  let encoder: Promise<SentenceEncoder> | undefined
  let tokenizer: Promise<Tokenizer> | undefined
  return {
    description,
    classifier(head) {
      if (head !== undefined && tasks) return tasks.classifier(head)
      if (own) return own
      throw new InputError('NO_CLASSIFIER', 'The model has no classification head, so it gives no labels', {
        help: heads.length > 0 ? `name one of its heads: ${heads.join(', ')}` : 'ask it for embeddings instead',
      })
    },
    encoder() {
      if (!isEncoder)
        throw new InputError(
          'NO_EMBEDDING',
          `The model has no embeddings: it is of the kind ${description.kind}, no encoder`,
          {
            help: 'serve an encoder beside it, and name that in "model"',
          },
        )
      encoder ??= openSentenceEncoder(folder, { threads, ...(own ? { classifier: own.scorer.parts } : {}) })
      return encoder
    },
    async refuseLong(texts, most) {
      if (most === undefined) return
      tokenizer ??= loadTokenizer(folder)
      const { encode } = await tokenizer
      const long = texts.findIndex((text) => encode(text, most + 1).length > most)
      if (long >= 0)
        throw new InputError('TEXT_TOO_LONG', `Expected at most ${most} tokens, text ${long + 1} has more`, {
          help: 'shorten it, or leave "truncate" out to have it cut',
        })
    },
    async close() {
      await own?.close()
      await tasks?.close()
      const open = await encoder?.catch(() => undefined) // one that failed to open has nothing to close
      await open?.close()
    },
  }
}

/** Any checkpoint may carry id2label; only the architecture says that it classifies. A config without architectures gets the benefit of the doubt. */
function isClassifier(config: Record<string, unknown>): boolean {
  const { architectures } = config
  return !Array.isArray(architectures) || architectures.some((name) => String(name).endsWith('SequenceClassification'))
}
