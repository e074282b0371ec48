/** Vectors that encoders give to the rows of tasks, kept in files, so that a run that is cut short goes on. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openVectors } from '../../dist/align/task-vectors.js'
import { type Matrix, matrix } from '../../dist/tensor/linear-algebra/index.js'
import type { ZooRow } from '../zoo/tasks.ts'
import type { Specialist, Zoo } from '../zoo/zoo.ts'

/** Vectors of the rows of a task. */
export interface Vectors {
  readonly test: Matrix
  readonly pool: Matrix
}

/** Labels from which a task has fewer pool rows of each: the cost of a merge is the vectors of the pool. */
export const manyLabels = 30

export const leafOf = ({ labels }: ZooRow): string => labels[0]!.join('\u0000')

/** The pool, with `rows` rows a label where there are many labels. */
export function cutPool(pool: readonly ZooRow[], rows: number): readonly ZooRow[] {
  if (new Set(pool.map(leafOf)).size <= manyLabels) return pool
  const counts = new Map<string, number>()
  return pool.filter((row) => {
    const count = counts.get(leafOf(row)) ?? 0
    counts.set(leafOf(row), count + 1)
    return count < rows
  })
}

export interface VectorOptions {
  readonly zoo: Zoo
  readonly store: string
  readonly maxLength: number
  /** Test rows of a task at most. */
  readonly test: number
  /** Pool rows of a label where there are many labels. */
  readonly poolRows: number
}

/** The rows that are read of a task. */
export const rowsOf = (task: Specialist, { test, poolRows }: VectorOptions) => ({
  test: task.test.slice(0, test),
  pool: cutPool(task.pool, poolRows),
})

/** Vectors of the encoder in `folder`, called only if they are not kept under `name` yet. */
export async function vectorsOf(
  name: string,
  folder: () => Promise<string>,
  tasks: readonly Specialist[],
  options: VectorOptions,
): Promise<Vectors[]> {
  const { zoo, store, maxLength, test, poolRows } = options
  const asked = tasks.map(({ folder: own, name: task }) => ({ own, task }))
  const key = createHash('sha256')
    .update(JSON.stringify({ name, base: zoo.base, seed: zoo.seed, asked, test: String(test), maxLength }))
    .update(poolRows === 12 ? '' : `pool ${poolRows}`)
    .digest('hex')
    .slice(0, 12)
  const file = join(store, `${zoo.size}-${key}.f32`)
  const rows = tasks.map((task) => rowsOf(task, options))
  const texts = rows.flatMap(({ test, pool }) => [...test, ...pool].map(({ text }) => text))
  let width: number
  let values: Float32Array
  if (existsSync(file)) {
    const bytes = await readFile(file)
    values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
    width = values.length / texts.length
  } else {
    const source = await openVectors(await folder(), { threads: 1 })
    const found = await source.vectors(texts, maxLength)
    await source.close()
    values = Float32Array.from(found.data)
    width = found.columns
    await writeFile(file, values)
  }
  let at = 0
  const part = (count: number): Matrix => {
    const data = Float64Array.from(values.subarray(at * width, (at + count) * width))
    at += count
    return matrix(count, width, data)
  }
  return rows.map(({ test, pool }) => ({ test: part(test.length), pool: part(pool.length) }))
}
