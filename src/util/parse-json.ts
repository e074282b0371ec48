/** JSON text to values, with line and column when it is malformed. */
import { InputError } from './errors.ts'

/** Line and column, from 1, of a character offset. */
export function placeOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset)
  const line = before.split('\n').length
  return { line, column: offset - before.lastIndexOf('\n') }
}

/** Parses JSON; throws InputError `JSON_MALFORMED` with file, line and column. A byte order mark is ignored. */
export function parseJson(text: string, file: string): unknown {
  const body = text.startsWith('\uFEFF') ? text.slice(1) : text
  if (body.trim() === '')
    throw new InputError('FILE_EMPTY', 'The file is empty, expected JSON', {
      where: { file },
      help: 'check that it was written completely',
    })
  try {
    return JSON.parse(body)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const place = placeOf(body, faultOffset(body, message))
    throw new InputError('JSON_MALFORMED', 'The file is not valid JSON', {
      where: { file, ...place },
      help: message
        .replace(/,? ?\.*"[\s\S]*is not valid JSON$|\s+(in|after) JSON at position.*$/, '')
        .replace(/\s*\(line.*$/, '')
        .slice(0, 160),
      cause: error,
    })
  }
}

/** Where parsing failed. The runtime does not always say: then it is the end of the shortest prefix with a wrong token. */
function faultOffset(text: string, message: string): number {
  const stated = /position (\d+)/.exec(message)?.[1]
  if (stated !== undefined) return Number(stated)
  if (!message.startsWith('Unexpected token')) return text.length
  let sound = 0
  let faulty = text.length
  while (faulty - sound > 1) {
    const middle = (sound + faulty) >> 1
    try {
      JSON.parse(text.slice(0, middle))
      sound = middle
    } catch (error) {
      if (String(error).includes('Unexpected token')) faulty = middle
      else sound = middle
    }
  }
  return faulty - 1
}

/** Decodes UTF-8 strictly; throws InputError `ENCODING` naming the file. */
export function decodeUtf8(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new InputError('ENCODING', 'The file is not valid UTF-8', {
      where: { file },
      help: 'convert it, for example with: iconv -f latin1 -t utf-8',
      cause,
    })
  }
}
