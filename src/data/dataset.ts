/** The Dataset: rows from files in any supported format, or from memory, as a stream that can be iterated again and again. */
import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import { InputError, throwIfAborted } from '../util/errors.ts'
import type { Progress, RunOptions } from '../util/progress.ts'
import { buildRow } from './build-row.ts'
import { hashFile } from './bytes.ts'
import { ColumnMemory } from './column-memory.ts'
import type { Columns } from './columns.ts'
import { checkInput, type InputFile, type InputOptions, openInput, type ReadHooks } from './input-file.ts'
import type { Row, RowOptions } from './row.ts'
import { RowTally } from './row-tally.ts'
import { expandSources } from './sources.ts'

/** What a run record keeps of an input. */
export interface InputHash {
  file: string
  bytes: number
  sha256: string
}

export interface Dataset extends AsyncIterable<Row> {
  /** The files, in the order in which they are read; `-` is standard input, `memory` rows made by the program. */
  readonly files: readonly string[]
  /** Number of rows, where it is known without reading. */
  readonly count?: number
  /** All rows, in memory. */
  collect(): Promise<Row[]>
  /** SHA-256 of every input, by a pass of its own over the files. Of standard input: once it has been read to its end. */
  hash(options?: Pick<RunOptions, 'signal'>): Promise<InputHash[]>
}

/** A row as a program writes it: `labels` in any form that a JSONL row may have. */
export interface RowInput {
  text: string
  labels?: unknown
  id?: string | number
  /** Where the row comes from, as rows of `readDataset` say; default: `memory`, and the row's number. */
  file?: string
  line?: number
}

/**
 * Makes a data set of rows in memory: rows that a program writes, or a part of those read from files.
 *
 * @param rows texts with labels: a name, a list of names (several labels), or a list of paths (label-values.ts has the table).
 * @throws InputError on iteration, as readDataset does; the row's number stands for the line.
 * @example
 * const data = datasetOf([{ text: 'the invoice is wrong', labels: [['billing', 'invoice']] }])
 */
export function datasetOf(
  rows: readonly RowInput[],
  options: Omit<RowOptions, 'text' | 'labels' | 'id'> = {},
): Dataset {
  const memory = 'memory'
  const columns: Columns = { text: ['text'], labels: ['labels'], id: 'id' }
  function* build(): Generator<Row> {
    const tally = new RowTally(options)
    for (const [index, { file = memory, line = index + 1, ...values }] of rows.entries()) {
      const row = tally.attempt(() => buildRow(values, line, { columns, options, file, isTable: false }))
      if (row) yield row
    }
    tally.checkFile(memory)
  }
  return {
    files: [memory],
    count: rows.length,
    async *[Symbol.asyncIterator]() {
      yield* build()
    },
    collect: async () => [...build()],
    hash: async () => {
      const hash = createHash('sha256')
      let bytes = 0
      for (const { text, labels, id } of rows) {
        const line = `${JSON.stringify({ text, labels, id })}\n`
        hash.update(line)
        bytes += Buffer.byteLength(line)
      }
      return [{ file: memory, bytes, sha256: hash.digest('hex') }]
    },
  }
}

/**
 * Opens data for reading: `.jsonl`, `.json` (one list), `.csv`, `.tsv` (each also with `.gz`) and `.parquet`. Rows are streamed: memory does not
 * grow with the data. Nothing but the beginning of the files is read here; each iteration reads them anew.
 *
 * @param source a file, a folder of data files, a pattern such as `data/*.csv`, `-` for JSONL on standard input, or a list of these.
 * @param options columns, separators, limits, what to do with faulty rows, `signal` and `onProgress` (bytes read).
 * @throws InputError, here: `ENOENT`, `NO_FILES`, `FOLDER_SPLITS`, `FORMAT_UNKNOWN`, `FORMAT_MISMATCH`, `FILE_EMPTY`, `ENCODING` (UTF-16), `COLUMN_MISSING`,
 * `CSV_DIALECT`, `PARQUET_MALFORMED`; on iteration, with file and line: `JSON_MALFORMED`, `ROW_TYPE`, `TEXT_MISSING`, `TEXT_TYPE`, `TEXT_EMPTY`, `TEXT_TOO_LONG`,
 * `LINE_TOO_LONG`, `LABEL_TYPE`, `LABEL_NAME`, `ENCODING`, `CSV_RAGGED`, `CSV_QUOTE`, `GZIP_TRUNCATED`, `DATA_EMPTY`. RunError `DEPENDENCY_MISSING` if
 * DuckDB, which reads CSV and Parquet, is not installed.
 * @example
 * const tickets = await readDataset('tickets.csv', { text: 'body', labels: ['area', 'topic'] })
 * for await (const { text, labels } of tickets) console.log(labels, text)
 */
export async function readDataset(source: string | readonly string[], options: InputOptions = {}): Promise<Dataset> {
  throwIfAborted(options.signal)
  const inputs: InputFile[] = []
  for (const path of await expandSources(source)) inputs.push(await checkInput(path, options))
  if (inputs[0]!.size !== undefined) await openInput(inputs[0]!, options)
  return new FileDataset(inputs, options)
}

/** Rows of files; every iteration reads them anew. */
class FileDataset implements Dataset {
  readonly #inputs: readonly InputFile[]
  readonly #options: InputOptions
  /** What went through standard input; the digest once its end was seen. */
  #stdin: { hash: ReturnType<typeof createHash>; bytes: number; sha256?: string } | undefined

  constructor(inputs: readonly InputFile[], options: InputOptions) {
    this.#inputs = inputs
    this.#options = options
  }

  get files(): string[] {
    return this.#inputs.map((input) => input.path)
  }

  async collect(): Promise<Row[]> {
    const all: Row[] = []
    for await (const batch of this.#batches()) for (const row of batch) all.push(row)
    return all
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Row> {
    for await (const batch of this.#batches()) yield* batch
  }

  async *#batches(): AsyncGenerator<Row[]> {
    const tally = new RowTally(this.#options)
    const progress = this.#startProgress()
    const onRead = (bytes: number) => {
      progress.done += bytes
    }
    for (const input of this.#inputs) {
      const isStdin = input.size === undefined
      yield* this.#rowsOf(input, isStdin ? { onRead, onChunk: this.#tapStdin() } : { onRead }, tally, progress)
      tally.checkFile(input.path)
      if (isStdin) this.#stdin!.sha256 = this.#stdin!.hash.digest('hex')
    }
    const note = tally.note
    this.#options.onProgress?.({ ...progress, metrics: { rows: tally.rows }, ...(note === undefined ? {} : { note }) })
  }

  async *#rowsOf(input: InputFile, hooks: ReadHooks, tally: RowTally, progress: Progress): AsyncGenerator<Row[]> {
    const options = this.#options
    const file = input.path
    const { source, columns: tableColumns } = await openInput(input, options, hooks)
    const isTable = input.format === 'csv' || input.format === 'tsv'
    const memory = new ColumnMemory(tableColumns, options, file)
    const wanted = tableColumns && [...tableColumns.text, ...(tableColumns.labels ?? []), tableColumns.id ?? []].flat()
    for await (const batch of source.records(wanted && [...new Set(wanted)])) {
      throwIfAborted(options.signal)
      const rows: Row[] = []
      try {
        for (const record of batch) {
          const row = tally.attempt(() => {
            if (record.fault) throw record.fault
            const columns = memory.columnsOf(record.values, record.line)
            return buildRow(record.values, record.line, { columns, options, file, isTable })
          })
          if (row) rows.push(row)
        }
      } finally {
        if (rows.length > 0) yield rows // those before a faulty row, too
      }
      options.onProgress?.({ ...progress, metrics: { rows: tally.rows } })
    }
    memory.checkLabels()
  }

  #startProgress(): Progress {
    const name = this.#inputs.length === 1 ? basename(this.#inputs[0]!.path) : `${this.#inputs.length} files`
    const sizes = this.#inputs.map((input) => input.size)
    const isKnown = sizes.every((size) => size !== undefined)
    const total = sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0)
    return { step: `read ${name}`, done: 0, unit: 'bytes', ...(isKnown ? { total } : {}) }
  }

  #tapStdin(): (chunk: Uint8Array) => void {
    if (this.#stdin)
      throw new InputError('STDIN_ONCE', 'Standard input can be read only once', {
        help: 'save it to a file to read it again',
      })
    const stdin = { hash: createHash('sha256'), bytes: 0 }
    this.#stdin = stdin
    return (chunk) => {
      stdin.hash.update(chunk)
      stdin.bytes += chunk.length
    }
  }

  async hash({ signal }: Pick<RunOptions, 'signal'> = {}): Promise<InputHash[]> {
    const hashes: InputHash[] = []
    for (const { path: file, size } of this.#inputs) {
      if (size !== undefined) {
        hashes.push({ file, bytes: size, sha256: await hashFile(file, signal) })
      } else {
        if (this.#stdin?.sha256 === undefined)
          throw new InputError('STDIN_ONCE', 'The hash of standard input is known once it has been read to its end')
        hashes.push({ file, bytes: this.#stdin.bytes, sha256: this.#stdin.sha256 })
      }
    }
    return hashes
  }
}
