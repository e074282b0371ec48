/** DuckDB, which reads the tables (CSV, Parquet): loaded on first use, in memory, without extensions from the network. */
import type { DuckDBConnection, DuckDBInstance, DuckDBValue } from '@duckdb/node-api'
import { RunError, throwIfAborted } from '../util/errors.ts'

let shared: Promise<DuckDBInstance> | undefined

async function startDuckdb(): Promise<DuckDBInstance> {
  const { DuckDBInstance } = await import('@duckdb/node-api').catch((cause: unknown) => {
    throw new RunError('DEPENDENCY_MISSING', 'Reading CSV, TSV and Parquet needs the package @duckdb/node-api', {
      help: 'run: npm install @duckdb/node-api (or convert the data to JSONL)',
      cause,
    })
  })
  // One thread: rows come in the file's order either way, and a reader should not take the cores from its caller.
  return DuckDBInstance.create(':memory:', {
    threads: '1',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  })
}

/** A connection to the one instance of the process; the caller closes it. Throws RunError `DEPENDENCY_MISSING` if the package is not installed. */
export async function connectDuckdb(): Promise<DuckDBConnection> {
  shared ??= startDuckdb()
  return (await shared).connect()
}

/** The rows of a query in batches, as they are asked for. Throws DuckDB's errors, and InterruptedError. */
export async function* streamRows(sql: string, signal: AbortSignal | undefined): AsyncGenerator<DuckDBValue[][]> {
  throwIfAborted(signal)
  const connection = await connectDuckdb()
  const interrupt = () => connection.interrupt()
  signal?.addEventListener('abort', interrupt)
  try {
    const result = await connection.stream(sql)
    for (let chunk = await result.fetchChunk(); chunk && chunk.rowCount > 0; chunk = await result.fetchChunk()) {
      throwIfAborted(signal)
      yield chunk.getRows()
    }
  } catch (error) {
    throwIfAborted(signal)
    throw error
  } finally {
    signal?.removeEventListener('abort', interrupt)
    connection.closeSync()
  }
}

/** A string as an SQL literal. */
export const sqlText = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** A file's path as an SQL literal that DuckDB does not take for a pattern. */
export const sqlPath = (path: string): string => sqlText(path.replace(/[[*?]/g, '[$&]'))

/** A column's name as an SQL identifier. */
export const sqlName = (name: string): string => `"${name.replaceAll('"', '""')}"`
