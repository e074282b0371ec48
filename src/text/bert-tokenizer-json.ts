/** The frame of a tokenizer.json in the manner of BERT: normaliser, pre-tokeniser, [CLS] text [SEP], and room for any model. */
import { InputError } from '../util/errors.ts'
import { type BertNormalizerOptions, bertNormalize, bertWords } from './bert-normalizer.ts'

/** BERT's special tokens; a trained vocabulary begins with them, in this order. */
export const bertSpecialTokens = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'] as const

export interface TokenizerJson {
  version: string
  truncation: null
  padding: null
  added_tokens: Record<string, unknown>[]
  normalizer: Record<string, unknown> | null
  pre_tokenizer: Record<string, unknown> | null
  post_processor: Record<string, unknown> | null
  decoder: Record<string, unknown> | null
  model: Record<string, unknown> & { type: string }
}

export interface VocabularyOptions {
  /** Number of tokens, special ones included (default 8192). Fewer if the texts hold no more pairs. */
  vocabularySize?: number
  /** A pair must occur this often to be merged (default 2). */
  minFrequency?: number
  /** Lower case and strip accents (default true). */
  lowercase?: boolean
  /** Keep at most this many characters, the most frequent (default: half the vocabulary). */
  maxAlphabet?: number
}

/** A tokenizer.json of BERT's kind around a model. `idOf` gives the ids of [CLS] and its like. */
export function bertTokenizerJson(
  model: TokenizerJson['model'],
  decoder: Record<string, unknown>,
  idOf: (token: string) => number | undefined,
  normalizer: BertNormalizerOptions,
): TokenizerJson {
  const special = (token: string) => ({ SpecialToken: { id: token, type_id: 0 } })
  const present = bertSpecialTokens.filter((token) => idOf(token) !== undefined)
  const framed = idOf('[CLS]') !== undefined && idOf('[SEP]') !== undefined
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: present
      .map((content) => ({
        id: idOf(content)!,
        content,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      }))
      .sort((a, b) => a.id - b.id),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: normalizer.cleanText,
      handle_chinese_chars: normalizer.handleChineseChars,
      strip_accents: normalizer.stripAccents,
      lowercase: normalizer.lowercase,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: framed
      ? {
          type: 'TemplateProcessing',
          single: [special('[CLS]'), { Sequence: { id: 'A', type_id: 0 } }, special('[SEP]')],
          pair: [
            special('[CLS]'),
            { Sequence: { id: 'A', type_id: 0 } },
            special('[SEP]'),
            { Sequence: { id: 'B', type_id: 1 } },
            { SpecialToken: { id: '[SEP]', type_id: 1 } },
          ],
          special_tokens: Object.fromEntries(
            ['[CLS]', '[SEP]'].map((token) => [token, { id: token, ids: [idOf(token)!], tokens: [token] }]),
          ),
        }
      : null,
    decoder,
    model,
  }
}

/** What training shares: normaliser settings, every word with its count, and the alphabet, most frequent characters first. */
export function countWords(
  texts: Iterable<string>,
  options: VocabularyOptions,
): { normalizer: BertNormalizerOptions; words: [string[], number][]; vocabularySize: number; minFrequency: number } {
  const { vocabularySize = 8192, minFrequency = 2, lowercase = true } = options
  const maxAlphabet = options.maxAlphabet ?? Math.max(1, Math.floor((vocabularySize - bertSpecialTokens.length) / 2))
  const normalizer = { cleanText: true, handleChineseChars: true, stripAccents: lowercase, lowercase }
  const counts = new Map<string, number>()
  for (const text of texts)
    for (const word of bertWords(bertNormalize(text, normalizer))) counts.set(word, (counts.get(word) ?? 0) + 1)
  if (counts.size === 0)
    throw new InputError('TEXTS_EMPTY', 'Expected texts with words to learn a vocabulary from, received none', {
      help: 'check the text column',
    })
  const characters = new Map<string, number>()
  for (const [word, count] of counts)
    for (const character of word) characters.set(character, (characters.get(character) ?? 0) + count)
  const kept = [...characters]
    .sort(([a, n], [b, m]) => m - n || a.codePointAt(0)! - b.codePointAt(0)!)
    .slice(0, maxAlphabet)
  const alphabet = new Set(kept.map(([character]) => character))
  const words: [string[], number][] = []
  for (const [word, count] of counts) {
    const symbols = [...word]
    // Longer "words" become [UNK] anyway, and one with a character outside the alphabet has no use for merges.
    if (symbols.length <= 100 && symbols.every((symbol) => alphabet.has(symbol))) words.push([symbols, count])
  }
  return { normalizer, words, vocabularySize, minFrequency }
}

/** Every symbol of the words, most frequent first, after the special tokens. */
export function firstSymbols(words: Iterable<[string[], number]>): string[] {
  const counts = new Map<string, number>()
  for (const [symbols, count] of words)
    for (const symbol of symbols) counts.set(symbol, (counts.get(symbol) ?? 0) + count)
  const sorted = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).map(([symbol]) => symbol)
  return [...bertSpecialTokens, ...sorted]
}

/** Token to id, in the order of the symbols. */
export function vocabularyOf(symbols: readonly string[]): Record<string, number> {
  return Object.fromEntries(symbols.map((symbol, id) => [symbol, id]))
}
