import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { faultOf, temporaryFolder } from '../../test/temporary-folder.ts'
import type { Progress } from '../util/progress.ts'
import { readDataset } from './dataset.ts'
import { connectDuckdb, sqlText } from './duckdb.ts'
import type { ReadOptions } from './row.ts'

const { folder, write } = temporaryFolder()
const read = async (path: string, options: ReadOptions = {}) => (await readDataset(path, options)).collect()

/** Writes the result of a query as Parquet. */
async function parquet(name: string, query: string): Promise<string> {
  const path = join(folder, name)
  const connection = await connectDuckdb()
  await connection.run(`COPY (${query}) TO ${sqlText(path)} (FORMAT parquet)`)
  connection.closeSync()
  return path
}

test('text, lists of paths, numbers as labels and ids, empty lists', async () => {
  const path = await parquet(
    'lists.parquet',
    `SELECT * FROM (VALUES ('one', [['a', 'b'], ['c']], 9007199254740993), ('two "2"\n', [], 2)) t(text, labels, id)`,
  )
  expect(await read(path)).toEqual([
    { text: 'one', labels: [['a', 'b'], ['c']], id: '9007199254740993', file: path, line: 1 },
    { text: 'two "2"\n', labels: [], id: '2', file: path, line: 2 },
  ])
  const flat = await parquet(
    'flat.parquet',
    `SELECT 'a' AS sentence, 3 AS label, ['x', 'y'] AS tags UNION ALL SELECT 'b', 0, NULL`,
  )
  expect((await read(flat)).map(({ labels }) => labels)).toEqual([[['3']], [['0']]])
  expect((await read(flat, { labels: 'tags' })).map(({ labels }) => labels)).toEqual([[['x'], ['y']], []])
})

test('text stored without its type, as old writers do; enumerations as labels', async () => {
  const path = await parquet('blob.parquet', `SELECT encode('naïve')::BLOB AS text, 'x'::ENUM('x', 'y') AS label`)
  expect(await read(path)).toMatchObject([{ text: 'naïve', labels: [['x']] }])
})

test('many rows arrive in order, with progress in bytes', async () => {
  const path = await parquet(
    'many.parquet',
    `SELECT 'row ' || i AS text, [(i % 7)::VARCHAR] AS path FROM range(20000) t(i)`,
  )
  const seen: Progress[] = []
  const rows = await read(path, { onProgress: (progress) => seen.push(progress) })
  expect(rows).toHaveLength(20_000)
  expect(
    rows.every(({ text, line, labels }, i) => text === `row ${i}` && line === i + 1 && labels[0]![0] === String(i % 7)),
  ).toBe(true)
  const size = readFileSync(path).length
  expect(seen.at(-1)).toMatchObject({ done: size, total: size, metrics: { rows: 20_000 } })
})

test('faults: null and number as text, no text column, no rows, damaged files', async () => {
  const nulls = await parquet('nulls.parquet', `SELECT 'a' AS text UNION ALL SELECT NULL`)
  expect(await faultOf(() => read(nulls))).toMatchObject({ code: 'TEXT_MISSING', where: { file: nulls, line: 2 } })
  const numbers = await parquet('numbers.parquet', 'SELECT 1 AS text')
  expect(await faultOf(() => read(numbers))).toMatchObject({ code: 'TEXT_TYPE', where: { line: 1, key: 'text' } })
  const other = await parquet('other.parquet', 'SELECT 1 AS n, 2 AS m')
  expect(await faultOf(() => readDataset(other))).toMatchObject({
    code: 'COLUMN_MISSING',
    data: { columns: ['n', 'm'] },
  })
  const none = await parquet('none.parquet', `SELECT 'a' AS text WHERE false`)
  expect(await faultOf(() => read(none))).toMatchObject({ code: 'DATA_EMPTY' })
  const whole = readFileSync(await parquet('whole.parquet', `SELECT 'row ' || i AS text FROM range(5000) t(i)`))
  const cut = write('cut.parquet', whole.subarray(0, whole.length / 2))
  expect(await faultOf(() => readDataset(cut))).toMatchObject({
    code: 'PARQUET_MALFORMED',
    exitCode: 2,
    where: { file: cut },
  })
  const bytes = Buffer.from(whole)
  bytes.fill(7, 10, 2000)
  const damaged = write('damaged.parquet', bytes)
  expect(await faultOf(() => read(damaged))).toMatchObject({ code: 'PARQUET_MALFORMED', where: { file: damaged } })
})
