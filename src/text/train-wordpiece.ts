/**
 * Learns a WordPiece vocabulary (Schuster and Nakajima, 2012; Wu et al., 2016) from texts. As in Hugging Face's trainer, pieces are chosen by
 * pair frequency (Sennrich et al., 2016), and applied by longest match from the left.
 */
import {
  bertTokenizerJson,
  countWords,
  firstSymbols,
  type TokenizerJson,
  type VocabularyOptions,
  vocabularyOf,
} from './bert-tokenizer-json.ts'
import { learnMerges } from './learn-merges.ts'

/** The mark of a piece that continues a word. */
const prefix = '##'

/**
 * Trains a WordPiece tokenizer and returns it as a tokenizer.json object, which Hugging Face's tokenizers load too. Texts may be in any
 * script. Equal texts and options give equal vocabularies.
 *
 * Throws InputError `TEXTS_EMPTY` if no text holds a word.
 *
 * @example
 * const json = trainWordPiece(['book a table', 'book a flight'], { vocabularySize: 64 })
 * const tokenizer = await tokenizerFrom(json)
 */
export function trainWordPiece(texts: Iterable<string>, options: VocabularyOptions = {}): TokenizerJson {
  const { normalizer, words, vocabularySize, minFrequency } = countWords(texts, options)
  for (const [symbols] of words) for (let i = 1; i < symbols.length; i++) symbols[i] = prefix + symbols[i]
  const symbols = firstSymbols(words)
  learnMerges(words, symbols, {
    maxSymbols: vocabularySize,
    minFrequency,
    join: (left, right) => left + right.slice(prefix.length), // the right piece always continues a word
  })
  const vocabulary = vocabularyOf(symbols)
  return bertTokenizerJson(
    {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: prefix,
      max_input_chars_per_word: 100,
      vocab: vocabulary,
    },
    { type: 'WordPiece', prefix, cleanup: true },
    (token) => vocabulary[token],
    normalizer,
  )
}
