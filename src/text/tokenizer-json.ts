/** Tokenizers as Hugging Face checkpoints define them (tokenizer.json), run by @huggingface/tokenizers: text to token ids, with special tokens. */
import type { Tokenizer as InnerTokenizer } from '@huggingface/tokenizers'
import { InputError } from '../util/errors.ts'
import { bertNormalize, bertNormalizerOptions } from './bert-normalizer.ts'
import type { TokenizerJson } from './bert-tokenizer-json.ts'
import { type TokenSpan, tokenSpans } from './token-offsets.ts'

/** Texts as token ids: text i has `ids[offsets[i]]` to `ids[offsets[i + 1] - 1]`. */
export interface TokenBatch {
  ids: Int32Array
  offsets: Int32Array
}

export interface Tokenizer {
  /** Token ids with special tokens, cut to at most `maxLength` ids (at least the special tokens). */
  encode(text: string, maxLength: number): Int32Array
  encodeBatch(texts: readonly string[], maxLength: number): TokenBatch
  /** The tokens of a text without special ones, each with its place in the text. */
  tokens(text: string): TokenSpan[]
  tokenOf(id: number): string | undefined
  idOf(token: string): number | undefined
  readonly padId: number
  /** The token that stands for a hidden one (`[MASK]`, `<mask>`); undefined if the vocabulary has none. */
  readonly maskId: number | undefined
  /** Special ids before and after every text. */
  readonly frame: { readonly prefix: readonly number[]; readonly suffix: readonly number[] }
  /** One more than the largest id. */
  readonly vocabularySize: number
  /** The longest input the model takes by its tokenizer_config.json, if it says. */
  readonly modelMaxLength: number | undefined
  /** The text of tokenizer.json and tokenizer_config.json. */
  files(): Record<string, string>
}

/** A cut text must give this many tokens more than are needed, so that what was cut off cannot matter. */
const margin = 32

/**
 * A Tokenizer from a tokenizer.json object and, where there is one, tokenizer_config.json.
 *
 * Throws InputError `TOKENIZER_MALFORMED` or `TOKENIZER_UNSUPPORTED`, with `file` as the place.
 *
 * @example
 * const tokenizer = await tokenizerFrom(trainWordPiece(texts))
 * tokenizer.encode('book a table', 64)
 */
export async function tokenizerFrom(
  json: TokenizerJson | Record<string, unknown>,
  config: Record<string, unknown> = {},
  file = 'tokenizer.json',
): Promise<Tokenizer> {
  const { Tokenizer: Inner } = await import('@huggingface/tokenizers')
  const { model } = json as Record<string, unknown> as { model?: Record<string, unknown> | null }
  if (typeof model?.['vocab'] !== 'object' || model['vocab'] === null)
    throw new InputError('TOKENIZER_MALFORMED', 'Expected a tokenizer with "model" and "model.vocab"', {
      where: { file },
      help: 'fetch the file again, or save it with: tokenizer.save_pretrained(FOLDER)',
    })
  const absent = { added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null }
  const whole: Record<string, unknown> = { ...absent, ...json }
  let inner: InnerTokenizer
  try {
    inner = new Inner(whole, config)
  } catch (cause) {
    throw new InputError(
      'TOKENIZER_UNSUPPORTED',
      `The tokenizer cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        where: { file },
        help: 'check the file with Hugging Face tokenizers',
        cause,
      },
    )
  }
  const normalizer = whole['normalizer'] as Record<string, unknown> | null
  if (normalizer?.['type'] === 'BertNormalizer') {
    const options = bertNormalizerOptions(normalizer)
    inner.normalizer = ((text: string) => bertNormalize(text, options)) as unknown as InnerTokenizer['normalizer']
  }
  return wrap(inner, whole, config)
}

function wrap(inner: InnerTokenizer, json: Record<string, unknown>, config: Record<string, unknown>): Tokenizer {
  const idOf = (token: string) => inner.token_to_id(token)
  const { prefix, suffix } = specialFrame(inner)
  const added = addedTokens(inner)
  const vocabularySize = [...inner.get_vocab().values()].reduce((most, id) => Math.max(most, id + 1), 0)
  const bytes = /"type":"ByteLevel"/.test(JSON.stringify([json['pre_tokenizer'], json['decoder']]))
  const unknown = (json['model'] as Record<string, unknown>)['unk_token']
  const surfaceOf = (token: string) =>
    token === unknown ? undefined : surface(token, json['model'] as Record<string, unknown>)
  const plainIds =
    wordwise(inner, added, config) ?? ((text: string) => inner.encode(text, { add_special_tokens: false }).ids)

  /** The first `count` ids of a text; of a text far longer than needed, only a beginning is looked at. */
  const firstIds = (text: string, count: number): number[] => {
    for (let length = 16 * (count + margin); length < text.length; length *= 4) {
      const ids = plainIds(text.slice(0, cutPoint(text, length)))
      if (ids.length >= count + margin) return ids.slice(0, count)
    }
    const ids = plainIds(text)
    return ids.length > count ? ids.slice(0, count) : ids
  }

  const encode = (text: string, maxLength: number): Int32Array => {
    const ids = firstIds(text, Math.max(0, maxLength - prefix.length - suffix.length))
    const result = new Int32Array(prefix.length + ids.length + suffix.length)
    result.set(prefix)
    result.set(ids, prefix.length)
    result.set(suffix, prefix.length + ids.length)
    return result
  }
  const files = () => ({
    'tokenizer.json': `${JSON.stringify(json)}\n`,
    'tokenizer_config.json': `${JSON.stringify(Object.keys(config).length > 0 ? config : defaultConfig(idOf), null, 2)}\n`,
  })
  return {
    encode,
    encodeBatch(texts, maxLength) {
      const rows = texts.map((text) => encode(text, maxLength))
      const offsets = new Int32Array(rows.length + 1)
      for (const [i, row] of rows.entries()) offsets[i + 1] = offsets[i]! + row.length
      const ids = new Int32Array(offsets[rows.length]!)
      for (const [i, row] of rows.entries()) ids.set(row, offsets[i]!)
      return { ids, offsets }
    },
    tokens(text) {
      const tokens = inner.tokenize(text)
      const normalize = (part: string) => (inner.normalizer ? inner.normalizer(part) : part)
      return tokenSpans(tokens, text, normalize, added, bytes ? 'bytes' : 'pieces', surfaceOf)
    },
    tokenOf: (id) => inner.id_to_token(id),
    idOf,
    padId: padIdOf(json, config, idOf),
    maskId: maskIdOf(config, idOf),
    frame: { prefix, suffix },
    vocabularySize,
    modelMaxLength: modelMaxLength(config),
    files,
  }
}

/** Matches any added token, as written or as normalised, in one group. */
function addedTokens(inner: InnerTokenizer): RegExp {
  const { normalizer } = inner
  const contents = [...inner.get_added_tokens_decoder().values()].flatMap((token) =>
    token.normalized && normalizer ? [token.content, normalizer(token.content)] : [token.content],
  )
  const longestFirst = contents.filter((content) => content !== '').sort((a, b) => b.length - a.length)
  return new RegExp(
    `(${longestFirst.map((content) => content.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')).join('|') || '$^'})`,
  )
}

/** Words whose ids are remembered; beyond that the memory starts anew. */
const rememberedWords = 50_000

/**
 * Encoding word by word with the ids of each word remembered, since texts repeat their words; undefined where words depend on one another.
 * Texts that may hold an added token go the inner tokenizer's way.
 */
function wordwise(
  inner: InnerTokenizer,
  added: RegExp,
  config: Record<string, unknown>,
): ((text: string) => number[]) | undefined {
  const { model, normalizer, pre_tokenizer: split } = inner
  if (!model || !split || model.fuse_unk || config['remove_space'] || config['do_lowercase_and_remove_accent'])
    return undefined
  let memory = new Map<string, number[]>()
  const wordIds = (word: string): number[] => {
    let ids = memory.get(word)
    if (!ids) {
      const tokens: string[] = model([word])
      ids = tokens.map((token) => model.tokens_to_ids.get(token) ?? model.unk_token_id!)
      if (memory.size >= rememberedWords) memory = new Map()
      if (word.length <= 64) memory.set(word, ids)
    }
    return ids
  }
  return (text) => {
    const normal = normalizer ? normalizer(text) : text
    if (added.test(text) || added.test(normal)) return inner.encode(text, { add_special_tokens: false }).ids
    return normal === '' ? [] : split(normal, { section_index: 0 }).flatMap(wordIds)
  }
}

/** The special ids before and after a text, found by framing one ordinary token. */
function specialFrame(inner: InnerTokenizer): { prefix: number[]; suffix: number[] } {
  if (!inner.post_processor) return { prefix: [], suffix: [] }
  const mark = '\0text\0'
  const { tokens } = inner.post_processor([mark], null, true)
  const at = tokens.indexOf(mark)
  const ids = (part: string[]) => part.map((token) => inner.token_to_id(token)!)
  return at < 0 ? { prefix: [], suffix: [] } : { prefix: ids(tokens.slice(0, at)), suffix: ids(tokens.slice(at + 1)) }
}

/** Where to cut a text of which only about `length` characters are needed: before white space if there is some near, never inside a character. */
function cutPoint(text: string, length: number): number {
  const near = text.slice(length - 256, length).search(/\s(?=\S*$)/)
  if (near >= 0) return length - 256 + near
  const code = text.charCodeAt(length)
  return code >= 0xdc00 && code <= 0xdfff ? length - 1 : length
}

/** The characters that a token stands for. */
function surface(token: string, model: Record<string, unknown>): string {
  const continuing = model['continuing_subword_prefix'] ?? (model['type'] === 'WordPiece' ? '##' : undefined)
  const ending = model['end_of_word_suffix']
  if (typeof continuing === 'string' && token.startsWith(continuing) && token.length > continuing.length)
    token = token.slice(continuing.length)
  if (typeof ending === 'string' && token.endsWith(ending)) token = token.slice(0, -ending.length)
  return token.replaceAll('\u2581', ' ').trim()
}

function tokenText(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  const content = (value as { content?: unknown } | null | undefined)?.content
  return typeof content === 'string' ? content : undefined
}

function padIdOf(
  json: Record<string, unknown>,
  config: Record<string, unknown>,
  idOf: (token: string) => number | undefined,
): number {
  const named = tokenText(config['pad_token'])
  const padding = json['padding'] as { pad_id?: unknown } | null | undefined
  const stated = typeof padding?.pad_id === 'number' ? padding.pad_id : undefined
  return (named === undefined ? undefined : idOf(named)) ?? stated ?? idOf('[PAD]') ?? idOf('<pad>') ?? 0
}

function maskIdOf(config: Record<string, unknown>, idOf: (token: string) => number | undefined): number | undefined {
  const named = tokenText(config['mask_token'])
  return (named === undefined ? undefined : idOf(named)) ?? idOf('[MASK]') ?? idOf('<mask>')
}

/** transformers writes a number near 10^30 where there is no limit. */
function modelMaxLength(config: Record<string, unknown>): number | undefined {
  const value = config['model_max_length']
  return typeof value === 'number' && value > 0 && value < 1e9 ? value : undefined
}

/** The tokenizer_config.json of a tokenizer that was trained here: transformers then knows the special tokens. */
function defaultConfig(idOf: (token: string) => number | undefined): Record<string, unknown> {
  const roles = { pad_token: '[PAD]', unk_token: '[UNK]', cls_token: '[CLS]', sep_token: '[SEP]', mask_token: '[MASK]' }
  const present = Object.entries(roles).filter(([, token]) => idOf(token) !== undefined)
  return { tokenizer_class: 'PreTrainedTokenizerFast', ...Object.fromEntries(present) }
}
