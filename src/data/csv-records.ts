/**
 * Where the records of a CSV file lie (RFC 4180, with any delimiter and any newline): on which line each begins and how many fields it
 * has. DuckDB reads the values, but counts records instead of lines and does not say where a fault is; this scanner walks beside it.
 */
import { isUtf8 } from 'node:buffer'
import { InputError } from '../util/errors.ts'
import { lineTooLong } from './records.ts'
import { cutTail, utf8Fault } from './utf8.ts'

export interface CsvRecord {
  /** Line of the first byte, from 1. */
  line: number
  /** 0 for a blank line. */
  fields: number
}

export interface CsvDialect {
  /** One ASCII character. */
  delimiter: string
  /** One ASCII character, or empty if there are no quotes. */
  quote: string
}

const lf = 10
const cr = 13
const space = 32

/**
 * Yields the records in batches, the header and blank lines included. Throws InputError `CSV_QUOTE` for a quoted field that does not
 * end or has something after its end, `ENCODING` for bytes that are not UTF-8, `LINE_TOO_LONG`.
 */
export async function* csvRecords(
  source: AsyncIterable<Uint8Array>,
  dialect: CsvDialect,
  file: string,
  maxBytes: number,
): AsyncGenerator<CsvRecord[]> {
  const delimiter = dialect.delimiter.charCodeAt(0)
  const quote = dialect.quote === '' ? -1 : dialect.quote.charCodeAt(0)
  let state: 'fieldStart' | 'plain' | 'quoted' | 'quoteEnd' | 'afterQuote' = 'fieldStart'
  let line = 1
  let fields = 1
  let length = 0 // bytes of the record so far
  let recordLine = 1
  let fieldLine = 1
  let afterCr = false
  for await (const chunk of validUtf8(source, file)) {
    const batch: CsvRecord[] = []
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!
      const isNewline = byte === cr || (byte === lf && !afterCr)
      const isSecondHalf = byte === lf && afterCr
      afterCr = byte === cr
      if (state === 'quoted') {
        length++
        if (byte === quote) state = 'quoteEnd'
        else if (isNewline) line++
        continue
      }
      if (isSecondHalf) continue
      if (isNewline) {
        batch.push({ line: recordLine, fields: length === 0 ? 0 : fields })
        if (length > maxBytes) throw lineTooLong({ file, line: recordLine }, maxBytes)
        line++
        recordLine = line
        fields = 1
        length = 0
        state = 'fieldStart'
        continue
      }
      length++
      if (byte === delimiter) {
        fields++
        state = 'fieldStart'
      } else if (byte === quote && state === 'fieldStart') {
        state = 'quoted'
        fieldLine = line
      } else if (byte === quote && state === 'quoteEnd') {
        state = 'quoted' // a doubled quote stands for one
      } else if (state === 'quoteEnd' || state === 'afterQuote') {
        state = 'afterQuote'
        if (byte !== space)
          throw new InputError('CSV_QUOTE', 'A quoted field is followed by something other than a delimiter', {
            where: { file, line },
            help: `write a quote inside a quoted field twice (${dialect.quote}${dialect.quote}), or in code pass quote: '' if quotes are ordinary characters`,
          })
      } else if (byte !== space) {
        state = 'plain'
      }
    }
    if (length > maxBytes) throw lineTooLong({ file, line: recordLine }, maxBytes)
    if (batch.length > 0) yield batch
  }
  if (state === 'quoted')
    throw new InputError('CSV_QUOTE', 'A quoted field has no end', {
      where: { file, line: fieldLine },
      help: `close it with ${dialect.quote}, or in code pass quote: '' if quotes are ordinary characters`,
    })
  if (length > 0) yield [{ line: recordLine, fields }]
}

/** Passes chunks on, cut between characters; throws InputError `ENCODING` at the first byte that is not UTF-8. */
async function* validUtf8(source: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<Uint8Array> {
  let line = 1
  let lineStart: Uint8Array = new Uint8Array(0) // the bytes of the current line in earlier chunks
  let tail: Uint8Array = new Uint8Array(0)
  const faultIn = (bytes: Uint8Array): InputError => {
    let text = Buffer.concat([lineStart, bytes])
    for (let end = text.indexOf(lf); end !== -1 && isUtf8(text.subarray(0, end)); end = text.indexOf(lf)) {
      text = text.subarray(end + 1)
      line++
    }
    return utf8Fault(text, { file, line })
  }
  for await (const chunk of source) {
    const bytes = tail.length > 0 ? Buffer.concat([tail, chunk]) : chunk
    const whole = bytes.subarray(0, bytes.length - cutTail(bytes))
    tail = bytes.subarray(whole.length)
    if (!isUtf8(whole)) throw faultIn(whole)
    let start = 0
    for (let end = whole.indexOf(lf); end !== -1; end = whole.indexOf(lf, start)) {
      line++
      start = end + 1
    }
    lineStart = start > 0 ? whole.subarray(start) : Buffer.concat([lineStart, whole])
    if (whole.length > 0) yield whole
  }
  if (tail.length > 0) throw faultIn(tail)
}
