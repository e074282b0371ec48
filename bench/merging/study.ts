/** One zoo under study: its specialists' own accuracy, its controls, and what becomes of a merge of them. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openVectors, readOwnHead, readTaskHead } from '../../dist/align/task-vectors.js'
import * as espalier from '../../dist/index.js'
import type { ZooRow } from '../zoo/tasks.ts'
import { openZoo, type Specialist, type Zoo, type ZooSize } from '../zoo/zoo.ts'
import type { Candidate } from './candidates.ts'
import { accuracy, fitHead, measure, nearest, type Outcome, type Task } from './measure.ts'
import { rowsOf, type VectorOptions, type Vectors, vectorsOf } from './vectors.ts'

export interface StudyOptions {
  readonly size: ZooSize
  readonly data: string
  readonly cache: string
  /** Test rows of a task at most. */
  readonly test: number
  readonly shots: number
  readonly shotSeeds: readonly number[]
  /** Chooses the scale of each merge on dev rows. */
  readonly tune: boolean
  readonly say: (text: string) => void
}

/** Tokens a text. */
const maxLengths = { tiny: 24, small: 32, minilm: 48 }
/** Pool rows of a label where there are many labels. */
const poolRows = 12
/** Dev rows of each task on which a merge's scale is chosen. */
export const tunedOn = 40

/** Unit numbers of rows, as the config of the task's head numbers its labels. */
async function labelsOf(config: string, rows: readonly ZooRow[]): Promise<number[]> {
  const { id2label } = JSON.parse(await readFile(config, 'utf8')) as { id2label: Record<string, string> }
  const units = new Map(Object.entries(id2label).map(([unit, label]) => [label, Number(unit)]))
  return rows.map(({ labels }) => units.get(espalier.formatPath(labels[0]!)) ?? -1)
}

export class Study {
  readonly zoo: Zoo
  readonly tasks: readonly Task[]
  /** Accuracy by task, of the specialists, of k-NN on their vectors, and of the multi-task model once it was measured. */
  readonly individual: readonly number[]
  readonly neighbours: readonly number[]
  multiTask: readonly number[] | undefined
  readonly base: Outcome
  readonly #options: StudyOptions
  readonly #vectors: VectorOptions

  private constructor(zoo: Zoo, tasks: readonly Task[], base: Outcome, options: StudyOptions, vectors: VectorOptions) {
    this.zoo = zoo
    this.tasks = tasks
    this.individual = tasks.map(({ expert, head, testLabels }) => accuracy(expert.test, head, testLabels))
    this.neighbours = tasks.map(({ expert, poolLabels, testLabels }) =>
      nearest(expert.pool, poolLabels, expert.test, testLabels),
    )
    this.base = base
    this.#options = options
    this.#vectors = vectors
  }

  static async open(seed: number, options: StudyOptions): Promise<Study> {
    const { size, data, cache, test, say } = options
    const zoo = await openZoo({ size, seed, data, cache, onStep: say })
    const store = join(cache, 'merging')
    await mkdir(store, { recursive: true })
    const vectors: VectorOptions = { zoo, store, maxLength: maxLengths[size], test, poolRows }
    const tasks: Task[] = []
    for (const specialist of zoo.specialists) tasks.push(await taskOf(specialist, vectors))
    say(`${size} seed ${seed}: vectors of the specialists`)
    const base = await measure(
      'base encoder',
      undefined,
      tasks,
      await vectorsOf('base', async () => zoo.base, tasks, vectors),
      {
        ...options,
        store,
        base: zoo.base,
      },
    )
    return new Study(zoo, tasks, base, options, vectors)
  }

  /** Measures the multi-task model; trains it first if it is not there. */
  async openMultiTask(): Promise<void> {
    const { size, data, cache, say } = this.#options
    const { multiTask } = await openZoo({ size, seed: this.zoo.seed, data, cache, multiTask: true, onStep: say })
    this.multiTask = await multiTaskAccuracy(multiTask!, this.tasks, this.#vectors)
  }

  /** Merges, and measures what came out. */
  async run(candidate: Candidate): Promise<Outcome> {
    const lambda = candidate.lambdas.length === 0 ? undefined : await this.#lambda(candidate)
    const vectors = await this.#mergedVectors(candidate, lambda, this.tasks, this.#vectors)
    const { store } = this.#vectors
    return measure(candidate.name, lambda, this.tasks, vectors, { ...this.#options, store, base: this.zoo.base })
  }

  /** Accuracy of the fitted heads of a merge by task, with `shots` texts a label, from a pool with that many rows of every label. */
  async curve(candidate: Candidate, lambda: number | undefined, shots: number, seed: number): Promise<number[]> {
    const options = { ...this.#vectors, poolRows: Math.max(poolRows, shots) }
    const tasks: Task[] = []
    for (const specialist of this.zoo.specialists) tasks.push(await taskOf(specialist, options))
    const vectors = await this.#mergedVectors(candidate, lambda, tasks, options)
    return tasks.map((task, t) => fitHead(task, vectors[t]!, shots, seed, false).trained)
  }

  async #mergedVectors(
    candidate: Candidate,
    lambda: number | undefined,
    tasks: readonly Task[],
    options: VectorOptions,
  ): Promise<Vectors[]> {
    const name = `${candidate.name} ${lambda}`
    if (candidate.family !== 'per task')
      return this.#merging(candidate, lambda ?? 1, (out) => vectorsOf(name, out, tasks, options))
    return this.#merging(candidate, lambda ?? 1, async (out) => {
      const result: Vectors[] = []
      for (const task of tasks) {
        const own = async () => {
          const merged = await out()
          const found = (await espalier.mergedTasks(merged)).find(({ name }) => name.endsWith(task.name))!
          const target = `${merged}-${task.name}`
          await espalier.materializeTask(merged, found.name, target, { force: true })
          return target
        }
        result.push(...(await vectorsOf(name, own, [task], options)))
      }
      return result
    })
  }

  /** Gives `use` a merge that is made when it is first asked for, and removes it. */
  async #merging<Result>(
    { base, method, dataMethod }: Candidate,
    lambda: number,
    use: (out: () => Promise<string>) => Promise<Result>,
  ): Promise<Result> {
    const work = await mkdtemp(join(tmpdir(), 'espalier-merging-'))
    const folders = this.tasks.map(({ folder }) => folder)
    const onBase = base ? { base: this.zoo.base } : {}
    const out = join(work, 'merged')
    let made: Promise<unknown> | undefined
    const make = () =>
      dataMethod
        ? espalier.mergeWithData(folders, {
            ...onBase,
            method: dataMethod(lambda),
            data: this.tasks.map(({ dev }) => espalier.datasetOf(dev.map(({ text }) => ({ text })))),
            out,
            threads: 1,
          })
        : espalier.merge(folders, {
            ...onBase,
            method: method!(lambda),
            out,
            head: { kind: 'keep-per-task' },
            threads: 1,
          })
    try {
      return await use(async () => {
        await (made ??= make())
        return out
      })
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  }

  /** The usual scale; or the one with the best mean accuracy on dev rows with the specialists' heads, kept in a file. */
  async #lambda(candidate: Candidate): Promise<number> {
    if (!this.#options.tune) return candidate.lambdas[0]!
    const key = createHash('sha256')
      .update(JSON.stringify(this.tasks.map(({ folder }) => folder)))
      .digest('hex')
      .slice(0, 8)
    const file = join(this.#vectors.store, `${this.zoo.size}-${this.zoo.seed}-${key}-lambdas.json`)
    const known: Record<string, number> = existsSync(file) ? JSON.parse(await readFile(file, 'utf8')) : {}
    if (known[candidate.name] !== undefined) return known[candidate.name]!
    let best = { lambda: candidate.lambdas[0]!, score: -1 }
    for (const lambda of candidate.lambdas) {
      const score = await this.#merging(candidate, lambda, async (out) => this.#devAccuracy(await out()))
      if (score > best.score) best = { lambda, score }
    }
    await writeFile(file, JSON.stringify({ ...known, [candidate.name]: best.lambda }))
    return best.lambda
  }

  async #devAccuracy(folder: string): Promise<number> {
    const source = await openVectors(folder, { threads: 1 })
    let sum = 0
    for (const task of this.tasks) {
      const rows = task.dev.slice(0, tunedOn)
      const texts = rows.map(({ text }) => text)
      const vectors = await source.vectors(texts, this.#vectors.maxLength)
      sum += accuracy(vectors, task.head, await labelsOf(join(task.folder, 'config.json'), rows))
    }
    await source.close()
    return sum / this.tasks.length
  }
}

async function taskOf(specialist: Specialist, options: VectorOptions): Promise<Task> {
  const [expert] = await vectorsOf(`expert ${specialist.name}`, async () => specialist.folder, [specialist], options)
  const { test, pool } = rowsOf(specialist, options)
  const config = join(specialist.folder, 'config.json')
  return {
    ...specialist,
    pool,
    head: await readOwnHead(specialist.folder),
    testLabels: await labelsOf(config, test),
    poolLabels: await labelsOf(config, pool),
    expert: expert!,
  }
}

async function multiTaskAccuracy(folder: string, tasks: readonly Task[], options: VectorOptions): Promise<number[]> {
  const vectors = await vectorsOf('multi-task', async () => folder, tasks, options)
  const result: number[] = []
  for (const [t, task] of tasks.entries()) {
    const { head } = await readTaskHead(folder, task.name)
    const labels = await labelsOf(join(folder, 'heads', task.name, 'head.json'), rowsOf(task, options).test)
    result.push(accuracy(vectors[t]!.test, head, labels))
  }
  return result
}
