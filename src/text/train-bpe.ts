/** Learns a byte-pair-encoding vocabulary (Sennrich, Haddow and Birch, 2016) from texts: characters, an end-of-word mark, and merges in order. */
import {
  bertTokenizerJson,
  countWords,
  firstSymbols,
  type TokenizerJson,
  type VocabularyOptions,
  vocabularyOf,
} from './bert-tokenizer-json.ts'
import { learnMerges } from './learn-merges.ts'

const wordEnd = '</w>'

/**
 * Trains a BPE tokenizer and returns it as a tokenizer.json object, which Hugging Face's tokenizers load too. Normaliser, words and special
 * tokens are BERT's; characters never seen become [UNK].
 *
 * Throws InputError `TEXTS_EMPTY` if no text holds a word.
 *
 * @example
 * const json = trainBpe(['book a table', 'book a flight'], { vocabularySize: 64 })
 */
export function trainBpe(texts: Iterable<string>, options: VocabularyOptions = {}): TokenizerJson {
  const { normalizer, words, vocabularySize, minFrequency } = countWords(texts, options)
  for (const [symbols] of words) symbols[symbols.length - 1] += wordEnd
  const symbols = firstSymbols(words)
  const merges = learnMerges(words, symbols, {
    maxSymbols: vocabularySize,
    minFrequency,
    join: (left, right) => left + right,
  })
  const vocabulary = vocabularyOf(symbols)
  return bertTokenizerJson(
    {
      type: 'BPE',
      dropout: null,
      unk_token: '[UNK]',
      continuing_subword_prefix: null,
      end_of_word_suffix: wordEnd,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: vocabulary,
      merges: merges.map(({ left, right }) => [left, right]),
    },
    { type: 'BPEDecoder', suffix: wordEnd },
    (token) => vocabulary[token],
    normalizer,
  )
}
