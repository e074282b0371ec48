/** Reader of Parquet, by DuckDB: only the columns that are wanted, one chunk in memory at a time. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { EspalierError, InputError, throwIfAborted } from '../util/errors.ts'
import { sqlName, sqlPath, withDuckdb } from './duckdb.ts'
import type { DataRecord, RecordSource, Values } from './records.ts'

/** Types whose JavaScript values are used as they are; all others arrive as JSON. */
const plainTypes = /^(VARCHAR|BOOLEAN|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE)$/

export interface ParquetOptions {
  signal?: AbortSignal | undefined
  /** Called after each chunk with the share of rows read, 0..1. */
  onShare?: ((share: number) => void) | undefined
}

/** Opens a Parquet file and reads its schema. Throws InputError `PARQUET_MALFORMED`. */
export async function openParquet(file: string, options: ParquetOptions): Promise<RecordSource> {
  const table = `read_parquet(${sqlPath(file)}, binary_as_string = true)`
  const { types, rows } = await schemaOf(file, table, options.signal)
  async function* read(connection: DuckDBConnection, wanted: readonly string[]): AsyncGenerator<DataRecord[]> {
    const isPlain = wanted.map((name) => plainTypes.test(types.get(name)!))
    const chosen = wanted
      .map((name, i) => (isPlain[i] ? sqlName(name) : `to_json(${sqlName(name)})::VARCHAR`))
      .join(', ')
    let line = 0
    try {
      const result = await connection.stream(`SELECT ${chosen} FROM ${table}`)
      for (let chunk = await result.fetchChunk(); chunk && chunk.rowCount > 0; chunk = await result.fetchChunk()) {
        throwIfAborted(options.signal)
        yield chunk.getRows().map((cells): DataRecord => {
          const values: Values = {}
          for (const [i, name] of wanted.entries()) {
            const cell = cells[i]
            values[name] = isPlain[i] || typeof cell !== 'string' ? cell : JSON.parse(cell)
          }
          line++
          return { line, values }
        })
        options.onShare?.(rows === 0 ? 1 : line / rows)
      }
    } catch (error) {
      throwIfAborted(options.signal)
      throw EspalierError.is(error) ? error : malformed(file, error)
    }
  }
  const columns = [...types.keys()]
  return {
    columns,
    records: (wanted = columns) => withDuckdb((connection) => read(connection, wanted), options.signal),
  }
}

async function schemaOf(
  file: string,
  table: string,
  signal: AbortSignal | undefined,
): Promise<{ types: Map<string, string>; rows: number }> {
  async function* describe(connection: DuckDBConnection) {
    const described = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${table}`)
    const counted = await connection.runAndReadAll(`SELECT num_rows FROM parquet_file_metadata(${sqlPath(file)})`)
    const types = new Map(described.getRows().map(([name, type]) => [String(name), String(type)]))
    yield { types, rows: Number(counted.getRows()[0]![0]) }
  }
  try {
    for await (const schema of withDuckdb(describe, signal)) return schema
  } catch (error) {
    throwIfAborted(signal)
    throw EspalierError.is(error) ? error : malformed(file, error)
  }
  throw malformed(file, undefined)
}

function malformed(file: string, cause: unknown): InputError {
  const message = cause instanceof Error ? cause.message.split('\n')[0]!.replaceAll(` '${file}'`, '') : ''
  return new InputError('PARQUET_MALFORMED', 'The file is not sound Parquet', {
    where: { file },
    help: `${message.slice(0, 160)}${message === '' ? '' : '; '}fetch or write it again`,
    cause,
  })
}
