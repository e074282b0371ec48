/** Iso-C (Marczak et al., 2025): the sum of all changes with its spectrum flattened, so that no direction outshines the others. */
import { scaleColumns } from '../../tensor/linear-algebra/matrix.ts'
import { multiply } from '../../tensor/linear-algebra/multiply.ts'
import { lambda, weight } from '../elements/task-vector-options.ts'
import { leadingSvd } from '../matrices/leading.ts'
import { deltaSum, embeddings, isMatrix, rest, svdDoubles, writeDelta, writeOther } from '../matrices/matrix-task.ts'
import { defineMergeMethod } from '../merge-method.ts'

/**
 * Adds up the changes of a matrix and replaces all singular values of the sum by their mean. Directions that no model changed stay
 * unchanged: they are not counted in the mean.
 *
 * `lambda` scales the result (default 1; the paper finds 1.3 to 1.5); `weight` of each model's change (default 1); `rest` for vectors:
 * `mean` (default), `sum` (times lambda) or `base`; `embeddings` as in TSV-M.
 * @example
 * await merge(['a', 'b', 'c'], { base: 'base', method: isoC({ lambda: 1.3 }), out: 'merged' })
 */
export const isoC = defineMergeMethod({
  info: {
    name: 'iso-c',
    summary: 'Flattens the spectrum of the summed changes; simple and strong for several fine-tunes of one base.',
    source:
      'Marczak et al., "No Task Left Behind: Isotropic Model Merging with Common and Task-Specific Subspaces", 2025',
    status: 'partial',
    results: 'docs/results/spectral-methods.md',
  },
  base: 'required',
  models: { least: 1 },
  matrix: (rows, columns) => svdDoubles(rows, columns) + rows * columns,
  passes: 200,
  options: { lambda, weight, rest: rest(), embeddings: embeddings('ties') },
  merge(task, options) {
    const { lambda, weight, embeddings } = options
    if (!isMatrix(task, embeddings)) return writeOther(task, options, weight)
    const { u, s, vt } = leadingSvd(task.matrices, deltaSum(task, weight), Math.min(task.rows, task.columns))
    const mean = s.reduce((sum, value) => sum + value, 0) / Math.max(1, s.length)
    writeDelta(task, multiply(task.matrices, scaleColumns(u, s.fill(mean)), vt), lambda)
  },
})
