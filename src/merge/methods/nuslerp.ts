/** Spherical interpolation of two models by their weights, of whole tensors or of rows or columns, also of their differences from a base. */
import { gramMatrix, sphericalWeights, writeCombination } from '../elements/gram.ts'
import type { Block, TensorTask } from '../engine/tensor-task.ts'
import { anyNumber, defineMergeMethod, perModel, shared, yesOrNo } from '../merge-method.ts'

/** Cosine above which two directions count as one: there the formula divides by almost nothing. */
const collinear = (cosine: number) => 1 - cosine * cosine <= 1e-16
const shortest = 1e-7

/**
 * Interpolates on the sphere at w2 / (w1 + w2), between the models or, with a base, between their differences from it.
 *
 * `weight` of each model (required; weights that sum to 0 mean the middle); `nuslerpFlatten` takes each tensor as one vector (default
 * true); otherwise each row is a vector, or with `nuslerpRowWise` each column (mergekit's name for it).
 * @example
 * await merge([{ model: 'a', weight: 0.3 }, { model: 'b', weight: 0.7 }], { method: nuslerp(), out: 'merged' })
 */
export const nuslerp = defineMergeMethod({
  info: {
    name: 'nuslerp',
    summary: 'Spherical interpolation of two models, or of their differences from a base, by their weights.',
    source: 'mergekit, 2024; Shoemake, 1985',
    status: 'works',
  },
  base: 'optional',
  models: { least: 2, most: 2 },
  passes: 2,
  memory: 'row',
  options: {
    weight: perModel(anyNumber),
    nuslerpFlatten: shared(yesOrNo, true),
    nuslerpRowWise: shared(yesOrNo, false),
  },
  merge(task, { weight, nuslerpFlatten, nuslerpRowWise }) {
    const total = weight[0]! + weight[1]!
    const t = Math.abs(total) < 1e-6 ? 0.5 : weight[1]! / total
    const vectors = (block: Block) =>
      [0, 1].map((model) => (task.hasBase ? block.delta(model) : block.theta(model))) as [Float64Array, Float64Array]
    if (nuslerpFlatten || task.shape.length < 2) {
      const gram = gramMatrix(task, 2, vectors)
      const [a, b] = mix(t, gram[0]![0]!, gram[1]![1]!, gram[0]![1]!)
      writeCombination(task, [a, b], task.hasBase ? 1 - a - b : 0)
    } else if (nuslerpRowWise) mixColumns(task, t, vectors)
    else mixRows(task, t, vectors)
  },
})

function mix(t: number, normA: number, normB: number, product: number): [number, number] {
  const cosine = product / (Math.max(Math.sqrt(normA), shortest) * Math.max(Math.sqrt(normB), shortest))
  return sphericalWeights(t, cosine, collinear(cosine))
}

function mixRows(task: TensorTask, t: number, vectors: (block: Block) => [Float64Array, Float64Array]): void {
  const { columns } = task
  for (const block of task.rowBlocks()) {
    const [first, second] = vectors(block)
    const sum = block.zeros('sum')
    for (let at = 0; at < block.length; at += columns) {
      const [a, b, target] = [first, second, sum].map((values) => values.subarray(at, at + columns)) as Float64Array[]
      const row = mix(t, task.addDot(0, a!, a!), task.addDot(0, b!, b!), task.addDot(0, a!, b!))
      task.kernels.addScaled(target!, a!, row[0])
      task.kernels.addScaled(target!, b!, row[1])
    }
    if (task.hasBase) task.kernels.addScaled(sum, block.base(), 1)
    block.write(sum)
  }
}

function mixColumns(task: TensorTask, t: number, vectors: (block: Block) => [Float64Array, Float64Array]): void {
  const { columns } = task
  const [aa, bb, ab] = [0, 1, 2].map(() => new Float64Array(columns)) as [Float64Array, Float64Array, Float64Array]
  for (const block of task.rowBlocks()) {
    const [a, b] = vectors(block)
    for (let i = 0; i < block.length; i++) {
      const column = i % columns
      aa[column]! += a[i]! * a[i]!
      bb[column]! += b[i]! * b[i]!
      ab[column]! += a[i]! * b[i]!
    }
  }
  const shares = Array.from(aa, (norm, column) => mix(t, norm, bb[column]!, ab[column]!))
  for (const block of task.rowBlocks()) {
    const [a, b] = vectors(block)
    const sum = block.zeros('sum')
    for (let i = 0; i < block.length; i++) {
      const [first, second] = shares[i % columns]!
      sum[i] = first * a[i]! + second * b[i]!
    }
    if (task.hasBase) task.kernels.addScaled(sum, block.base(), 1)
    block.write(sum)
  }
}
