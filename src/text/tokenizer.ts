/** The tokenizer of a model folder; what a tokenizer is, and how it is made of its JSON, stands in tokenizer-json.ts. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomic } from '../util/atomic.ts'
import { InputError, systemError } from '../util/errors.ts'
import { decodeUtf8, readJson } from '../util/json.ts'
import { type Tokenizer, tokenizerFrom } from './tokenizer-json.ts'
import { tokenizerFromVocabulary } from './vocabulary-file.ts'

export { type TokenBatch, type Tokenizer, tokenizerFrom } from './tokenizer-json.ts'

/**
 * Loads the tokenizer of a model folder: tokenizer.json with tokenizer_config.json, or a BERT vocab.txt.
 *
 * Throws InputError `TOKENIZER_MISSING`, `TOKENIZER_MALFORMED`, `TOKENIZER_UNSUPPORTED`, `VOCABULARY_MALFORMED`, `JSON_MALFORMED`.
 *
 * @example
 * const tokenizer = await loadTokenizer('demo-out/model')
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  const names = await readdir(folder).catch((error: unknown) => {
    throw systemError(error) ?? error
  })
  const readObject = async (name: string): Promise<Record<string, unknown>> => {
    const value = await readJson(join(folder, name))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
    throw new InputError('TOKENIZER_MALFORMED', 'Expected a JSON object', {
      where: { file: join(folder, name) },
      help: 'fetch the file again',
    })
  }
  const config = names.includes('tokenizer_config.json') ? await readObject('tokenizer_config.json') : {}
  if (names.includes('tokenizer.json'))
    return tokenizerFrom(await readObject('tokenizer.json'), config, join(folder, 'tokenizer.json'))
  if (names.includes('vocab.txt')) {
    const file = join(folder, 'vocab.txt')
    return tokenizerFrom(tokenizerFromVocabulary(decodeUtf8(await readFile(file), file), file, config), config, file)
  }
  throw new InputError('TOKENIZER_MISSING', 'The folder holds no tokenizer.json', {
    where: { file: folder },
    help: `make one: python -c "from transformers import AutoTokenizer as T; T.from_pretrained('FOLDER').save_pretrained('FOLDER')"`,
  })
}

/** Writes tokenizer.json and tokenizer_config.json into an existing folder. */
export async function saveTokenizer(tokenizer: Tokenizer, folder: string): Promise<void> {
  for (const [name, text] of Object.entries(tokenizer.files())) await writeFileAtomic(join(folder, name), text)
}
