/** DuckDB, which reads the tables (CSV, Parquet): loaded on first use, in memory, without extensions from the network. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { RunError } from '../util/errors.ts'

/** Runs `work` with a connection of its own and closes it after. Throws RunError `DEPENDENCY_MISSING` if the package is not installed. */
export async function* withDuckdb<T>(
  work: (connection: DuckDBConnection) => AsyncGenerator<T>,
  signal?: AbortSignal,
): AsyncGenerator<T> {
  const { DuckDBInstance } = await import('@duckdb/node-api').catch((cause: unknown) => {
    throw new RunError('DEPENDENCY_MISSING', 'Reading CSV, TSV and Parquet needs the package @duckdb/node-api', {
      help: 'run: npm install @duckdb/node-api (or convert the data to JSONL)',
      cause,
    })
  })
  // One thread: rows come in the file's order either way, and a reader should not take the cores from its caller.
  const instance = await DuckDBInstance.create(':memory:', {
    threads: '1',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  })
  const connection = await instance.connect()
  const interrupt = () => connection.interrupt()
  signal?.addEventListener('abort', interrupt)
  try {
    yield* work(connection)
  } finally {
    signal?.removeEventListener('abort', interrupt)
    connection.closeSync()
    instance.closeSync()
  }
}

/** A string as an SQL literal. */
export const sqlText = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** A file's path as an SQL literal that DuckDB does not take for a pattern. */
export const sqlPath = (path: string): string => sqlText(path.replace(/[[*?]/g, '[$&]'))

/** A column's name as an SQL identifier. */
export const sqlName = (name: string): string => `"${name.replaceAll('"', '""')}"`
