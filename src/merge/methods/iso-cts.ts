/** Iso-CTS (Marczak et al., 2025): a common subspace of the summed changes, completed by what each task has beyond it, with a flat spectrum. */
import { type Matrix, matrix } from '../../tensor/linear-algebra/matrix.ts'
import type { MatrixKernels } from '../../tensor/linear-algebra/matrix-kernels.ts'
import { multiply } from '../../tensor/linear-algebra/multiply.ts'
import { cut } from '../../tensor/linear-algebra/truncated-svd.ts'
import { lambda, weight } from '../elements/task-vector-options.ts'
import { decorrelated, sideBySide } from '../matrices/decorrelate.ts'
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
} from '../matrices/matrix-task.ts'
import { defineMergeMethod, share, shared } from '../merge-method.ts'

/**
 * Keeps the leading directions of the summed changes (the share `common` of them, default 0.8), takes the rest in equal parts from what
 * each model's change has outside of them, decorrelates all directions and gives them the mean of their singular values.
 *
 * `lambda` scales the result (default 1; the paper finds 1 to 2); `weight` of each model's change (default 1); `rest` for vectors and for
 * matrices with fewer rows or columns than models; `embeddings` as in TSV-M.
 * @example
 * await merge(['a', 'b', 'c'], { base: 'base', method: isoCts(), out: 'merged' })
 */
export const isoCts = defineMergeMethod({
  info: {
    name: 'iso-cts',
    summary: 'Iso-C with room for what only one task changed; for many fine-tunes of one base.',
    source:
      'Marczak et al., "No Task Left Behind: Isotropic Model Merging with Common and Task-Specific Subspaces", 2025',
    status: 'works',
    results: 'docs/results/spectral-methods.md',
  },
  base: 'required',
  models: { least: 1 },
  matrix: (rows, columns) => svdDoubles(rows, columns) + 5 * rows * columns,
  passes: 800,
  options: { lambda, weight, common: shared(share, 0.8), rest: rest(), embeddings: embeddings('ties') },
  merge(task, options) {
    const { lambda, weight, common, embeddings } = options
    if (!isMatrix(task, embeddings, task.models)) return writeOther(task, options, weight)
    const least = Math.min(task.rows, task.columns)
    const specific = Math.round((least - Math.floor(least * common)) / task.models)
    const kept = Math.max(0, least - specific * task.models)
    const whole = leadingSvd(task.matrices, deltaSum(task, weight), kept)
    const parts = weight.map((w, t) =>
      specific === 0
        ? cut(whole, 0)
        : leadingSvd(task.matrices, without(task.matrices, deltaMatrix(task, t, w), whole.u), specific),
    )
    const all = sideBySide([...parts, whole])
    const mean = all.s.reduce((sum, value) => sum + value, 0) / Math.max(1, all.s.length)
    writeDelta(task, decorrelated(task.matrices, { ...all, s: all.s.fill(mean) }), lambda)
  },
})

/** a - q qT a */
function without(kernels: MatrixKernels, a: Matrix, q: Matrix): Matrix {
  const part = multiply(kernels, q, multiply(kernels, q, a, { transposeA: true }))
  return matrix(
    a.rows,
    a.columns,
    a.data.map((value, i) => value - part.data[i]!),
  )
}
