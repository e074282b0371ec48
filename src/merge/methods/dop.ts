/**
 * DOP, continual merging by dual orthogonal projection (as in FusionBench): models come one after the other; each merge is moved so that the
 * row and column spaces of both the old and the new change are disturbed as little as possible.
 */
import * as v from 'valibot'
import { Adam } from '../../tensor/adam.ts'
import { frobeniusNorm, type Matrix } from '../../tensor/linear-algebra/matrix.ts'
import type { MatrixKernels } from '../../tensor/linear-algebra/matrix-kernels.ts'
import { multiply } from '../../tensor/linear-algebra/multiply.ts'
import { lambda } from '../elements/task-vector-options.ts'
import type { TensorTask } from '../engine/tensor-task.ts'
import { deltaMatrix, embeddings, isMatrix, rest, writeDelta, writeOther } from '../matrices/matrix-task.ts'
import { anyNumber, defineMergeMethod, positive, shared } from '../merge-method.ts'

const steps = v.pipe(
  anyNumber,
  v.integer('Expected a whole number of steps'),
  v.minValue(0, 'Expected at least 0 steps'),
)

/**
 * Merges the models in their order. For each new change minimizes |S UT (W - old)|^2 + |(W - old) V S|^2 and the same for the new one, with U,
 * S, V of the change in question; the two gradients are combined with least norm (MGDA), from the mean of both changes by Adam.
 *
 * `steps` for each model (default 200); `rate`: the length of a step as a share of the changes' root mean square (default 0.01; the authors
 * take 1e-4 in the unit of the weights); `lambda` (default 1); `rest` for vectors: `mean` (default), `sum` or `base`; `embeddings`: `rest`
 * (default), `ties` or `matrix`.
 * @example
 * await merge(['first', 'second', 'third'], { base: 'base', method: dop(), out: 'merged' })
 */
export const dop = defineMergeMethod({
  info: {
    name: 'dop',
    summary:
      'Takes models in one after the other and protects the subspaces of what is merged already; for models that arrive over time.',
    source: 'FusionBench, "Dual orthogonal projection", 2025',
    status: 'works',
    results: 'docs/results/spectral-methods.md',
  },
  base: 'required',
  models: { least: 1 },
  matrix: (rows, columns) => 14 * rows * columns + 2 * Math.min(rows, columns) ** 2,
  passes: 10_000,
  options: {
    steps: shared(steps, 200),
    rate: shared(positive, 0.01),
    lambda,
    rest: rest(),
    embeddings: embeddings('rest'),
  },
  merge(task, options) {
    const { steps, rate, lambda, embeddings } = options
    if (!isMatrix(task, embeddings)) return writeOther(task, options, new Array<number>(task.models).fill(1))
    let merged = deltaMatrix(task, 0)
    for (let t = 1; t < task.models; t++) merged = mergePair(task, merged, deltaMatrix(task, t), steps, rate)
    writeDelta(task, merged, lambda)
  },
})

function mergePair(task: TensorTask, old: Matrix, next: Matrix, steps: number, rate: number): Matrix {
  const x = { ...old, data: old.data.map((value, i) => (value + next.data[i]!) / 2) }
  const size = Math.sqrt((frobeniusNorm(old) ** 2 + frobeniusNorm(next) ** 2) / (2 * x.data.length))
  const adam = new Adam(x.data.length, rate * size)
  for (let step = 0; step < steps; step++) {
    task.throwIfStopped()
    const gradients = [old, next].map((change) => sideGradient(task.matrices, change, x)) as [
      Float64Array,
      Float64Array,
    ]
    adam.update(x.data, leastCombination(...gradients))
  }
  return x
}

/** 2 (T TT (x - T) + (x - T) TT T), multiplied by way of the shorter side. */
function sideGradient(kernels: MatrixKernels, change: Matrix, x: Matrix): Float64Array {
  const off = { ...x, data: x.data.map((value, i) => value - change.data[i]!) }
  const inner = (a: Matrix, b: Matrix) => multiply(kernels, a, b, { transposeA: true })
  const outer = (a: Matrix, b: Matrix) => multiply(kernels, a, b, { transposeB: true })
  const tall = x.rows >= x.columns
  const left = tall ? multiply(kernels, change, inner(change, off)) : multiply(kernels, outer(change, change), off)
  const right = tall ? multiply(kernels, off, inner(change, change)) : multiply(kernels, outer(off, change), change)
  return left.data.map((value, i) => 2 * (value + right.data[i]!))
}

/** The point of least norm between two gradients (Sener and Koltun, 2018), written into the first. */
export function leastCombination(a: Float64Array, b: Float64Array): Float64Array {
  let along = 0
  let square = 0
  for (let i = 0; i < a.length; i++) {
    const difference = b[i]! - a[i]!
    along += difference * b[i]!
    square += difference * difference
  }
  const share = square === 0 ? 0.5 : Math.min(1, Math.max(0, along / square))
  for (let i = 0; i < a.length; i++) a[i] = share * a[i]! + (1 - share) * b[i]!
  return a
}
