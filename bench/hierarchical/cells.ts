/** The cells of the table: which there are, and how one is measured. A finished cell stays in the cache, so a run goes on where the last one stopped. */
import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { headMethods } from '../../dist/cli/methods.js'
import {
  datasetOf,
  EspalierError,
  evaluate,
  fewShotPaths,
  type Row,
  readDataset,
  readLabelTree,
  splitRows,
  train,
} from '../../dist/index.js'

export interface Cell {
  readonly set: string
  readonly encoder: string
  readonly method: string
  readonly seed: number
  /** Training texts of each path; undefined: as many rows as the settings allow. */
  readonly shots?: number
}

export interface Settings {
  readonly data: string
  /** Folders of encoders by the name in the table; `ngram` and `mini` need none. */
  readonly folders: Readonly<Record<string, string>>
  /** Most training rows of an encoder that is a transformer, and most test rows. */
  readonly rows: number
  readonly testRows: number
  readonly epochs: number
  readonly threads: number
}

export interface Scores {
  readonly microF1: number
  readonly macroF1: number
  readonly constrainedMicro: number
  readonly constrainedMacro: number
  readonly strictMicro: number
  readonly strictMacro: number
  readonly hF: number
  readonly exactPath: number
  /** Accuracy of each level, top first. */
  readonly levels: readonly number[]
}

export interface Outcome {
  readonly cell: Cell
  readonly rows: number
  readonly testRows: number
  readonly seconds: number
  /** Undefined where the method does not suit the data; `reason` then says why. */
  readonly scores?: Scores
  readonly reason?: string
}

/** A share of the training rows is left out, another for each seed, so that seeds differ for methods without chance too. */
const leftOut = 0.2
/** Rows of a dev set at most, and least updates of a few-shot training. */
const devRows = 300
const fewShotSteps = 200
const batchRows = 32
const mostFewShotEpochs = 40
/** A measurement under another rule counts as another cell. */
const version = 1

/** Methods of `train` that are measured here: all that need no endpoint. */
export async function methodNames(): Promise<string[]> {
  return (await headMethods()).map(({ info }) => info.name).filter((name) => name !== 'htc-llm')
}

/** The file of a cell: its name tells the cell, its hash the settings. */
function fileOf(cache: string, { set, encoder, method, seed, shots }: Cell, settings: Settings): string {
  const { rows, testRows, epochs } = settings
  const asked = encoder === 'ngram' ? { version } : { version, rows: shots === undefined ? rows : 0, testRows, epochs }
  const hash = createHash('sha256').update(JSON.stringify(asked)).digest('hex').slice(0, 8)
  return join(cache, [set, encoder, method, ...(shots === undefined ? [] : [`k${shots}`]), seed, hash].join('-'))
}

export async function readOutcome(cache: string, cell: Cell, settings: Settings): Promise<Outcome | undefined> {
  const text = await readFile(`${fileOf(cache, cell, settings)}.json`, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as Outcome)
}

export async function measure(cache: string, cell: Cell, settings: Settings): Promise<Outcome> {
  const outcome = await run(cell, settings)
  await mkdir(cache, { recursive: true })
  await writeFile(`${fileOf(cache, cell, settings)}.json`, `${JSON.stringify(outcome, null, 2)}\n`)
  return outcome
}

async function run(cell: Cell, settings: Settings): Promise<Outcome> {
  const { set, encoder, seed, shots } = cell
  const folder = join(settings.data, set)
  const labels = await readLabelTree(join(folder, 'labels.json'))
  const all = await (await readDataset(join(folder, 'train.jsonl.gz'))).collect()
  const parts = rowsOf(cell, all, settings)
  const test = await (await readDataset(join(folder, 'test.jsonl.gz'))).collect()
  const judged = encoder === 'ngram' ? test : sample(test, settings.testRows, seed)
  const factory = (await headMethods()).find(({ info }) => info.name === cell.method)!
  const epochs =
    shots === undefined
      ? settings.epochs
      : Math.min(mostFewShotEpochs, Math.ceil((fewShotSteps * batchRows) / parts.train.length))
  const start = performance.now()
  const known = { cell, rows: parts.train.length, testRows: judged.length }
  const seconds = () => (performance.now() - start) / 1000
  try {
    const model = await train(datasetOf(parts.train), {
      labels,
      method: factory(),
      encoder: settings.folders[encoder] ?? encoder,
      seed,
      threads: settings.threads,
      ...(encoder === 'ngram' ? {} : { dev: datasetOf(parts.dev), epochs }),
    })
    try {
      const { metrics } = await evaluate(model, datasetOf(judged))
      return {
        ...known,
        seconds: seconds(),
        scores: {
          microF1: metrics.microF1,
          macroF1: metrics.macroF1,
          constrainedMicro: metrics.pathConstrained.microF1,
          constrainedMacro: metrics.pathConstrained.macroF1,
          strictMicro: metrics.pathStrict.microF1,
          strictMacro: metrics.pathStrict.macroF1,
          hF: metrics.hierarchical.f1,
          exactPath: metrics.exactPath,
          levels: metrics.levels.map(({ accuracy }) => accuracy),
        },
      }
    } finally {
      await model.close()
    }
  } catch (error) {
    const unfit = ['METHOD_DATA', 'METHOD_ENCODER', 'DATA_MIXED']
    if (EspalierError.is(error) && unfit.includes(error.code))
      return { ...known, seconds: seconds(), reason: error.message }
    throw error
  }
}

/** Training and dev rows of a cell; the ngram model tunes itself on its own rows. */
function rowsOf({ encoder, seed, shots }: Cell, all: readonly Row[], settings: Settings) {
  if (shots !== undefined) return fewShotPaths(all, { k: shots, seed })
  const { train: kept, dev: rest } = splitRows(all, { dev: leftOut, seed })
  if (encoder === 'ngram') return { train: kept, dev: [] }
  return { train: sample(kept, settings.rows, seed), dev: sample(rest, devRows, seed) }
}

/** About so many rows, the same for a seed, with a row of every label. */
function sample(rows: readonly Row[], most: number, seed: number): Row[] {
  return rows.length <= most ? [...rows] : splitRows(rows, { dev: rows.length - most, seed }).train
}
