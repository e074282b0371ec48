/** Reader of Parquet, by DuckDB: only the columns that are wanted, one chunk in memory at a time. */
import { EspalierError, InputError } from '../util/errors.ts'
import { connectDuckdb, sqlName, sqlPath, streamRows } from './duckdb.ts'
import type { DataRecord, RecordSource, Values } from './records.ts'

/** Types whose JavaScript values are used as they are; all others arrive as JSON. */
const plainTypes = /^(VARCHAR|BOOLEAN|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE)$/

export interface ParquetOptions {
  signal?: AbortSignal | undefined
  /** Called after each chunk with the share of rows read, 0..1. */
  onShare?: ((share: number) => void) | undefined
}

/** Opens a Parquet file and reads its schema. Throws InputError `PARQUET_MALFORMED`. */
export async function openParquet(file: string, { signal, onShare }: ParquetOptions): Promise<RecordSource> {
  const table = `read_parquet(${sqlPath(file)}, binary_as_string = true)`
  const { types, total } = await schemaOf(file, table)
  async function* read(wanted: readonly string[]): AsyncGenerator<DataRecord[]> {
    const isPlain = wanted.map((name) => plainTypes.test(types.get(name)!))
    const chosen = wanted.map((name, i) => (isPlain[i] ? sqlName(name) : `to_json(${sqlName(name)})::VARCHAR`))
    let line = 0
    try {
      for await (const rows of streamRows(`SELECT ${chosen.join(', ')} FROM ${table}`, signal)) {
        yield rows.map((cells): DataRecord => {
          const values: Values = {}
          for (const [i, name] of wanted.entries()) {
            const cell = cells[i]
            values[name] = isPlain[i] || typeof cell !== 'string' ? cell : JSON.parse(cell)
          }
          line++
          return { line, values }
        })
        onShare?.(line / total)
      }
    } catch (error) {
      throw EspalierError.is(error) ? error : malformed(file, error)
    }
  }
  const columns = [...types.keys()]
  return { columns, records: (wanted = columns) => read(wanted) }
}

async function schemaOf(file: string, table: string): Promise<{ types: Map<string, string>; total: number }> {
  try {
    const connection = await connectDuckdb()
    try {
      const described = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${table}`)
      const counted = await connection.runAndReadAll(`SELECT num_rows FROM parquet_file_metadata(${sqlPath(file)})`)
      const types = new Map(described.getRows().map(([name, type]) => [String(name), String(type)]))
      return { types, total: Number(counted.getRows()[0]![0]) }
    } finally {
      connection.closeSync()
    }
  } catch (error) {
    throw EspalierError.is(error) ? error : malformed(file, error)
  }
}

function malformed(file: string, cause: unknown): InputError {
  const message = cause instanceof Error ? cause.message.split('\n')[0]!.replaceAll(` '${file}'`, '') : ''
  return new InputError('PARQUET_MALFORMED', 'The file is not sound Parquet', {
    where: { file },
    help: `${message.slice(0, 160)}${message === '' ? '' : '; '}fetch or write it again`,
    cause,
  })
}
