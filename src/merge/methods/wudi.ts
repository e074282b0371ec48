/** WUDI (Cheng et al., 2025) in closed form: changes are combined so that each task's inputs, guessed from its own change, see little interference. */
import { lambda } from '../elements/task-vector-options.ts'
import { addTask, emptyLoss, filteredOptimum } from '../matrices/gram-loss.ts'
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
import { defineMergeMethod, positive, shared } from '../merge-method.ts'

/**
 * For each matrix moves from the sum of the changes towards the W that minimizes the sum over the tasks of |(W - change) changeT|^2 / |change|^2.
 * The authors descend 300 steps by Adam; here the way of gradient descent is calculated at once.
 *
 * `strength`: how far to go, in units of the largest curvature (default 30; small values stay near the sum, very large ones give the exact
 * optimum, which overshoots); `lambda` (default 1); `rest` for vectors: `mean` (default), `sum` or `base`; `embeddings` as in TSV-M.
 * @example
 * await merge(['a', 'b', 'c'], { base: 'base', method: wudi(), out: 'merged' })
 */
export const wudi = defineMergeMethod({
  info: {
    name: 'wudi',
    summary: 'Minimizes interference between the changes without data or tuning; for several fine-tunes of one base.',
    source: 'Cheng et al., "Whoever Started the Interference Should End It", 2025',
    status: 'works',
    results: 'docs/results/spectral-methods.md',
  },
  base: 'required',
  models: { least: 1 },
  matrix: (rows, columns) => svdDoubles(columns, columns) + 6 * rows * columns,
  passes: 150,
  options: { strength: shared(positive, 30), lambda, rest: rest(), embeddings: embeddings('ties') },
  merge(task, options) {
    const { strength, lambda, embeddings } = options
    const ones = new Array<number>(task.models).fill(1)
    if (!isMatrix(task, embeddings)) return writeOther(task, options, ones)
    const loss = emptyLoss(task.rows, task.columns)
    for (const t of ones.keys()) addTask(task.matrices, loss, { tau: deltaMatrix(task, t) })
    writeDelta(task, filteredOptimum(task.matrices, loss, deltaSum(task, ones), strength), lambda)
  },
})
