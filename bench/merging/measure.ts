/** What is measured of the vectors of a merged encoder: the heads as they were, fitted, rotated; neighbours; and how much a rotation explains. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { distillHead, logitsOf, probabilitiesOf } from '../../dist/align/distill-head.js'
import { type LinearHead, procrustes, rotateHead } from '../../dist/align/procrustes.js'
import { type Matrix, MatrixKernels, matrix, multiply } from '../../dist/tensor/linear-algebra/index.js'
import { drawShots, type ZooRow } from '../zoo/tasks.ts'
import type { Specialist } from '../zoo/zoo.ts'
import type { Vectors } from './vectors.ts'

export interface Task extends Specialist {
  readonly head: LinearHead
  readonly pool: readonly ZooRow[]
  readonly testLabels: readonly number[]
  readonly poolLabels: readonly number[]
  readonly expert: Vectors
}

/** Half the steps of the default at twice the rate: two cores. */
export const fitting = { steps: 100, learningRate: 0.01 }

export interface Outcome {
  readonly name: string
  readonly lambda: number | undefined
  readonly own: readonly number[]
  /** By task, then by shot seed. */
  readonly trained: readonly (readonly number[])[]
  /** With the texts of the first shot seed; by task. */
  readonly rotated: readonly number[]
  readonly neighbours: readonly number[]
  /** Share of the squared distance from the expert's vectors that the best rotation takes away, on pool rows; by task. */
  readonly explained: readonly number[]
}

const kernels = await MatrixKernels.open()

export function accuracy(vectors: Matrix, head: LinearHead, labels: readonly number[]): number {
  const { data, columns } = logitsOf(kernels, vectors, head)
  const hits = labels.filter((label, row) => {
    const logits = data.subarray(row * columns, (row + 1) * columns)
    return logits.indexOf(logits.reduce((most, z) => Math.max(most, z), Number.NEGATIVE_INFINITY)) === label
  })
  return hits.length / labels.length
}

function pick(from: Matrix, rows: readonly number[]): Matrix {
  const result = matrix(rows.length, from.columns)
  for (const [i, row] of rows.entries())
    result.data.set(from.data.subarray(row * from.columns, (row + 1) * from.columns), i * from.columns)
  return result
}

/** Rows of the pool that a seed draws. */
function drawn(task: Task, shots: number, seed: number): number[] {
  const numbers = new Map(task.pool.map((row, i) => [row, i]))
  return drawShots(task.pool, shots, seed).map((row) => numbers.get(row)!)
}

/** Accuracy of the head after FT-Classifier, and after the best rotation if it is asked for. */
export function fitHead(task: Task, merged: Vectors, shots: number, seed: number, rotate: boolean) {
  const rows = drawn(task, shots, seed)
  const [from, to] = [pick(merged.pool, rows), pick(task.expert.pool, rows)]
  const normalisation = { activation: 'softmax' as const, groups: [{ start: 0, end: task.head.bias.length }] }
  const teacher = probabilitiesOf(logitsOf(kernels, to, task.head), normalisation)
  const trained = distillHead(kernels, from, teacher, task.head, normalisation, fitting)
  return {
    trained: accuracy(merged.test, trained, task.testLabels),
    rotated: rotate
      ? accuracy(merged.test, rotateHead(kernels, task.head, procrustes(kernels, from, to)), task.testLabels)
      : Number.NaN,
  }
}

/** Accuracy of the 5 nearest pool rows by cosine, each voting with its similarity. */
export function nearest(pool: Matrix, labels: readonly number[], test: Matrix, gold: readonly number[]): number {
  const unit = (x: Matrix) => {
    const data = x.data.slice()
    for (let i = 0; i < x.rows; i++) {
      const row = data.subarray(i * x.columns, (i + 1) * x.columns)
      const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0))
      for (let j = 0; j < row.length; j++) row[j]! /= norm
    }
    return matrix(x.rows, x.columns, data)
  }
  const similar = multiply(kernels, unit(test), unit(pool), { transposeB: true })
  const hits = gold.filter((label, row) => {
    const line = similar.data.subarray(row * pool.rows, (row + 1) * pool.rows)
    const best = Array.from(line.keys())
      .sort((a, b) => line[b]! - line[a]! || a - b)
      .slice(0, 5)
    const votes = new Map<number, number>()
    for (const i of best) votes.set(labels[i]!, (votes.get(labels[i]!) ?? 0) + line[i]!)
    return [...votes].sort(([, a], [, b]) => b - a)[0]![0] === label
  })
  return hits.length / gold.length
}

export interface MeasureOptions {
  readonly store: string
  /** Begins the names of files. */
  readonly size: string
  readonly base: string
  readonly test: number
  readonly shots: number
  readonly shotSeeds: readonly number[]
}

/** All that is measured of one encoder (or, of a method with a model for each task, of those), kept in a file. */
export async function measure(
  name: string,
  lambda: number | undefined,
  tasks: readonly Task[],
  vectors: readonly Vectors[],
  { store, size, base, test, shots, shotSeeds }: MeasureOptions,
): Promise<Outcome> {
  const asked = { name, lambda, base, folders: tasks.map(({ folder }) => folder), fitting }
  const pools = tasks.map(({ pool }) => pool.length)
  const key = createHash('sha256')
    .update(JSON.stringify({ ...asked, test, shots, shotSeeds, pools }))
    .digest('hex')
    .slice(0, 12)
  const file = join(store, `${size}-${key}.json`)
  if (existsSync(file)) return JSON.parse(await readFile(file, 'utf8')) as Outcome
  const fits = tasks.map((task, t) => shotSeeds.map((seed, s) => fitHead(task, vectors[t]!, shots, seed, s === 0)))
  const outcome: Outcome = {
    name,
    lambda,
    own: tasks.map((task, t) => accuracy(vectors[t]!.test, task.head, task.testLabels)),
    trained: fits.map((of) => of.map(({ trained }) => trained)),
    rotated: fits.map(([first]) => first!.rotated),
    neighbours: tasks.map((task, t) => nearest(vectors[t]!.pool, task.poolLabels, vectors[t]!.test, task.testLabels)),
    explained: tasks.map((task, t) => {
      const { before, residual } = procrustes(kernels, vectors[t]!.pool, task.expert.pool)
      return before === 0 ? 1 : 1 - residual ** 2 / before ** 2
    }),
  }
  await writeFile(file, JSON.stringify(outcome))
  return outcome
}
