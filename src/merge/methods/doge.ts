/** DOGE (Wei et al., 2025), adaptive projective gradient descent: a shared correction is learned that brings the merge back towards every task. */
import * as v from 'valibot'
import { Adam } from '../../tensor/adam.ts'
import { type Matrix, matrix } from '../../tensor/linear-algebra/matrix.ts'
import type { MatrixKernels } from '../../tensor/linear-algebra/matrix-kernels.ts'
import { multiply } from '../../tensor/linear-algebra/multiply.ts'
import { keptCount } from '../elements/magnitude-trim.ts'
import { modelCuts } from '../elements/model-cuts.ts'
import type { Cut } from '../elements/select.ts'
import type { TensorTask } from '../engine/tensor-task.ts'
import { adaptiveLoss, lossAndGradient } from '../matrices/adaptive-gradient.ts'
import { sideBySide } from '../matrices/decorrelate.ts'
import { leadingSvd } from '../matrices/leading.ts'
import {
  deltaMatrix,
  type Embeddings,
  embeddings,
  isMatrix,
  rest,
  svdDoubles,
  writeDelta,
  writeOther,
} from '../matrices/matrix-task.ts'
import { anyNumber, defineMergeMethod, notNegative, positive, share, shared } from '../merge-method.ts'

const steps = v.pipe(
  anyNumber,
  v.integer('Expected a whole number of steps'),
  v.minValue(0, 'Expected at least 0 steps'),
)

/**
 * For each matrix weights the changes inversely to their norm, learns a correction of them all by Adam that keeps the directions which the
 * tasks share untouched, keeps the largest elements of each change within the whole model, and adds up.
 *
 * `eta`: the coefficient of a change of norm 1 (default 0.07); `coefficient`: instead, the coefficient of a change of mean norm (default 0:
 * use eta; for small models 0.3 to 0.4, eta depends on the model's size); `keep`: share of elements kept (default 0.3); `subspace`: the
 * shared directions are min(rows, columns) / subspace (default 6; 0 leaves none out); `steps` (default 400), `rate` (default 1e-4, in the
 * unit of the weights); `rest` for vectors: `base` (default, as the authors), `mean` or `sum` (times the coefficients); `embeddings`:
 * `matrix` (default), `ties` or `rest`.
 * @example
 * await merge(['a', 'b', 'c'], { base: 'base', method: doge({ coefficient: 0.3, rest: 'sum' }), out: 'merged' })
 */
export const doge = defineMergeMethod({
  info: {
    name: 'doge',
    summary:
      'Learns a correction that brings the merge back towards each task, without data; for several fine-tunes of one base.',
    source: 'Wei et al., "Modeling Multi-Task Model Merging as Adaptive Projective Gradient Descent", 2025',
    status: 'partial',
    results: 'docs/results/spectral-methods.md',
  },
  base: 'required',
  models: { least: 1 },
  matrix: (rows, columns, models) => svdDoubles(rows, columns) + (2 * models + 6) * rows * columns,
  passes: 3000,
  options: {
    eta: shared(positive, 0.07),
    coefficient: shared(notNegative, 0),
    keep: shared(share, 0.3),
    subspace: shared(notNegative, 6),
    steps: shared(steps, 400),
    rate: shared(positive, 1e-4),
    rest: rest('base'),
    embeddings: embeddings('matrix'),
  },
  surveys: ({ keep }) => (keep < 1 ? eligibleCuts : []),
  merge(task, options, settled) {
    const { embeddings, rest } = options
    const coefficients = adaptiveCoefficients(deltaNorms(task), options)
    const ones = coefficients.map(() => 1)
    if (!isMatrix(task, embeddings))
      return writeOther(task, { embeddings, rest, lambda: 1 }, rest === 'sum' ? coefficients : ones)
    const { rows, columns } = task
    const taus = ones.map((_, t) => deltaMatrix(task, t))
    const loss = adaptiveLoss(taus, coefficients)
    const basis = sharedBasis(task.matrices, taus, options.subspace)
    const correction = matrix(rows, columns)
    const gradient = matrix(rows, columns)
    const adam = new Adam(correction.data.length, options.rate)
    for (let step = 0; step < options.steps; step++) {
      task.throwIfStopped()
      lossAndGradient(loss, correction, gradient.data)
      if (basis) project(task.matrices, basis, gradient)
      adam.update(correction.data, gradient.data)
    }
    writeDelta(task, maskedSum(taus, coefficients, correction, cutsOf(task, settled)), 1)
  },
})

const eligibleCuts = modelCuts((task, { keep }: { keep: number }) =>
  task.keys.map(() => keptCount(keep, task.length)),
).map((survey) => ({
  ...survey,
  measure(task: TensorTask, options: never, settled: unknown) {
    if (isMatrix(task, (options as { embeddings: Embeddings }).embeddings))
      return survey.measure(task, options, settled)
    return { counters: new Map(), kept: new Map() }
  },
}))

function cutsOf(task: TensorTask, settled: unknown): readonly (number | undefined)[] {
  if (settled === undefined) return task.keys.map(() => undefined)
  return task.keys.map((key) => (settled as ReadonlyMap<string, Cut>).get(key)?.threshold)
}

function deltaNorms(task: TensorTask): number[] {
  const squares = new Array<number>(task.models).fill(0)
  for (const block of task.blocks())
    for (let t = 0; t < task.models; t++) squares[t] = task.addDot(squares[t]!, block.delta(t), block.delta(t))
  return squares.map(Math.sqrt)
}

/** eta / norm, or coefficient * (mean norm) / norm; 0 for a change of zero. */
export function adaptiveCoefficients(
  norms: readonly number[],
  { eta, coefficient }: { eta: number; coefficient: number },
): number[] {
  const mean = norms.reduce((sum, norm) => sum + norm, 0) / norms.length
  return norms.map((norm) => (norm === 0 ? 0 : (coefficient > 0 ? coefficient * mean : eta) / norm))
}

/** Orthonormal columns that span what the leading left singular vectors of all changes share. */
function sharedBasis(kernels: MatrixKernels, taus: readonly Matrix[], divisor: number): Matrix | undefined {
  const least = Math.min(taus[0]!.rows, taus[0]!.columns)
  const size = divisor === 0 ? 0 : Math.floor(least / divisor)
  const count = Math.max(1, Math.floor(least / taus.length))
  if (size === 0) return undefined
  const { u } = sideBySide(taus.map((tau) => leadingSvd(kernels, tau, count)))
  return u.columns === 0 ? undefined : leadingSvd(kernels, u, size).u
}

/** g -= q qT g */
export function project(kernels: MatrixKernels, q: Matrix, g: Matrix): void {
  const part = multiply(kernels, q, multiply(kernels, q, g, { transposeA: true }))
  for (let i = 0; i < g.data.length; i++) g.data[i]! -= part.data[i]!
}

const bits = new Uint32Array(1)
const float = new Float32Array(bits.buffer)

/** Sum of coefficient * (change + correction) where the change's magnitude reaches its cut. */
function maskedSum(
  taus: readonly Matrix[],
  coefficients: readonly number[],
  correction: Matrix,
  cuts: readonly (number | undefined)[],
): Matrix {
  const result = matrix(correction.rows, correction.columns)
  for (const [t, { data }] of taus.entries()) {
    const cut = cuts[t]
    for (let i = 0; i < data.length; i++) {
      if (cut !== undefined) {
        float[0] = Math.abs(data[i]!)
        if (bits[0]! < cut) continue
      }
      result.data[i]! += coefficients[t]! * (data[i]! + correction.data[i]!)
    }
  }
  return result
}
