/** WIDEN (Yu et al., 2024): weights are taken apart into magnitude and direction of each column; what changed most counts most. */
import type { Block, TensorTask } from '../engine/tensor-task.ts'
import { defineMergeMethod, notNegative, shared } from '../merge-method.ts'
import { isInputEmbedding } from '../plan/tensor-names.ts'

/**
 * For each column of a matrix, ranks the models' changes of its length and of its direction, turns the ranks into scores by softmax over
 * the models, and adds the changes weighted by the mean of both scores. Columns that rank above `t` times the model's average get the score
 * `s`. Vectors are scored by the size of their changes. Of an embedding, a column is the vector of one token.
 *
 * `t` (default 1, as in the paper for two or three models; scores do not sum to one, so with more models take a higher one: 1.8 leaves a tenth
 * of the columns whole), `s` (default 1).
 * @example
 * await merge(['chat', 'multilingual'], { base: 'base', method: widen(), out: 'merged' })
 */
export const widen = defineMergeMethod({
  info: {
    name: 'widen',
    summary:
      'Weights columns by how much they changed in length and direction; for models that changed by very different amounts.',
    source: 'Yu et al., "Extend Model Merging from Fine-Tuned to Pre-Trained LLMs via Weight Disentanglement", 2024',
    status: 'partial',
    results: 'docs/results/merge-methods.md',
  },
  base: 'required',
  models: { least: 1 },
  passes: 2,
  memory: 'row',
  options: { t: shared(notNegative, 1), s: shared(notNegative, 1) },
  merge(task, { t, s }) {
    if (task.shape.length < 2) return mergeVector(task, t, s)
    // Embeddings of tokens hold one vector in each row; everything else takes its input in columns.
    const byRow = isInputEmbedding(task.name)
    const changes = byRow ? rowChanges(task) : columnChanges(task)
    const length = scores(
      changes.map(({ lengths }) => ranks(lengths)),
      t,
      s,
    )
    const direction = scores(
      changes.map(({ directions }) => ranks(directions)),
      t,
      s,
    )
    const weights = length.map((score, model) => score.map((x, j) => (x + direction[model]![j]!) / 2))
    const { columns } = task
    for (const block of task.rowBlocks()) {
      const sum = block.zeros('sum')
      for (let model = 0; model < task.models; model++) {
        const delta = block.delta(model)
        const weight = weights[model]!
        for (let i = 0; i < block.length; i++)
          sum[i]! += weight[byRow ? block.firstRow + Math.floor(i / columns) : i % columns]! * delta[i]!
      }
      task.kernels.addScaled(sum, block.base(), 1)
      block.write(sum)
    }
  },
})

interface Changes {
  readonly lengths: Float64Array
  readonly directions: Float64Array
}

/** Squared lengths of a model's and the base's vectors and their products, to the changes of length and direction. */
function changesOf(squares: Float64Array, base: Float64Array, products: Float64Array): Changes {
  const lengths = squares.map((square, j) => Math.abs(Math.sqrt(square) - Math.sqrt(base[j]!)))
  const directions = products.map((product, j) => {
    const norm = Math.sqrt(squares[j]! * base[j]!)
    return norm === 0 ? 0 : 1 - product / norm
  })
  return { lengths, directions }
}

function columnChanges(task: TensorTask): Changes[] {
  const { columns, models } = task
  const zeros = () => new Float64Array(columns)
  const base = zeros()
  const squares = Array.from({ length: models }, zeros)
  const products = Array.from({ length: models }, zeros)
  for (const block of task.rowBlocks()) {
    const origin = block.base()
    addSquares(base, origin, origin, columns)
    for (let model = 0; model < models; model++) {
      const theta = block.theta(model)
      addSquares(squares[model]!, theta, theta, columns)
      addSquares(products[model]!, theta, origin, columns)
    }
  }
  return squares.map((square, model) => changesOf(square, base, products[model]!))
}

function addSquares(sums: Float64Array, a: Float64Array, b: Float64Array, columns: number): void {
  for (let at = 0; at < a.length; at += columns) for (let j = 0; j < columns; j++) sums[j]! += a[at + j]! * b[at + j]!
}

function rowChanges(task: TensorTask): Changes[] {
  const { columns, models, rows } = task
  const zeros = () => new Float64Array(rows)
  const base = zeros()
  const squares = Array.from({ length: models }, zeros)
  const products = Array.from({ length: models }, zeros)
  for (const block of task.rowBlocks())
    for (let r = 0; r < block.rows; r++) {
      const row = (values: Float64Array) => values.subarray(r * columns, (r + 1) * columns)
      const index = block.firstRow + r
      const origin = row(block.base())
      base[index] = task.addDot(0, origin, origin)
      for (let model = 0; model < models; model++) {
        const theta = row(block.theta(model))
        squares[model]![index] = task.addDot(0, theta, theta)
        products[model]![index] = task.addDot(0, theta, origin)
      }
    }
  return squares.map((square, model) => changesOf(square, base, products[model]!))
}

/** Ranks from 0 to below 1; equal values in order of their index. */
function ranks(values: Float64Array): Float64Array {
  const order = Array.from(values.keys()).sort((a, b) => values[a]! - values[b]! || a - b)
  const result = new Float64Array(values.length)
  for (const [rank, index] of order.entries()) result[index] = rank / values.length
  return result
}

/** Softmax over the models at each place; `s` where a value exceeds `t` times its model's mean. */
function scores(values: readonly Float64Array[], t: number, s: number): Float64Array[] {
  const limits = values.map((list) => (t * list.reduce((sum, x) => sum + x, 0)) / list.length)
  const total = new Float64Array(values[0]!.length)
  for (const list of values) for (let j = 0; j < list.length; j++) total[j]! += Math.exp(list[j]!)
  return values.map((list, model) => list.map((x, j) => (x > limits[model]! ? s : Math.exp(x) / total[j]!)))
}

function mergeVector(task: TensorTask, t: number, s: number): void {
  const { models } = task
  const magnitudes = Array.from({ length: models }, () => new Float64Array(task.length))
  const read = (block: Block) => {
    for (const [model, target] of magnitudes.entries())
      target.set(
        block.delta(model).map((x) => Math.abs(x)),
        block.start,
      )
  }
  for (const block of task.blocks()) read(block)
  const weights = scores(magnitudes, t, s)
  for (const block of task.blocks()) {
    const sum = block.zeros('sum')
    for (let model = 0; model < models; model++) {
      const delta = block.delta(model)
      for (let i = 0; i < block.length; i++) sum[i]! += weights[model]![block.start + i]! * delta[i]!
    }
    task.kernels.addScaled(sum, block.base(), 1)
    block.write(sum)
  }
}
