/**
 * The tasks of the zoo: rows of real sets, cut to a size that two cores train in minutes, the same cut for one seed everywhere. Rows of a task
 * are split four ways: train, dev (early stopping and calibration), test, and a pool of rows that no training saw, for few-shot methods.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { permutation, random } from '../../dist/tensor/random.js'

export interface ZooRow {
  readonly text: string
  readonly labels: string[][]
}

export interface ZooTask {
  readonly name: string
  /** The file of the label tree; undefined where the task has a part of its set's labels and the tree comes from the rows. */
  readonly labels: string | undefined
  readonly train: readonly ZooRow[]
  readonly dev: readonly ZooRow[]
  readonly test: readonly ZooRow[]
  /** At most `poolShots` rows of each label, in drawn order; rows of `train` stand in where a rare label has no others. */
  readonly pool: readonly ZooRow[]
}

export interface TaskLimits {
  readonly train: number
  readonly dev: number
  readonly test: number
}

interface TaskSource {
  readonly name: string
  /** The folder of the set. */
  readonly set: string
  /** Keeps rows whose label path begins with one of these. */
  readonly under?: readonly string[]
  /** Passes over the training rows: more where there are many labels. */
  readonly epochs: number
}

/** Most rows of one label in the pool. */
export const poolShots = 25

/** In the order of the tables. `trec` and `clinc150` have label trees of two levels. */
export const taskSources: readonly TaskSource[] = [
  { name: 'trec', set: 'trec', epochs: 3 },
  { name: 'clinc150', set: 'clinc150', under: ['banking', 'home', 'travel', 'work'], epochs: 3 },
  { name: 'banking77', set: 'banking77', epochs: 4 },
  { name: 'ag_news', set: 'ag_news', epochs: 2 },
  { name: 'sst2', set: 'sst2', epochs: 2 },
  { name: 'subj', set: 'subj', epochs: 2 },
  { name: 'emotion', set: 'tweet_emotion', epochs: 3 },
  { name: 'offensive', set: 'tweet_offensive', epochs: 2 },
]

/** Rows of one split; an absent file has none. */
export function readRows(data: string, set: string, split: string): ZooRow[] {
  let bytes: Buffer
  try {
    bytes = readFileSync(join(data, set, `${split}.jsonl.gz`))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
  const lines = gunzipSync(bytes).toString('utf8').trim().split('\n')
  return lines.map((line) => JSON.parse(line) as ZooRow)
}

/** Texts that differ in case and spaces only are one. */
const keyOf = ({ text }: ZooRow): string => text.toLowerCase().replace(/\s+/g, ' ').trim()
const leafOf = ({ labels }: ZooRow): string => labels[0]!.join('\u0000')

/** `count` rows with each label's share kept, at least one of each label; drawn by the key. */
function stratified(
  rows: readonly ZooRow[],
  count: number,
  ...key: (string | number)[]
): { taken: ZooRow[]; rest: ZooRow[] } {
  const order = Array.from(permutation(rows.length, random('zoo', ...key)), (i) => rows[i]!)
  if (rows.length <= count) return { taken: order, rest: [] }
  const groups = new Map<string, ZooRow[]>()
  for (const row of order) groups.set(leafOf(row), [...(groups.get(leafOf(row)) ?? []), row])
  const quota = new Map(
    [...groups].map(([leaf, members]) => [leaf, Math.max(1, Math.round((members.length * count) / rows.length))]),
  )
  const taken: ZooRow[] = []
  const rest: ZooRow[] = []
  for (const row of order) {
    const left = quota.get(leafOf(row))!
    quota.set(leafOf(row), left - 1)
    ;(left > 0 ? taken : rest).push(row)
  }
  return { taken, rest }
}

/** Reads one task. The test rows are the same for every seed; what is trained on is drawn by the seed. */
export function readTask(data: string, source: TaskSource, limits: TaskLimits, seed: number): ZooTask {
  const { name, set, under } = source
  // SST-2 and SUBJ share 1,244 sentences: SUBJ goes without them, in every split.
  const foreign = new Set(
    set === 'subj' ? ['train', 'dev', 'test'].flatMap((split) => readRows(data, 'sst2', split).map(keyOf)) : [],
  )
  const rowsOf = (split: string) =>
    readRows(data, set, split).filter(
      (row) => (under?.includes(row.labels[0]![0]!) ?? true) && !foreign.has(keyOf(row)),
    )
  const allTest = rowsOf('test')
  const tested = new Set(allTest.map(keyOf))
  const seen = new Set<string>()
  const fresh = (row: ZooRow) => !tested.has(keyOf(row)) && !seen.has(keyOf(row)) && Boolean(seen.add(keyOf(row)))
  const trainRows = rowsOf('train').filter(fresh)
  const givenDev = rowsOf('dev').filter(fresh)
  const { taken: train, rest } = stratified(trainRows, limits.train, name, 'train', seed)
  const { taken: dev, rest: more } = stratified([...givenDev, ...rest], limits.dev, name, 'dev', seed)
  const shots = new Map<string, number>()
  const pool = [...more, ...train].filter((row) => {
    const count = shots.get(leafOf(row)) ?? 0
    shots.set(leafOf(row), count + 1)
    return count < poolShots
  })
  const test = stratified(allTest, limits.test, name, 'test').taken
  return { name, labels: under ? undefined : join(data, set, 'labels.json'), train, dev, test, pool }
}

/** The first `shots` rows of each label in the pool, in an order drawn by `seed`. */
export function drawShots(pool: readonly ZooRow[], shots: number, seed: number): ZooRow[] {
  const counts = new Map<string, number>()
  return Array.from(permutation(pool.length, random('zoo shots', seed)), (i) => pool[i]!).filter((row) => {
    const count = counts.get(leafOf(row)) ?? 0
    counts.set(leafOf(row), count + 1)
    return count < shots
  })
}
