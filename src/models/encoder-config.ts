/** Reads a Hugging Face config.json of the BERT family. Defaults are those of transformers. */
import * as v from 'valibot'
import { InputError } from '../util/errors.ts'
import { didYouMean } from '../util/suggest.ts'
import type { Activation, EncoderConfig, EncoderFamily } from './encoder.ts'
import { slotKey, slotSchema } from './slots/slot-config.ts'

const families: Record<string, EncoderFamily> = {
  bert: 'bert',
  roberta: 'roberta',
  'xlm-roberta': 'roberta',
  camembert: 'roberta',
  distilbert: 'distilbert',
  gru: 'gru',
}

const activations: Record<string, Activation> = {
  gelu: 'gelu',
  gelu_new: 'gelu_new',
  gelu_pytorch_tanh: 'gelu_new',
  relu: 'relu',
  tanh: 'tanh',
  silu: 'silu',
  swish: 'silu',
}

const size = (fallback: number) => v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), fallback)
const count = (fallback: number) => v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), fallback)
const rate = (fallback: number) => v.optional(v.pipe(v.number(), v.minValue(0), v.ltValue(1)), fallback)
const number = (fallback: number) => v.optional(v.pipe(v.number(), v.gtValue(0)), fallback)

const common = {
  vocab_size: size(30522),
  max_position_embeddings: size(512),
  initializer_range: number(0.02),
  position_embedding_type: v.optional(v.nullable(v.string())),
}

const bertSchema = v.object({
  ...common,
  hidden_size: size(768),
  num_hidden_layers: size(12),
  num_attention_heads: size(12),
  intermediate_size: size(3072),
  hidden_act: v.optional(v.string(), 'gelu'),
  hidden_dropout_prob: rate(0.1),
  attention_probs_dropout_prob: rate(0.1),
  classifier_dropout: v.optional(v.nullable(v.pipe(v.number(), v.minValue(0), v.ltValue(1)))),
  type_vocab_size: count(2),
  layer_norm_eps: number(1e-12),
  pad_token_id: v.optional(v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0)))),
})

const distilbertSchema = v.object({
  ...common,
  dim: size(768),
  n_layers: size(6),
  n_heads: size(12),
  hidden_dim: size(3072),
  activation: v.optional(v.string(), 'gelu'),
  dropout: rate(0.1),
  attention_dropout: rate(0.1),
  seq_classif_dropout: rate(0.2),
  pad_token_id: v.optional(v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0)))),
})

const gruSchema = v.object({
  ...common,
  hidden_size: size(128),
  num_hidden_layers: size(1),
  hidden_dropout_prob: rate(0.1),
  classifier_dropout: v.optional(v.nullable(v.pipe(v.number(), v.minValue(0), v.ltValue(1)))),
  pad_token_id: v.optional(v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0)))),
})

/**
 * The configuration of an encoder.
 * @param json a parsed config.json.
 * @param file its path, for messages.
 * @throws InputError `CONFIG_FAMILY`, `CONFIG_VALUE`, `CONFIG_ACTIVATION`, `CONFIG_HEADS`, `CONFIG_POSITIONS`
 * @example
 * const config = readEncoderConfig({ model_type: 'bert', hidden_size: 384, num_attention_heads: 12 })
 */
export function readEncoderConfig(json: Readonly<Record<string, unknown>>, file = 'config.json'): EncoderConfig {
  const type = json['model_type']
  const family = typeof type === 'string' ? families[type] : undefined
  if (!family) {
    const names = Object.keys(families)
    throw new InputError(
      'CONFIG_FAMILY',
      `Expected an encoder of the BERT family, received model_type ${JSON.stringify(type)}`,
      {
        where: { file, key: 'model_type' },
        help: didYouMean(String(type), names, `it may be one of ${names.join(', ')}`),
      },
    )
  }
  const config =
    family === 'distilbert'
      ? fromDistilbert(json, file)
      : family === 'gru'
        ? fromGru(json, file)
        : fromBert(json, file, family)
  if (config.hiddenSize % config.heads !== 0)
    throw new InputError(
      'CONFIG_HEADS',
      `Hidden size ${config.hiddenSize} is not a multiple of ${config.heads} heads`,
      {
        where: { file },
        help: 'check hidden_size and num_attention_heads',
      },
    )
  if (config.maxLength < 1)
    throw new InputError('CONFIG_VALUE', `Expected more than ${config.positionOffset} positions`, {
      where: { file, key: 'max_position_embeddings' },
    })
  const positions = json['position_embedding_type'] ?? 'absolute'
  if (positions !== 'absolute')
    throw new InputError('CONFIG_POSITIONS', `Expected absolute positions, received ${JSON.stringify(positions)}`, {
      where: { file, key: 'position_embedding_type' },
      help: 'relative positions are not supported',
    })
  const slots = json[slotKey]
  return slots === undefined ? config : { ...config, slots: parse(slotSchema, slots, file) }
}

function parse<T extends v.GenericSchema>(schema: T, json: unknown, file: string): v.InferOutput<T> {
  const result = v.safeParse(schema, json)
  if (result.success) return result.output
  const issue = result.issues[0]
  throw new InputError('CONFIG_VALUE', issue.message, {
    where: { file, key: v.getDotPath(issue) ?? '' },
    help: 'correct the value, or take the config.json that came with the checkpoint',
  })
}

function activationOf(name: string, key: string, file: string): Activation {
  const activation = activations[name]
  if (!activation)
    throw new InputError('CONFIG_ACTIVATION', `Unknown activation ${JSON.stringify(name)}`, {
      where: { file, key },
      help: `it may be one of ${Object.keys(activations).join(', ')}`,
    })
  return activation
}

function fromBert(json: Readonly<Record<string, unknown>>, file: string, family: EncoderFamily): EncoderConfig {
  const c = parse(bertSchema, json, file)
  const padTokenId = c.pad_token_id ?? (family === 'roberta' ? 1 : 0)
  const positionOffset = family === 'roberta' ? padTokenId + 1 : 0
  return {
    family,
    vocabularySize: c.vocab_size,
    hiddenSize: c.hidden_size,
    layers: c.num_hidden_layers,
    heads: c.num_attention_heads,
    intermediateSize: c.intermediate_size,
    maxLength: c.max_position_embeddings - positionOffset,
    positionOffset,
    tokenTypes: c.type_vocab_size,
    activation: activationOf(c.hidden_act, 'hidden_act', file),
    layerNormEpsilon: c.layer_norm_eps,
    hiddenDropout: c.hidden_dropout_prob,
    attentionDropout: c.attention_probs_dropout_prob,
    classifierDropout: c.classifier_dropout ?? c.hidden_dropout_prob,
    initializerRange: c.initializer_range,
    padTokenId,
    source: json,
  }
}

function fromDistilbert(json: Readonly<Record<string, unknown>>, file: string): EncoderConfig {
  const c = parse(distilbertSchema, json, file)
  return {
    family: 'distilbert',
    vocabularySize: c.vocab_size,
    hiddenSize: c.dim,
    layers: c.n_layers,
    heads: c.n_heads,
    intermediateSize: c.hidden_dim,
    maxLength: c.max_position_embeddings,
    positionOffset: 0,
    tokenTypes: 0,
    activation: activationOf(c.activation, 'activation', file),
    layerNormEpsilon: 1e-12,
    hiddenDropout: c.dropout,
    attentionDropout: c.attention_dropout,
    classifierDropout: c.seq_classif_dropout,
    initializerRange: c.initializer_range,
    padTokenId: c.pad_token_id ?? 0,
    source: json,
  }
}

function fromGru(json: Readonly<Record<string, unknown>>, file: string): EncoderConfig {
  const c = parse(gruSchema, json, file)
  if (c.hidden_size % 2 !== 0)
    throw new InputError(
      'CONFIG_VALUE',
      `Expected an even hidden_size, half for each direction, received ${c.hidden_size}`,
      {
        where: { file, key: 'hidden_size' },
      },
    )
  return {
    family: 'gru',
    vocabularySize: c.vocab_size,
    hiddenSize: c.hidden_size,
    layers: c.num_hidden_layers,
    heads: 1,
    intermediateSize: 0,
    maxLength: c.max_position_embeddings,
    positionOffset: 0,
    tokenTypes: 0,
    activation: 'tanh',
    layerNormEpsilon: 1e-12,
    hiddenDropout: c.hidden_dropout_prob,
    attentionDropout: 0,
    classifierDropout: c.classifier_dropout ?? c.hidden_dropout_prob,
    initializerRange: c.initializer_range,
    padTokenId: c.pad_token_id ?? 0,
    source: json,
  }
}
