/** The older BERT layout: a vocab.txt with one token a line, turned into a tokenizer.json. */
import { InputError } from '../util/errors.ts'
import { bertTokenizerJson, type TokenizerJson, vocabularyOf } from './bert-tokenizer-json.ts'

/**
 * The tokenizer.json of a BERT vocabulary file. `config` is tokenizer_config.json: do_lower_case, strip_accents and
 * tokenize_chinese_chars are honoured.
 *
 * Throws InputError `VOCABULARY_MALFORMED` with the line of an empty or repeated token, or if [UNK] is missing.
 */
export function tokenizerFromVocabulary(text: string, file: string, config: Record<string, unknown>): TokenizerJson {
  const tokens = text.split(/\r?\n/)
  if (tokens.at(-1) === '') tokens.pop()
  const seen = new Map<string, number>()
  for (const [i, token] of tokens.entries()) {
    const earlier = seen.get(token)
    if (token === '' || earlier !== undefined)
      throw new InputError(
        'VOCABULARY_MALFORMED',
        token === ''
          ? 'Expected a token, found an empty line'
          : `The token ${JSON.stringify(token)} stands on line ${earlier! + 1} too`,
        { where: { file, line: i + 1 }, help: 'fetch the file again; each line is one token' },
      )
    seen.set(token, i)
  }
  const unknown = typeof config['unk_token'] === 'string' ? config['unk_token'] : '[UNK]'
  if (!seen.has(unknown))
    throw new InputError('VOCABULARY_MALFORMED', `The vocabulary has no ${unknown}`, {
      where: { file },
      help: 'check that this is a BERT vocabulary',
    })
  const lowercase = config['do_lower_case'] !== false
  return bertTokenizerJson(
    {
      type: 'WordPiece',
      unk_token: unknown,
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: vocabularyOf(tokens),
    },
    { type: 'WordPiece', prefix: '##', cleanup: true },
    (token) => seen.get(token),
    {
      cleanText: true,
      handleChineseChars: config['tokenize_chinese_chars'] !== false,
      stripAccents: typeof config['strip_accents'] === 'boolean' ? config['strip_accents'] : lowercase,
      lowercase,
    },
  )
}
