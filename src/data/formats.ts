/** Data formats: by a file's extension, checked against its first bytes, so that a wrong name is told as such and not as a parse error. */
import { InputError } from '../util/errors.ts'
import { didYouMean } from '../util/suggest.ts'
import type { DataFormat } from './row.ts'

const extensions: Record<string, DataFormat> = {
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  json: 'json',
  csv: 'csv',
  tsv: 'tsv',
  tab: 'tsv',
  parquet: 'parquet',
}

export const acceptedExtensions = '.jsonl, .ndjson, .json, .csv, .tsv (each also with .gz), .parquet'

/** The format and compression that a path's extension names; undefined if it names none. */
export function formatOfPath(path: string): { format: DataFormat; gzip: boolean } | undefined {
  const [, extension, gz] = /\.([a-z]+?)(\.gz)?$/i.exec(path) ?? []
  const format = extension === undefined ? undefined : extensions[extension.toLowerCase()]
  if (format === undefined || (format === 'parquet' && gz !== undefined)) return undefined
  return { format, gzip: gz !== undefined }
}

/** The format of a file to be read. Throws InputError `FORMAT_UNKNOWN` listing what is accepted. */
export function chooseFormat(path: string, override: DataFormat | undefined): { format: DataFormat; gzip: boolean } {
  if (override !== undefined && !Object.values(extensions).includes(override))
    throw new InputError('FORMAT_UNKNOWN', `Unknown format "${override}"`, {
      help: didYouMean(override, Object.values(extensions), 'expected one of jsonl, json, csv, tsv, parquet'),
    })
  const named = formatOfPath(path)
  if (override !== undefined) return { format: override, gzip: override !== 'parquet' && /\.gz$/i.test(path) }
  if (named) return named
  throw new InputError('FORMAT_UNKNOWN', "The file's extension names no data format", {
    where: { file: path },
    help: `accepted: ${acceptedExtensions}; or pass --format`,
    data: { accepted: Object.keys(extensions) },
  })
}

const startsWith = (bytes: Uint8Array, ...magic: number[]) => magic.every((byte, index) => bytes[index] === byte)

/** What bytes of another kind look like, or undefined if they may be UTF-8 text. */
function foreignContent(head: Uint8Array): { is: string; help: string; code: string } | undefined {
  const mismatch = (is: string, help: string) => ({ code: 'FORMAT_MISMATCH', is, help })
  const encoding = (is: string, from: string) => ({
    code: 'ENCODING',
    is,
    help: `convert it, for example with: iconv -f ${from} -t utf-8`,
  })
  if (startsWith(head, 0x1f, 0x8b)) return mismatch('gzip data', 'add .gz to its name, or decompress it')
  if (startsWith(head, 0x50, 0x41, 0x52, 0x31)) return mismatch('Parquet', 'name it .parquet, or pass --format parquet')
  if (startsWith(head, 0x50, 0x4b, 0x03, 0x04))
    return mismatch('a zip archive (perhaps an Excel workbook)', 'export it as CSV')
  if (startsWith(head, 0x28, 0xb5, 0x2f, 0xfd)) return mismatch('zstd data', 'decompress it')
  if (startsWith(head, 0x42, 0x5a, 0x68) && head[4] === 0x41) return mismatch('bzip2 data', 'decompress it')
  if (startsWith(head, 0xff, 0xfe)) return encoding('UTF-16 text', 'utf-16')
  if (startsWith(head, 0xfe, 0xff)) return encoding('UTF-16 text', 'utf-16')
  if (head.subarray(0, 1000).includes(0))
    return encoding('binary data, or UTF-16 text without a byte order mark', 'utf-16le')
  return undefined
}

/** Throws InputError `FORMAT_MISMATCH` or `ENCODING` if the first bytes of (decompressed) text are something else. */
export function checkTextHead(head: Uint8Array, file: string): void {
  const foreign = foreignContent(head)
  if (foreign)
    throw new InputError(foreign.code, `Expected UTF-8 text, found ${foreign.is}`, {
      where: { file },
      help: foreign.help,
    })
}

/** Throws InputError `FORMAT_MISMATCH` if a file named .gz is not compressed. */
export function checkGzipHead(head: Uint8Array, file: string): void {
  if (!startsWith(head, 0x1f, 0x8b))
    throw new InputError('FORMAT_MISMATCH', 'The file is named .gz, but its content is not gzip data', {
      where: { file },
      help: 'take .gz off its name, or fetch it again',
    })
}

/** Throws InputError `FORMAT_MISMATCH` if a file to be read as Parquet is something else. */
export function checkParquetHead(head: Uint8Array, file: string): void {
  if (!startsWith(head, 0x50, 0x41, 0x52, 0x31))
    throw new InputError('FORMAT_MISMATCH', 'Expected Parquet, but the content is something else', {
      where: { file },
      help: 'name the file after its real format, or pass --format jsonl, json, csv or tsv',
    })
}
