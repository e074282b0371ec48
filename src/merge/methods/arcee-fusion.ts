/** Arcee Fusion (Arcee AI, 2025): only the changes that matter most, by size and by their row's change of distribution, are taken over. */
import { magnitudeAt, selectLargest } from '../elements/select.ts'
import type { Block, TensorTask } from '../engine/tensor-task.ts'
import { defineMergeMethod } from '../merge-method.ts'

/**
 * Scores each change by its size times the divergence KL(softmax(row of the model) || softmax(row of the base)), and takes over the changes
 * whose score reaches the median plus 1.5 interquartile ranges of the tensor's scores. Quartiles are exact.
 * @example
 * await merge(['b'], { base: 'a', method: arceeFusion(), out: 'merged' })
 */
export const arceeFusion = defineMergeMethod({
  info: {
    name: 'arcee-fusion',
    summary: 'Takes over only the outstanding changes of a second model.',
    source: 'Arcee AI, "MergeKit v0.1", 2025',
    status: 'works',
  },
  base: 'required',
  models: { least: 1, most: 1 },
  passes: 3,
  memory: 'row',
  options: {},
  merge(task) {
    const n = task.length
    const rank = (quantile: number) => n - Math.floor(quantile * (n - 1)) // the ascending index as a rank from the top
    const cuts = selectLargest(
      task,
      [[rank(0.25), rank(0.5), rank(0.75)]],
      (block) => [scores(task, block)],
      () => task.rowBlocks(),
    )
    const [low, middle, high] = cuts[0]!.map(magnitudeAt) as [number, number, number]
    const threshold = middle + 1.5 * (high - low)
    for (const block of task.rowBlocks()) {
      const score = scores(task, block)
      const base = block.base()
      const delta = block.delta(0)
      for (let i = 0; i < block.length; i++) delta[i] = base[i]! + (Math.fround(score[i]!) >= threshold ? delta[i]! : 0)
      block.write(delta)
    }
  },
})

/** The scores of a block of whole rows, at float32's precision, as they are compared. */
function scores(task: TensorTask, block: Block): Float64Array {
  const { columns } = task
  const result = block.zeros('scores')
  const theta = block.theta(0)
  const base = block.base()
  for (let at = 0; at < block.length; at += columns) {
    const divergence = klDivergence(theta.subarray(at, at + columns), base.subarray(at, at + columns))
    for (let i = at; i < at + columns; i++) result[i] = Math.abs(theta[i]! - base[i]!) * divergence
  }
  return result
}

const guard = 1e-8

/** KL(softmax(a) || softmax(b)), each probability raised by 1e-8. */
function klDivergence(a: Float64Array, b: Float64Array): number {
  const [topA, topB] = [a, b].map((row) => row.reduce((top, x) => Math.max(top, x), Number.NEGATIVE_INFINITY)) as [
    number,
    number,
  ]
  let sumA = 0
  let sumB = 0
  for (let i = 0; i < a.length; i++) {
    sumA += Math.exp(a[i]! - topA)
    sumB += Math.exp(b[i]! - topB)
  }
  let divergence = 0
  for (let i = 0; i < a.length; i++) {
    const p = Math.exp(a[i]! - topA) / sumA + guard
    const q = Math.exp(b[i]! - topB) / sumB + guard
    divergence += p * Math.log(p / q)
  }
  return Math.max(0, divergence)
}
