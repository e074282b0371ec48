/** Reads JSON files; parsing itself needs no file system and stands in parse-json.ts. */
import { readFile } from 'node:fs/promises'
import { systemError } from './errors.ts'
import { decodeUtf8, parseJson } from './parse-json.ts'

export { decodeUtf8, parseJson, placeOf } from './parse-json.ts'

/** Reads and parses a JSON file. Throws InputError `ENOENT`, `FILE_EMPTY`, `ENCODING` or `JSON_MALFORMED`. */
export async function readJson(file: string): Promise<unknown> {
  const bytes = await readFile(file).catch((error: unknown) => {
    throw systemError(error) ?? error
  })
  return parseJson(decodeUtf8(bytes, file), file)
}
