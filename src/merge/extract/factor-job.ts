/** The work of one thread of an extraction: differences are factored by truncated singular value decomposition, and compared with what was lost. */
import { openCheckpoint } from '../../checkpoint/checkpoint.ts'
import { toFloat64 } from '../../tensor/dtypes.ts'
import {
  type Matrix,
  MatrixKernels,
  matrix,
  multiply,
  scaleColumns,
  scaleRows,
  transposed,
  truncatedSvd,
} from '../../tensor/linear-algebra/index.ts'
import { InputError, throwIfAborted } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { leadingSvd } from '../matrices/leading.ts'
import type { ExtractPlan } from './plan-extract.ts'

export interface FactorJob {
  readonly plan: ExtractPlan
  /** Shared by all threads: how many tensors are taken. */
  readonly control: Int32Array
  /** Indices of the tensors, the largest first. */
  readonly order: readonly number[]
}

export interface Factored {
  readonly index: number
  /** Sum of squares of the difference, and of what the adapter does not give back of it. */
  readonly square: number
  readonly lost: number
  /** Of a factored difference that is not zero: A [rank, in] and B [out, rank]. */
  readonly rank?: number
  readonly a?: Float32Array
  readonly b?: Float32Array
  /** Of a tensor that is carried whole and differs from the base. */
  readonly whole?: Float32Array
}

export async function runFactorJob({ plan, control, order }: FactorJob, options: RunOptions): Promise<Factored[]> {
  const kernels = await MatrixKernels.open()
  const base = await openCheckpoint(plan.base)
  const model = await openCheckpoint(plan.model)
  const results: Factored[] = []
  let done = 0
  try {
    for (;;) {
      await new Promise(setImmediate) // an abort is seen between tensors
      throwIfAborted(options.signal)
      const next = Atomics.add(control, 0, 1)
      if (next >= order.length) return results
      const index = order[next]!
      const { name, baseName, shape, action } = plan.tensors[index]!
      const values = toFloat64(await model.read(name), model.tensors.get(name)!.dtype)
      checkFinite(values, plan.model, name)
      if (action === 'save') {
        const found = baseName === undefined ? undefined : base.tensors.get(baseName)!
        const known = found?.shape.join() === shape.join()
        const origin = known ? toFloat64(await base.read(baseName!), found!.dtype) : undefined
        const square = origin ? squares(origin.map((value, i) => values[i]! - value)) : 0
        const same = origin !== undefined && square === 0
        results.push({ index, square, lost: 0, ...(same ? {} : { whole: Float32Array.from(values) }) })
      } else {
        const origin = toFloat64(await base.read(baseName!), base.tensors.get(baseName!)!.dtype)
        checkFinite(origin, plan.base, baseName!)
        for (let i = 0; i < values.length; i++) values[i]! -= origin[i]!
        const square = squares(values)
        if (square === 0 || action === 'leave') results.push({ index, square, lost: square })
        else {
          const delta = matrix(shape[0]!, shape[1]!, values)
          results.push({
            index,
            square,
            ...factor(kernels, action === 'factor' ? delta : transposed(delta), plan, name),
          })
        }
      }
      done += values.length
      options.onProgress?.({ step: 'factor', done, unit: 'weights' })
    }
  } finally {
    await Promise.all([base.close(), model.close()])
  }
}

/** B A near a difference [out, in]; both halves take the square roots of the singular values. */
function factor(
  kernels: MatrixKernels,
  delta: Matrix,
  { rank, variance }: ExtractPlan,
  name: string,
): Omit<Factored, 'index' | 'square'> {
  const least = Math.min(delta.rows, delta.columns)
  const { u, s, vt } =
    rank === undefined
      ? leadingSvd(kernels, delta, least)
      : truncatedSvd(kernels, delta, { rank: Math.min(rank, least), key: ['extract-lora', name] })
  const kept = rank === undefined ? enough(s, variance!, squares(delta.data)) : s.length
  const roots = s.slice(0, kept).map(Math.sqrt)
  const b = matrix(delta.rows, kept)
  for (let i = 0; i < delta.rows; i++) b.data.set(u.data.subarray(i * s.length, i * s.length + kept), i * kept)
  const a = matrix(kept, delta.columns, vt.data.slice(0, kept * delta.columns))
  const [storedA, storedB] = [
    Float32Array.from(scaleRows(a, roots).data),
    Float32Array.from(scaleColumns(b, roots).data),
  ]
  const product = multiply(
    kernels,
    matrix(delta.rows, kept, Float64Array.from(storedB)),
    matrix(kept, delta.columns, Float64Array.from(storedA)),
  )
  for (let i = 0; i < product.data.length; i++) product.data[i]! -= delta.data[i]!
  return { lost: squares(product.data), rank: kept, a: storedA, b: storedB }
}

/** How many singular values hold a share of the sum of squares; at least one. */
function enough(s: Float64Array, variance: number, total: number): number {
  let sum = 0
  let count = 0
  while (count < s.length && sum < variance * total * (1 - 1e-12)) sum += s[count++]! ** 2
  return Math.max(1, count)
}

function squares(values: Float64Array): number {
  let sum = 0
  for (const value of values) sum += value * value
  return sum
}

function checkFinite(values: Float64Array, model: string, tensor: string): void {
  if (values.every(Number.isFinite)) return
  throw new InputError('NOT_FINITE', `A weight of ${model} is NaN or infinite`, {
    where: { tensor },
    help: 'the model is damaged: fetch or train it again',
  })
}
