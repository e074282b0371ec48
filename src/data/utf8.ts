/** UTF-8 to text, strictly; the first wrong byte is told by line, column and value. */
import { isUtf8 } from 'node:buffer'
import { InputError, type Place } from '../util/errors.ts'

/** Offset of the first byte that is not valid UTF-8, or -1. A sequence cut by the end counts as invalid. */
export function invalidUtf8At(bytes: Uint8Array): number {
  if (isUtf8(bytes)) return -1
  // The longest valid prefix, by halving; a prefix that only cuts a sequence short counts without it.
  let sound = 0
  let faulty = bytes.length
  while (faulty - sound > 8) {
    const middle = (sound + faulty) >> 1
    const whole = middle - cutTail(bytes, middle)
    if (isUtf8(bytes.subarray(0, whole))) sound = whole
    else faulty = middle
  }
  let at = sound
  for (let end = sound + 1; end <= faulty; end++) if (isUtf8(bytes.subarray(0, end))) at = end
  return at
}

/** How many bytes before `end` belong to a sequence that starts there and is not complete. */
export function cutTail(bytes: Uint8Array, end = bytes.length): number {
  for (let back = 1; back <= Math.min(3, end); back++) {
    const byte = bytes[end - back]!
    if (byte < 0x80) return 0
    if (byte >= 0xc0) return (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) > back ? back : 0
  }
  return 0
}

/** The error for bytes that are not UTF-8, placed at the first wrong one. */
export function utf8Fault(bytes: Uint8Array, where: Place): InputError {
  const at = invalidUtf8At(bytes)
  const before = Buffer.from(bytes.subarray(0, at)).toString('utf8')
  const value = bytes[at] === undefined ? 'the end' : `0x${bytes[at].toString(16).toUpperCase().padStart(2, '0')}`
  return new InputError('ENCODING', `Byte ${at + 1} of the line, ${value}, is not valid UTF-8`, {
    where: { ...where, column: before.length + 1 },
    help: 'the line is probably Latin-1 or Windows-1252; convert the file, for example with: iconv -f windows-1252 -t utf-8',
    data: { byte: at + 1, value: bytes[at] },
  })
}

/** Decodes one line. Throws InputError `ENCODING`. */
export function decodeLine(bytes: Uint8Array, where: Place): string {
  if (!isUtf8(bytes)) throw utf8Fault(bytes, where)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}
