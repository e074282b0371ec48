/**
 * Twin-Merging (Lu et al., 2024): what all models share in one model, what is each model's own as a compressed residue beside it. How residues are
 * mixed for a text (a router) is the matter of whoever uses them; here a task is asked for by name.
 */

import { firstColumns, firstRows, matrix, scaleColumns, truncatedSvd } from '../../tensor/linear-algebra/index.ts'
import { lambda as lambdaOption } from '../elements/task-vector-options.ts'
import { defineMergeMethod, share, shared } from '../merge-method.ts'
import { bytesOfNumbers, type TaskForm } from '../tasks/forms.ts'

/**
 * The merged checkpoint is task arithmetic: the base plus `lambda` times the sum of all changes (default 0.3). A task's residue is the
 * difference of its model from this shared one, not from the base; of each matrix it keeps the singular directions with the largest values,
 * the share 1 - `maskRate` of them (default 0.9: a tenth) and at least one. Vectors are kept whole, and matrices of which that is smaller.
 *
 * Deviation: embeddings are factorised like every matrix, where sparse rows would be another choice.
 * @example
 * await merge(['a', 'b', 'c'], { base: 'base', method: twinMerging({ maskRate: 0.9 }), out: 'merged' })
 * await materializeTask('merged', 'a', 'merged-a')
 */
export const twinMerging = defineMergeMethod({
  info: {
    name: 'twin-merging',
    summary: "One shared model, and each task's own part at low rank; where the task of a text is known or routed.",
    source: 'Lu et al., "Twin-Merging: Dynamic Integration of Modular Expertise in Model Merging", 2024',
    status: 'works',
    results: 'docs/results/merge-methods.md',
  },
  base: 'required',
  models: { least: 1 },
  passes: 2,
  memory: 'tensor',
  matrix: (rows, columns) => 4 * rows * columns,
  options: { lambda: { ...lambdaOption, fallback: 0.3 }, maskRate: shared(share, 0.9) },
  tasks: { base: false, form: (shape, { maskRate }) => residueForm(shape, maskRate) },
  merge(task, { lambda, maskRate }) {
    const form = residueForm(task.shape, maskRate)
    const block = task.whole()
    const sum = block.zeros('sum')
    for (let t = 0; t < task.models; t++) task.kernels.addScaled(sum, block.delta(t), lambda)
    for (let t = 0; t < task.models; t++) {
      const residue = block.delta(t).map((x, i) => x - sum[i]!)
      if (form.kind !== 'factors') task.writePart(t, 'difference', bytesOfNumbers(Float32Array.from(residue)))
      else {
        const { rank } = form
        const key = ['twin-merging', task.seed, task.name, task.keys[t]!]
        const { u, s, vt } = truncatedSvd(task.matrices, matrix(task.rows, task.columns, residue), { rank, key })
        const left = scaleColumns(firstColumns(u, rank), s)
        task.writePart(t, 'left', bytesOfNumbers(Float32Array.from(left.data)))
        task.writePart(t, 'right', bytesOfNumbers(Float32Array.from(firstRows(vt, rank).data)))
      }
    }
    task.kernels.addScaled(sum, block.base(), 1)
    block.write(sum)
  },
})

function residueForm(shape: readonly number[], maskRate: number): TaskForm {
  const [rows = 1, ...rest] = shape
  const columns = rest.reduce((product, size) => product * size, 1)
  // A tenth of twenty is two: the smallest step keeps the difference of decimal fractions from losing it.
  const rank = Math.max(1, Math.floor((1 - maskRate) * Math.min(rows, columns) + 1e-9))
  return shape.length < 2 || rank * (rows + columns) >= rows * columns
    ? { kind: 'difference' }
    : { kind: 'factors', rank }
}
