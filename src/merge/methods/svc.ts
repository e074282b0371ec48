/** SVC, singular-value calibration after a merge: directions in which the merge added up more than its tasks hold are shortened. */
import { type Matrix, scaleColumns } from '../../tensor/linear-algebra/matrix.ts'
import type { MatrixKernels } from '../../tensor/linear-algebra/matrix-kernels.ts'
import { multiply } from '../../tensor/linear-algebra/multiply.ts'
import { lambda, weight } from '../elements/task-vector-options.ts'
import { leadingSvd } from '../matrices/leading.ts'
import {
  deltaMatrix,
  deltaSum,
  embeddings,
  isMatrix,
  rest,
  svdDoubles,
  writeDelta,
  writeOther,
  writeRest,
} from '../matrices/matrix-task.ts'
import { defineMergeMethod, positive, shared, yesOrNo } from '../merge-method.ts'

/**
 * Along each left singular vector of the merged change compares the merge with every task, s = <merged, task> / |task|^2, and multiplies the
 * singular value by models / sum of max(alpha, s).
 *
 * `alpha` (default 1: only what exceeds a task is shortened); `merged`: the first model is the merge to calibrate and the others its tasks
 * (default false: the merge is the weighted sum of all changes); `weight` of each change in that sum (default 1); `lambda` scales the
 * result (default 1); `rest` for vectors (default `mean`; with `merged` they stay the first model's); `embeddings` as in TSV-M (with
 * `merged` as vectors unless `matrix`).
 * @example
 * await merge(['merged', 'a', 'b'], { base: 'base', method: svc({ merged: true }), out: 'calibrated' })
 */
export const svc = defineMergeMethod({
  info: {
    name: 'svc',
    summary: 'Shortens directions that a merge counted several times; calibrates a sum, or any finished merge.',
    source: 'FusionBench, "Singular value calibration", 2025',
    status: 'works',
    results: 'docs/results/spectral-methods.md',
  },
  base: 'required',
  models: { least: 1 },
  matrix: (rows, columns) => svdDoubles(rows, columns) + 4 * rows * columns,
  passes: 250,
  options: {
    alpha: shared(positive, 1),
    merged: shared(yesOrNo, false),
    lambda,
    weight,
    rest: rest(),
    embeddings: embeddings('ties'),
  },
  check: ({ merged, weight }) =>
    merged && weight.length < 2 ? 'merged needs a merge and at least one task' : undefined,
  merge(task, options) {
    const { alpha, merged, lambda, weight, embeddings } = options
    const given = weight.map((_, t) => (t === 0 ? 1 : 0))
    if (!isMatrix(task, embeddings))
      return merged ? writeRest(task, 'sum', 1, given) : writeOther(task, options, weight)
    const sum = deltaSum(task, merged ? given : weight)
    const { u, s, vt } = leadingSvd(task.matrices, sum, Math.min(task.rows, task.columns))
    const rows = scaleRowsOf(vt, s)
    const totals = new Float64Array(s.length)
    const tasks = weight.flatMap((_, t) => (merged && t === 0 ? [] : [t]))
    for (const t of tasks) {
      const overlaps = overlap(task.matrices, u, rows, deltaMatrix(task, t))
      for (let r = 0; r < s.length; r++) totals[r]! += Math.max(alpha, overlaps[r]!)
    }
    const factors = totals.map((total) => tasks.length / total)
    writeDelta(task, multiply(task.matrices, scaleColumns(u, factors), rows), lambda)
  },
})

function scaleRowsOf({ rows, columns, data }: Matrix, factors: Float64Array): Matrix {
  return { rows, columns, data: data.map((value, i) => value * factors[Math.floor(i / columns)]!) }
}

/** <merged, task> / |task|^2 along each left vector; 0 where the task has nothing there. */
function overlap(kernels: MatrixKernels, u: Matrix, merged: Matrix, delta: Matrix): Float64Array {
  const part = multiply(kernels, u, delta, { transposeA: true })
  return Float64Array.from({ length: part.rows }, (_, r) => {
    let product = 0
    let square = 0
    for (let at = r * part.columns; at < (r + 1) * part.columns; at++) {
      product += merged.data[at]! * part.data[at]!
      square += part.data[at]! ** 2
    }
    return square === 0 ? 0 : product / square
  })
}
