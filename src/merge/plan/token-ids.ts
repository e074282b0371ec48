/** The tokens of a tokenizer.json and their ids, and the union of several: what the rows of embeddings stand for. */
import { join } from 'node:path'
import { readJsonObject } from '../../checkpoint/checkpoint.ts'
import { InputError } from '../../util/errors.ts'

interface AddedToken {
  readonly id: number
  readonly content: string
  readonly [key: string]: unknown
}

export interface TokenizerFile {
  readonly json: Record<string, unknown>
  readonly ids: ReadonlyMap<string, number>
  readonly added: ReadonlyMap<string, AddedToken>
}

/** Reads a folder's tokenizer.json; undefined if it has none. Throws InputError `TOKENIZER_MALFORMED`. */
export async function readTokenizerFile(folder: string): Promise<TokenizerFile | undefined> {
  const file = join(folder, 'tokenizer.json')
  const json = await readJsonObject(file).catch((error: { code?: string }) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  return json && parseTokenizer(json, file)
}

export function parseTokenizer(json: Record<string, unknown>, file: string): TokenizerFile {
  const fault = () =>
    new InputError('TOKENIZER_MALFORMED', 'The tokenizer has no vocabulary that can be read', {
      where: { file, key: 'model › vocab' },
      help: 'save it again with the tokenizers library',
    })
  const vocabulary = (json['model'] as { vocab?: unknown } | undefined)?.vocab
  if (typeof vocabulary !== 'object' || vocabulary === null) throw fault()
  const entries: [string, number][] = Array.isArray(vocabulary)
    ? vocabulary.map((piece, id) => [String((piece as unknown[])[0]), id])
    : Object.entries(vocabulary as Record<string, number>)
  const ids = new Map(entries)
  const added = new Map<string, AddedToken>()
  for (const token of (json['added_tokens'] ?? []) as AddedToken[]) {
    added.set(token.content, token)
    ids.set(token.content, token.id)
  }
  if ([...ids.values()].some((id) => !Number.isInteger(id) || id < 0)) throw fault()
  return { json, ids, added }
}

/** One more than the largest id. */
export const idCount = ({ ids }: Pick<TokenizerFile, 'ids'>): number => Math.max(-1, ...ids.values()) + 1

const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: false }

/** The tokenizer with further tokens appended: as they are in the tokenizer that brings them, or as plain added tokens. */
export function withTokens(
  base: TokenizerFile,
  tokens: Iterable<readonly [string, AddedToken | undefined]>,
): TokenizerFile {
  const ids = new Map(base.ids)
  const added = new Map(base.added)
  let next = idCount(base)
  for (const [content, info] of tokens) {
    if (ids.has(content)) continue
    added.set(content, { ...plain, ...info, id: next, content })
    ids.set(content, next++)
  }
  const list = [...added.values()].sort((a, b) => a.id - b.id)
  return { json: { ...base.json, added_tokens: list }, ids, added }
}

/** The tokens of all, the base's ids unchanged, those of the others appended in order of model and id. */
export function unionOf(base: TokenizerFile, others: readonly TokenizerFile[]): TokenizerFile {
  return others.reduce((union, { ids, added }) => {
    const ordered = [...ids].sort(([, a], [, b]) => a - b)
    return withTokens(
      union,
      ordered.map(([token]) => [token, added.get(token)] as const),
    )
  }, base)
}
