/** BitDelta (Liu et al., 2024): of each fine-tune's changes only the signs are kept, with one scale a matrix; many models share one base. */
import { defineMergeMethod } from '../merge-method.ts'
import { isInputEmbedding } from '../plan/tensor-names.ts'
import { bytesOfNumbers, bytesOfScales, packBits } from '../tasks/forms.ts'

/**
 * The merged checkpoint is the base; a task's matrix is the base plus or minus the mean magnitude of its changes, by their signs (zero counts
 * as negative). Vectors are kept as they are. Two deviations from the paper: embeddings of tokens, which it keeps whole, have one scale for
 * each token, so that tokens that did not change stay as they are; and the scales are not trained further.
 * @example
 * await merge(['a', 'b', 'c'], { base: 'base', method: bitdelta(), out: 'merged' })
 * await materializeTask('merged', 'a', 'merged-a')
 */
export const bitdelta = defineMergeMethod({
  info: {
    name: 'bitdelta',
    summary: 'Keeps of each fine-tune the signs of its changes, one bit a weight; many fine-tunes in little room.',
    source: 'Liu et al., "BitDelta: Your Fine-Tune May Only Be Worth One Bit", 2024',
    status: 'works',
    results: 'docs/results/merge-methods.md',
  },
  base: 'required',
  models: { least: 1 },
  passes: 2,
  options: {},
  tasks: {
    base: false,
    form: (shape, _options, name) =>
      shape.length < 2 ? { kind: 'difference' } : { kind: 'signs', scales: isInputEmbedding(name) ? 'rows' : 'tensor' },
  },
  merge(task) {
    const { columns, models, name, shape } = task
    const vector = shape.length < 2
    const byRow = !vector && isInputEmbedding(name)
    for (let t = 0; t < models && byRow; t++) task.writePart(t, 'scale', bytesOfNumbers(rowMeans(t)))
    for (let t = 0; t < models && !byRow && !vector; t++) {
      let sum = 0
      for (const block of task.blocks()) sum = task.addMagnitudes(sum, block.delta(t))
      task.writePart(t, 'scale', bytesOfScales(task.length === 0 ? 0 : sum / task.length))
    }
    for (const block of task.blocks()) {
      for (let t = 0; t < models; t++) {
        const delta = block.delta(t)
        if (vector) task.writePart(t, 'difference', bytesOfNumbers(Float32Array.from(delta)), block.start * 4)
        else
          task.writePart(
            t,
            'bits',
            packBits(block.length, (i) => delta[i]! > 0),
            block.start / 8,
          )
      }
      block.write(block.base())
    }

    function rowMeans(t: number): Float64Array {
      const means = new Float64Array(task.rows)
      for (const block of task.rowBlocks())
        for (let r = 0; r < block.rows; r++) {
          const row = block.delta(t).subarray(r * columns, (r + 1) * columns)
          means[block.firstRow + r] = task.addMagnitudes(0, row, columns) / columns
        }
      return means
    }
  },
})
