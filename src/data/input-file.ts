/** One input as it stands on disk: its format and size, checked by name and first bytes before any row is read. */
import { stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { InputError, systemError } from '../util/errors.ts'
import { headOf, textBytes } from './bytes.ts'
import { type Columns, chooseColumns } from './columns.ts'
import { checkParquetHead, chooseFormat } from './formats.ts'
import { openCsv } from './read-csv.ts'
import { openJson } from './read-json.ts'
import { openParquet } from './read-parquet.ts'
import { lineLimit, type RecordSource } from './records.ts'
import { type DataFormat, defaultMaxTextLength, type ReadOptions } from './row.ts'

export interface InputFile {
  /** `-` is standard input. */
  path: string
  format: DataFormat
  gzip: boolean
  /** Bytes on disk; undefined for standard input. */
  size: number | undefined
}

/** `stdin`: where `-` reads from, standard input by default. */
export type InputOptions = ReadOptions & { stdin?: Readable }

/** Throws InputError `ENOENT`, `FORMAT_UNKNOWN`, `FORMAT_MISMATCH`, `FILE_EMPTY`, `ENCODING` (UTF-16), or one of damaged gzip data. */
export async function checkInput(path: string, options: InputOptions): Promise<InputFile> {
  if (path === '-') {
    const format = options.format ?? 'jsonl'
    if (format === 'jsonl' || format === 'json') return { path, format, gzip: false, size: undefined }
    throw new InputError('FORMAT_UNKNOWN', `Standard input is read as JSONL, not as ${format}`, {
      help: 'save it to a file first',
    })
  }
  const { format, gzip } = chooseFormat(path, options.format)
  const { size } = await stat(path).catch((error: unknown) => {
    throw systemError(error) ?? error
  })
  if (size === 0)
    throw new InputError('FILE_EMPTY', 'The file is empty', {
      where: { file: path },
      help: 'expected at least one row; check that it was written completely',
    })
  if (format === 'parquet') checkParquetHead(await headOf(path, 4), path)
  else for await (const _ of textBytes(path, { gzip, signal: options.signal })) break
  return { path, format, gzip, size }
}

export interface ReadHooks {
  /** More bytes of the file have been read. */
  onRead?: (bytes: number) => void
  /** The bytes themselves, in formats that are read as a stream (JSON). */
  onChunk?: (chunk: Uint8Array) => void
}

export interface OpenInput {
  source: RecordSource
  /** The columns of a table; JSON tells them row by row. */
  columns: Columns | undefined
}

/** Opens an input in its format; of tables, reads the header and chooses the columns. */
export async function openInput(input: InputFile, options: InputOptions, hooks: ReadHooks = {}): Promise<OpenInput> {
  const { path, format, gzip, size = 0 } = input
  const { signal, stdin, quote, header, maxTextLength = defaultMaxTextLength } = options
  const onBytes = (chunk: Uint8Array) => {
    hooks.onRead?.(chunk.length)
    hooks.onChunk?.(chunk)
  }
  const stream = { gzip, signal, onBytes, stdin, maxBytes: lineLimit(maxTextLength) }
  if (format === 'jsonl' || format === 'json')
    return { source: openJson(path, { ...stream, list: format === 'json' }), columns: undefined }
  let told = 0
  const onShare = (share: number) => {
    const read = Math.round(share * size)
    hooks.onRead?.(read - told)
    told = read
  }
  const delimiter = options.delimiter ?? (format === 'tsv' ? '\t' : undefined)
  const source =
    format === 'parquet'
      ? await openParquet(path, { signal, onShare })
      : await openCsv(path, { ...stream, delimiter, quote, header })
  return { source, columns: chooseColumns(source.columns!, options, { file: path }) }
}
