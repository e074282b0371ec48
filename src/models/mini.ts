/** `mini`: a small encoder trained from scratch. It has BERT's shape, so it is saved and loaded as a BERT checkpoint. */
import type { EncoderConfig } from './encoder.ts'
import { readEncoderConfig } from './encoder-config.ts'

/** BERT's 0.02 is for wide layers; at a width of 128 it learns much more slowly from scratch. */
const initializerRange = 0.05

export interface MiniOptions {
  vocabularySize: number
  /** Default 4. */
  layers?: number
  /** A multiple of `heads`; default 128. */
  hiddenSize?: number
  /** Default one head for each 32 of the hidden size. */
  heads?: number
  /** Default four times the hidden size. */
  intermediateSize?: number
  /** Longest input in tokens; default 512. */
  maxLength?: number
  /** Dropout everywhere; default 0.1. */
  dropout?: number
  /** Default 0. */
  padTokenId?: number
}

/**
 * Configuration of a small BERT; its `source` is the config.json to save.
 * @throws InputError `CONFIG_HEADS` if the hidden size is not a multiple of the heads.
 */
export function miniConfig(options: MiniOptions): EncoderConfig {
  const { vocabularySize, layers = 4, hiddenSize = 128, maxLength = 512, dropout = 0.1, padTokenId = 0 } = options
  return readEncoderConfig({
    architectures: ['BertForSequenceClassification'],
    model_type: 'bert',
    vocab_size: vocabularySize,
    hidden_size: hiddenSize,
    num_hidden_layers: layers,
    num_attention_heads: options.heads ?? Math.max(1, Math.round(hiddenSize / 32)),
    intermediate_size: options.intermediateSize ?? 4 * hiddenSize,
    hidden_act: 'gelu',
    hidden_dropout_prob: dropout,
    attention_probs_dropout_prob: dropout,
    max_position_embeddings: maxLength,
    type_vocab_size: 2,
    initializer_range: initializerRange,
    layer_norm_eps: 1e-12,
    pad_token_id: padTokenId,
    position_embedding_type: 'absolute',
  })
}
