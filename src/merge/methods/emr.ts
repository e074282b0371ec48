/**
 * EMR-Merging (Huang et al., 2024): elect, mask and rescale. One unified change for all models; each task takes the elements that agree with its
 * own change, scaled to its own size.
 */
import type { Block, TensorTask } from '../engine/tensor-task.ts'
import { defineMergeMethod } from '../merge-method.ts'
import { bytesOfScales, packBits } from '../tasks/forms.ts'

/** Of each model: the sum of the magnitudes of its changes, and of the unified change where they agree. By tensor: sums are added in one order. */
type Sums = Map<string, Map<string, readonly [own: number, unified: number]>>

/**
 * The unified change of an element has the sign of the sum of all changes there, and the largest magnitude among the changes of that sign. A
 * task's model is the base plus its scale times the unified change where that agrees in sign with its own; the scale gives it the mean
 * magnitude that it had, over the whole model. The merged checkpoint holds the base plus the unified change.
 * @example
 * await merge(['a', 'b', 'c'], { base: 'base', method: emr(), out: 'merged' })
 * await materializeTask('merged', 'a', 'merged-a')
 */
export const emr = defineMergeMethod({
  info: {
    name: 'emr',
    summary: 'One shared model, and one bit a weight for each task; where the task of a text is known.',
    source: 'Huang et al., "EMR-Merging: Tuning-Free High-Performance Model Merging", 2024',
    status: 'works',
    results: 'docs/results/merge-methods.md',
  },
  base: 'required',
  models: { least: 1 },
  passes: 2,
  options: {},
  tasks: { base: true, form: () => ({ kind: 'mask' }) },
  surveys: () => [
    {
      measure(task): Sums {
        const sums = task.keys.map(() => [0, 0] as [number, number])
        for (const block of task.blocks()) {
          const unified = unifiedChange(task, block)
          for (const [t, sum] of sums.entries()) {
            const delta = block.delta(t)
            sum[0] = task.addMagnitudes(sum[0], delta)
            const agreeing = block.zeros('agreeing')
            for (let i = 0; i < block.length; i++) if (delta[i]! * unified[i]! > 0) agreeing[i] = unified[i]!
            sum[1] = task.addMagnitudes(sum[1], agreeing)
          }
        }
        return new Map([[task.name, new Map(task.keys.map((key, t) => [key, sums[t]!]))]])
      },
      combine: (a, b) => new Map([...(a as Sums), ...(b as Sums)]),
      settle(total) {
        const scales = new Map<string, [own: number, unified: number]>()
        const byName = [...(total as Sums)].sort(([a], [b]) => (a < b ? -1 : 1))
        for (const [, models] of byName)
          for (const [key, [own, unified]] of models) {
            const sum = scales.get(key) ?? [0, 0]
            scales.set(key, [sum[0] + own, sum[1] + unified])
          }
        return new Map(Array.from(scales, ([key, [own, unified]]) => [key, unified === 0 ? 1 : own / unified]))
      },
    },
  ],
  merge(task, _options, settled) {
    const scales = settled as ReadonlyMap<string, number>
    for (const [t, key] of task.keys.entries()) task.writePart(t, 'scale', bytesOfScales(scales.get(key)!))
    for (const block of task.blocks()) {
      const unified = unifiedChange(task, block)
      for (let t = 0; t < task.models; t++) {
        const delta = block.delta(t)
        task.writePart(
          t,
          'bits',
          packBits(block.length, (i) => delta[i]! * unified[i]! > 0),
          block.start / 8,
        )
      }
      task.kernels.addScaled(unified, block.base(), 1)
      block.write(unified)
    }
  },
})

/** For each element the largest change that has the sign of the sum; zero where the sum is zero. */
function unifiedChange(task: TensorTask, block: Block): Float64Array {
  const sum = block.zeros('sum')
  for (let t = 0; t < task.models; t++) task.kernels.addScaled(sum, block.delta(t), 1)
  const unified = block.zeros('unified')
  for (let t = 0; t < task.models; t++) {
    const delta = block.delta(t)
    for (let i = 0; i < block.length; i++)
      if (delta[i]! * sum[i]! > 0 && Math.abs(delta[i]!) > Math.abs(unified[i]!)) unified[i] = delta[i]!
  }
  return unified
}
