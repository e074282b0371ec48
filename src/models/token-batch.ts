/** A batch of tokenised texts as the feeds of an encoder graph: rows of the token table and the mask, padded to the longest text. */
import type { HostArray } from '../graph/index.ts'
import { InputError } from '../util/errors.ts'
import type { EncoderConfig } from './encoder.ts'

/** What a batch must know of its model. */
export interface BatchModel {
  readonly config: Pick<EncoderConfig, 'maxLength' | 'vocabularySize'>
  /** Places left empty behind the first token of every text. */
  readonly prefix: number
}

export interface TokenBatch {
  /** Texts. */
  readonly B: number
  /** Length of the longest text, prefix included. */
  readonly S: number
  /** Token ids [B * S]; -1 in the prefix and where a text has ended. */
  readonly ids: Int32Array
  /** Feed of `attention_mask` [B, S]. */
  readonly mask: Float32Array
}

/** Pads texts to the longest. @throws InputError `TOKEN_LENGTH`, `TOKEN_ID` for ids that do not fit the encoder. */
export function tokenBatch(texts: readonly ArrayLike<number>[], { config, prefix }: BatchModel): TokenBatch {
  const S = prefix + texts.reduce((longest, text) => Math.max(longest, text.length), 1)
  if (S > config.maxLength)
    throw new InputError('TOKEN_LENGTH', `Expected at most ${config.maxLength} tokens in a text, received ${S}`, {
      help: 'truncate texts when they are tokenised (--max-length)',
    })
  const ids = new Int32Array(texts.length * S).fill(-1)
  const mask = new Float32Array(texts.length * S)
  for (const [b, text] of texts.entries()) {
    mask.fill(1, b * S, b * S + prefix + text.length)
    for (let s = 0; s < text.length; s++) {
      const id = text[s]!
      if (!(id >= 0 && id < config.vocabularySize))
        throw new InputError('TOKEN_ID', `Expected token ids below ${config.vocabularySize}, received ${id}`, {
          help: 'tokenizer.json and config.json do not belong together',
          data: { text: b, position: s },
        })
      ids[b * S + s + (s > 0 ? prefix : 0)] = id
    }
  }
  return { B: texts.length, S, ids, mask }
}

/** The feeds of a batch: the rows of its tokens, the mask, and the ids for a model that reads them. */
export function batchFeeds(
  { ids, mask }: Pick<TokenBatch, 'ids' | 'mask'>,
  tokenRows: Float32Array,
  { readsIds }: { readonly readsIds: boolean },
): Record<string, HostArray> {
  const feeds = { tokenRows, attention_mask: mask }
  return readsIds ? { ...feeds, token_ids: BigInt64Array.from(ids, (id) => BigInt(Math.max(0, id))) } : feeds
}

/** Copies the rows of the token table [vocabulary, hidden] into the feed `tokenRows` [B, S, hidden]; zeros for padding. */
export function gatherRows(
  { ids }: Pick<TokenBatch, 'ids'>,
  table: Float32Array,
  hiddenSize: number,
  target: Float32Array = new Float32Array(ids.length * hiddenSize),
): Float32Array {
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!
    if (id < 0) target.fill(0, i * hiddenSize, (i + 1) * hiddenSize)
    else target.set(table.subarray(id * hiddenSize, (id + 1) * hiddenSize), i * hiddenSize)
  }
  return target
}
