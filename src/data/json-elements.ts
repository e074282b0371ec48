/** Splits a stream that holds one JSON list into its elements without parsing them, so that a list of any size is read element by element. */
import { InputError } from '../util/errors.ts'
import type { ByteLine } from './lines.ts'

const open = 0x5b // [
const close = 0x5d // ]
const openObject = 0x7b // {
const closeObject = 0x7d // }
const quote = 0x22 // "
const backslash = 0x5c // \\
const comma = 0x2c
const isSpace = (byte: number) => byte === 32 || (byte >= 9 && byte <= 13)

/** Yields the elements of the outermost list with the line on which each begins. Throws InputError `JSON_SHAPE` or `JSON_MALFORMED`. */
export async function* jsonElements(
  source: AsyncIterable<Uint8Array>,
  maxBytes: number,
  file: string,
): AsyncGenerator<ByteLine[]> {
  let line = 1
  let state: 'before' | 'element' | 'after' = 'before'
  let depth = 0
  let inString = false
  let escaped = false
  let startLine = 0
  let parts: Uint8Array[] = []
  let held = 0
  let elements = 0
  const malformed = (message: string, help: string) =>
    new InputError('JSON_MALFORMED', message, { where: { file, line }, help })
  const finish = (last: Uint8Array): ByteLine | undefined => {
    const element = {
      line: startLine,
      bytes: held + last.length > maxBytes ? undefined : Buffer.concat([...parts, last]),
    }
    const empty = startLine === 0
    parts = []
    held = 0
    startLine = 0
    if (!empty) elements++
    return empty ? undefined : element
  }
  for await (const chunk of source) {
    const batch: ByteLine[] = []
    let start = 0
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!
      if (byte === 10) line++
      if (state === 'element') {
        if (inString) {
          if (escaped) escaped = false
          else if (byte === backslash) escaped = true
          else if (byte === quote) inString = false
          continue
        }
        if (isSpace(byte)) continue
        const ends = depth === 0 && (byte === comma || byte === close)
        if (ends) {
          const element = finish(chunk.subarray(start, at))
          if (element) batch.push(element)
          else if (byte === comma || elements > 0)
            throw malformed('Expected an element, found a comma too many', 'remove it')
          start = at + 1
          if (byte === close) state = 'after'
          continue
        }
        if (startLine === 0) {
          startLine = line
          start = at
        }
        if (byte === quote) inString = true
        else if (byte === open || byte === openObject) depth++
        else if ((byte === close || byte === closeObject) && --depth < 0)
          throw malformed('Found a closing brace too many', 'check the brackets of the element before it')
      } else if (!isSpace(byte)) {
        if (state === 'after')
          throw malformed('Found more content after the list', 'a .json file holds one list of rows')
        if (byte !== open)
          throw new InputError('JSON_SHAPE', 'Expected a list of rows: [{"text": ..., "labels": ...}, ...]', {
            where: { file, line },
            help: 'if each line is one row, name the file .jsonl or pass --format jsonl',
          })
        state = 'element'
        start = at + 1
      }
    }
    if (state === 'element' && startLine !== 0) {
      held += chunk.length - start
      if (held <= maxBytes) parts.push(chunk.subarray(start))
      else parts = []
    }
    if (batch.length > 0) yield batch
  }
  if (state === 'element') throw malformed('The list has no end: expected "]"', 'the file was probably cut short')
}
