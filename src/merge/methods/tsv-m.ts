/** TSV-M (Gargiulo et al., 2024): the leading singular vectors of each task's change, decorrelated between tasks and added up. */
import { lambda, weight } from '../elements/task-vector-options.ts'
import { decorrelated, sideBySide } from '../matrices/decorrelate.ts'
import { leadingSvd } from '../matrices/leading.ts'
import { deltaMatrix, embeddings, isMatrix, rest, svdDoubles, writeDelta, writeOther } from '../matrices/matrix-task.ts'
import { defineMergeMethod } from '../merge-method.ts'

/**
 * Of each model's change of a matrix keeps the first min(rows, columns) / models singular values and vectors, replaces the vectors of all
 * models together by the nearest orthonormal ones, and adds the result to the base.
 *
 * `lambda` scales the result (default 1: every task at full strength); `weight` of each model's change (default 1); `rest` for vectors and
 * for matrices with fewer rows or columns than models: `mean` (default), `sum` (times lambda) or `base`; `embeddings` of
 * tokens: `ties` (default: the largest fifth of each change, signs elected, those that agree averaged; tasks of different words change
 * different rows), `matrix` or `rest`.
 * @example
 * await merge(['a', 'b', 'c'], { base: 'base', method: tsvM(), out: 'merged' })
 */
export const tsvM = defineMergeMethod({
  info: {
    name: 'tsv-m',
    summary:
      'Merges the leading singular vectors of each change without interference; for several fine-tunes of one base.',
    source: 'Gargiulo et al., "Task Singular Vectors: Reducing Task Interference in Model Merging", 2024',
    status: 'works',
    results: 'docs/results/spectral-methods.md',
  },
  base: 'required',
  models: { least: 1 },
  matrix: (rows, columns) => svdDoubles(rows, columns) + 3 * rows * columns,
  passes: 600,
  options: { lambda, weight, rest: rest(), embeddings: embeddings('ties') },
  merge(task, options) {
    const { lambda, weight, embeddings } = options
    if (!isMatrix(task, embeddings, task.models)) return writeOther(task, options, weight)
    const count = Math.floor(Math.min(task.rows, task.columns) / task.models)
    const parts = weight.map((w, t) => leadingSvd(task.matrices, deltaMatrix(task, t, w), count))
    writeDelta(task, decorrelated(task.matrices, sideBySide(parts)), lambda)
  },
})
