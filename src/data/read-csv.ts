/** Reader of CSV and TSV: DuckDB reads the values, the record scanner says on which line they stand and whether they are sound. */
import { EspalierError, InputError, RunError, throwIfAborted } from '../util/errors.ts'
import { type ByteOptions, textBytes } from './bytes.ts'
import { type CsvDialect, type CsvRecord, csvRecords } from './csv-records.ts'
import { connectDuckdb, sqlPath, sqlText, streamRows } from './duckdb.ts'
import type { DataRecord, RecordSource, Values } from './records.ts'

export interface CsvOptions extends ByteOptions {
  /** Undefined: guessed from the first record. */
  delimiter: string | undefined
  /** Default `"`; empty: none. */
  quote: string | undefined
  /** Whether the first record names the columns; default true. */
  header: boolean | undefined
  maxBytes: number
}

/** Opens a table and reads its header. Throws InputError `CSV_DIALECT`, `DATA_EMPTY` and the faults of the record scanner. */
export async function openCsv(file: string, options: CsvOptions): Promise<RecordSource> {
  const quote = options.quote ?? '"'
  checkCharacter('quote', quote, true)
  const delimiter = options.delimiter ?? (await guessDelimiter(file, options, quote))
  checkCharacter('delimiter', delimiter, false)
  const dialect = { delimiter, quote }
  const width = await fieldsOfFirstRecord(file, options, dialect)
  const hasHeader = options.header ?? true
  const columns = hasHeader
    ? await headerNames(file, options, dialect, width)
    : Array.from({ length: width }, (_, index) => `column${index + 1}`)
  const table = tableSql(file, options, dialect, width)
  return {
    columns,
    records: (wanted = columns) => readRecords({ file, options, dialect, columns, hasHeader, wanted, table }),
  }
}

function checkCharacter(name: string, character: string, mayBeEmpty: boolean): void {
  const fits = character.length === 1 && character.charCodeAt(0) < 128 && !/[\r\n]/.test(character)
  if (!fits && !(mayBeEmpty && character === ''))
    throw new InputError('CSV_DIALECT', `Expected the ${name} to be one ASCII character, received "${character}"`, {
      help: `for example ${name === 'quote' ? `"'"` : '";" or "\\t"'}`,
    })
}

/** The candidate that occurs most in the first record, outside quotes. */
async function guessDelimiter(file: string, options: ByteOptions, quote: string): Promise<string> {
  const counts = new Map([',', ';', '\t', '|'].map((candidate) => [candidate, 0]))
  let quoted = false
  let filled = false
  scan: for await (const chunk of textBytes(file, { gzip: options.gzip, signal: options.signal })) {
    for (const byte of chunk) {
      const character = String.fromCharCode(byte)
      if (character === quote) quoted = !quoted
      else if (!quoted && filled && (byte === 10 || byte === 13)) break scan
      else if (!quoted && counts.has(character)) counts.set(character, counts.get(character)! + 1)
      filled ||= byte > 32
    }
  }
  return [...counts].reduce((best, next) => (next[1] > best[1] ? next : best))[0]
}

async function fieldsOfFirstRecord(file: string, options: CsvOptions, dialect: CsvDialect): Promise<number> {
  const bytes = textBytes(file, { gzip: options.gzip, signal: options.signal })
  for await (const batch of csvRecords(bytes, dialect, file, options.maxBytes)) {
    const first = batch.find((record) => record.fields > 0)
    if (first) return first.fields
  }
  throw new InputError('DATA_EMPTY', 'The file has no rows', {
    where: { file },
    help: 'expected a header and at least one row',
  })
}

/** `read_csv` in a form that never drops or merges records: the scanner decides what is a fault. */
function tableSql(file: string, options: CsvOptions, { delimiter, quote }: CsvDialect, width: number): string {
  const columns = Array.from({ length: width }, (_, index) => `'c${index}': 'VARCHAR'`).join(', ')
  const settings = {
    auto_detect: 'false',
    columns: `{${columns}}`,
    compression: options.gzip ? "'gzip'" : "'none'",
    delim: sqlText(delimiter),
    quote: sqlText(quote),
    escape: sqlText(quote),
    header: 'false',
    new_line: "'\\n'", // stands for all three; left to guess, a file that mixes them loses values
    strict_mode: 'false',
    null_padding: 'true',
    parallel: 'false',
    max_line_size: String(options.maxBytes),
    buffer_size: String(2 * options.maxBytes),
  }
  const listed = Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
  return `read_csv(${sqlPath(file)}, ${listed.join(', ')})`
}

async function headerNames(file: string, options: CsvOptions, dialect: CsvDialect, width: number): Promise<string[]> {
  const where = width === 1 ? ' WHERE c0 IS NOT NULL' : '' // to DuckDB, blank lines are rows of a table of one column
  const sql = `SELECT * FROM ${tableSql(file, options, dialect, width)}${where} LIMIT 1`
  try {
    const connection = await connectDuckdb()
    try {
      const [names] = (await connection.runAndReadAll(sql)).getRows()
      if (names) return names.map((name) => String(name ?? '').trim())
    } finally {
      connection.closeSync()
    }
  } catch (error) {
    if (EspalierError.is(error)) throw error
    // DuckDB looks ahead of the header: if a later byte disturbs it, the scanner finds where.
    for await (const _ of csvRecords(
      textBytes(file, { ...options, onBytes: undefined }),
      dialect,
      file,
      options.maxBytes,
    ));
    throw malformed(file, error)
  }
  throw new InputError('DATA_EMPTY', 'The header has no column names', { where: { file } })
}

interface TableReading {
  file: string
  options: CsvOptions
  dialect: CsvDialect
  columns: readonly string[]
  hasHeader: boolean
  wanted: readonly string[]
  /** What to select from. */
  table: string
}

async function* readRecords(reading: TableReading): AsyncGenerator<DataRecord[]> {
  const { file, options, dialect, columns, hasHeader, wanted, table } = reading
  const width = columns.length
  const places = new RecordPlaces(csvRecords(textBytes(file, options), dialect, file, options.maxBytes), width)
  const chosen = wanted.map((name) => `c${columns.indexOf(name)}`).join(', ')
  try {
    let skip = hasHeader
    for await (const rows of streamRows(`SELECT ${chosen} FROM ${table}`, options.signal)) {
      const batch: DataRecord[] = []
      for (const cells of rows) {
        const place = places.take() ?? (await places.next())
        if (!place) throw disagreement(file)
        if (place.fields === 0) continue
        if (skip) skip = false
        else if (place.fields !== width) batch.push({ line: place.line, fault: ragged(place, width, file, dialect) })
        else {
          const values: Values = {}
          for (const [index, name] of wanted.entries()) values[name] = cells[index] ?? ''
          batch.push({ line: place.line, values })
        }
      }
      if (batch.length > 0) yield batch
    }
    if (await places.next()) throw disagreement(file)
  } catch (error) {
    throwIfAborted(options.signal)
    if (EspalierError.is(error)) throw error
    while (await places.next()); // the scanner knows more precisely what is wrong, if it is in the bytes
    throw malformed(file, error)
  } finally {
    await places.close()
  }
}

/** The scanner's records one by one, in step with DuckDB's rows: blank lines are rows to DuckDB only in tables of one column. */
class RecordPlaces {
  readonly #source: AsyncGenerator<CsvRecord[]>
  readonly #keepBlank: boolean
  #batch: CsvRecord[] = []
  #at = 0

  constructor(source: AsyncGenerator<CsvRecord[]>, width: number) {
    this.#source = source
    this.#keepBlank = width === 1
  }

  /** The next record, if it has been scanned; the common case, without a turn of the event loop. */
  take(): CsvRecord | undefined {
    for (let record = this.#batch[this.#at]; record; record = this.#batch[this.#at]) {
      this.#at++
      if (record.fields > 0 || this.#keepBlank) return record
    }
    return undefined
  }

  /** The next record, scanning further as needed; undefined at the end. */
  async next(): Promise<CsvRecord | undefined> {
    for (let record = this.take(); ; record = this.take()) {
      if (record) return record
      const { value, done } = await this.#source.next()
      if (done) return undefined
      this.#batch = value
      this.#at = 0
    }
  }

  async close(): Promise<void> {
    await this.#source.return(undefined)
  }
}

function ragged(record: CsvRecord, width: number, file: string, { delimiter, quote }: CsvDialect): InputError {
  const shown = delimiter === '\t' ? 'tab' : delimiter
  return new InputError('CSV_RAGGED', `Expected ${width} fields as in the first record, found ${record.fields}`, {
    where: { file, line: record.line },
    help:
      quote === ''
        ? `check its delimiters (${shown})`
        : `check its delimiters (${shown}); quote a field that contains one`,
    data: { expected: width, received: record.fields },
  })
}

function malformed(file: string, cause: unknown): InputError {
  return new InputError('CSV_MALFORMED', 'The file cannot be read as CSV', {
    where: { file },
    help: String(cause instanceof Error ? cause.message : cause)
      .split('\n')[0]!
      .slice(0, 160),
    cause,
  })
}

/** Never seen; it stands guard over the lines that errors and reports name. */
function disagreement(file: string): RunError {
  return new RunError('CSV_MALFORMED', 'The records of the CSV file cannot be told apart', {
    where: { file },
    help: 'convert it to JSONL',
  })
}
