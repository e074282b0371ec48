/** What a classifier is made of, for verbs that look inside of it: explanations, exports. */
import type { Tokenizer } from '../text/tokenizer-json.ts'
import type { EncoderModel } from './encoder.ts'
import type { NgramModel } from './ngram.ts'

export interface NgramModelParts {
  readonly kind: 'ngram'
  readonly model: NgramModel
}

export interface EncoderModelParts {
  readonly kind: 'encoder'
  readonly model: EncoderModel
  /** By state dict key; not to be changed. */
  readonly weights: ReadonlyMap<string, Float32Array>
  readonly tokenizer: Tokenizer
  /** Tokens per text, special ones included; the rest is cut. */
  readonly maxLength: number
  readonly threads: number
  /** Logits of token ids, special tokens included, one array per row. */
  run(ids: readonly Int32Array[], options?: { signal?: AbortSignal }): Promise<Float32Array[]>
}

export type ModelParts = NgramModelParts | EncoderModelParts
