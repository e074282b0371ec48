import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MergeKernels } from '../../tensor/merge-kernels.ts'
import { TensorTask } from '../engine/tensor-task.ts'
import { orderStatistics } from './order-statistics.ts'

const kernels = await MergeKernels.open(1 << 24)

/** The values at these ranks of a series that is cut into tensors. */
function statistics(tensors: readonly (readonly number[])[], ranks: (count: number) => number[]): readonly number[] {
  const surveys = orderStatistics<undefined, readonly number[]>({
    values: (_task, block) => [['all', block.theta(0)]],
    ranks,
    settle: (found) => found.get('all')!,
  })
  let settled: unknown
  for (const survey of surveys) {
    const measured = tensors.map((values) => {
      kernels.clear()
      const bytes = new Uint8Array(Float64Array.from(values).buffer)
      const source = {
        dtype: 'F64' as const,
        read: (start: number, target: Uint8Array) => target.set(bytes.subarray(start * 8, start * 8 + target.length)),
      }
      const sink = { dtype: 'F64' as const, write: () => undefined }
      const task = new TensorTask({
        name: 't',
        shape: [values.length],
        sources: [source],
        keys: ['a'],
        seed: 0,
        kernels,
        sink,
      })
      return survey.measure(task, {} as never, settled)
    })
    settled = survey.settle(
      measured.reduce((a, b) => survey.combine(a, b)),
      settled,
    )
  }
  return settled as readonly number[]
}

describe('order statistics', () => {
  it('are those of the sorted float32 values, whatever their signs and however they are spread over tensors', () => {
    const value = fc.oneof(
      fc.double({ noNaN: true, min: -1e30, max: 1e30 }),
      fc.constantFrom(0, 1, -1, 1e-40, -1e-40, 0.5, -0.5),
    )
    fc.assert(
      fc.property(fc.array(fc.array(value, { minLength: 1 }), { minLength: 1, maxLength: 4 }), (tensors) => {
        const sorted = Float32Array.from(tensors.flat()).sort().reverse()
        const ranks = [1, Math.ceil(sorted.length / 3), sorted.length]
        const found = statistics(tensors, () => ranks)
        expect(found.map((x) => x + 0)).toEqual(ranks.map((rank) => sorted[rank - 1]! + 0))
      }),
      { numRuns: 60 },
    )
  })
})
