/** OptMerge (Wei et al., 2025): changes are denoised to low rank, and a merge that disturbs none of them is found by gradient descent. */
import * as v from 'valibot'
import { Adam } from '../../tensor/adam.ts'
import { frobeniusNorm, type Matrix, matrix, scaleRows } from '../../tensor/linear-algebra/matrix.ts'
import { multiply } from '../../tensor/linear-algebra/multiply.ts'
import { lambda } from '../elements/task-vector-options.ts'
import { addTask, emptyLoss, gradient } from '../matrices/gram-loss.ts'
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
import { anyNumber, defineMergeMethod, positive, shared, yesOrNo } from '../merge-method.ts'

const momentum = 0.9
const steps = v.pipe(
  anyNumber,
  v.integer('Expected a whole number of steps'),
  v.minValue(0, 'Expected at least 0 steps'),
)

/**
 * Of each model's change of a matrix keeps the first min(rows, columns) / models singular vectors, once as denoised target (around the mean
 * of all changes), once as guess of the task's inputs, and minimizes the interference of the merged change by Adam from the sum of the
 * changes.
 *
 * `lora`: for LoRA fine-tunes: targets are denoised around zero and the descent is SGD with momentum from the mean (default false); `steps`
 * (default 300); `rate`: the length of a step, of Adam as a share of the changes' root mean square (default 0.01: the authors' 1e-5 for
 * changes of about 1e-3), of SGD as it is (default there 1e-4); `lambda` (default 1); `rest` for vectors: `mean` (default), `sum` or `base`;
 * `embeddings` as in TSV-M.
 * @example
 * await merge(['vision', 'audio'], { base: 'base', method: optmerge(), out: 'merged' })
 */
export const optmerge = defineMergeMethod({
  info: {
    name: 'optmerge',
    summary: 'Denoises changes to low rank and descends to a merge that disturbs none; for large fine-tunes and LoRA.',
    source:
      'Wei et al., "Unifying Multimodal Large Language Model Capabilities and Modalities via Model Merging", 2025',
    status: 'partial',
    results: 'docs/results/spectral-methods.md',
  },
  base: 'required',
  models: { least: 1 },
  matrix: (rows, columns) => svdDoubles(rows, columns) + 2 * columns * columns + 9 * rows * columns,
  passes: 10_000,
  options: {
    lora: shared(yesOrNo, false),
    steps: shared(steps, 300),
    rate: shared(v.union([positive, v.literal('auto')], 'Expected a number above 0 or auto for rate'), 'auto' as const),
    lambda,
    rest: rest(),
    embeddings: embeddings('ties'),
  },
  merge(task, options) {
    const { lora, steps, rate, lambda, embeddings } = options
    const ones = new Array<number>(task.models).fill(1)
    if (!isMatrix(task, embeddings, task.models)) return writeOther(task, options, ones)
    const kernels = task.matrices
    const count = Math.floor(Math.min(task.rows, task.columns) / task.models)
    const sum = deltaSum(task, ones)
    const mean = { ...sum, data: sum.data.map((value) => value / task.models) }
    const zero = matrix(task.rows, task.columns)
    const loss = emptyLoss(task.rows, task.columns)
    let square = 0
    for (const t of ones.keys()) {
      const tau = deltaMatrix(task, t)
      square += frobeniusNorm(tau) ** 2
      const { s, vt } = leadingSvd(kernels, tau, count)
      const center = lora ? zero : mean
      const part = leadingSvd(kernels, minus(tau, center), count)
      const target = multiply(kernels, part.u, scaleRows(part.vt, part.s))
      for (let i = 0; i < target.data.length; i++) target.data[i]! += center.data[i]!
      addTask(kernels, loss, { tau, projector: scaleRows(vt, s), target })
    }
    const w = lora ? mean : sum
    if (lora) {
      const speed = new Float64Array(w.data.length)
      for (let step = 0; step < steps; step++) {
        task.throwIfStopped()
        const g = gradient(kernels, loss, w).data
        for (let i = 0; i < g.length; i++) {
          speed[i] = momentum * speed[i]! + g[i]!
          w.data[i]! -= (rate === 'auto' ? 1e-4 : rate) * speed[i]!
        }
      }
    } else {
      const size = Math.sqrt(square / (task.models * task.length))
      const adam = new Adam(w.data.length, (rate === 'auto' ? 0.01 : rate) * size)
      for (let step = 0; step < steps; step++) {
        task.throwIfStopped()
        adam.update(w.data, gradient(kernels, loss, w).data)
      }
    }
    writeDelta(task, w, lambda)
  },
})

function minus(a: Matrix, b: Matrix): Matrix {
  return { ...a, data: a.data.map((value, i) => value - b.data[i]!) }
}
