/** Merges tensors that are in memory: the same formulas as for files, for small things, experiments and tests. */
import { MergeKernels } from '../tensor/merge-kernels.ts'
import { InputError } from '../util/errors.ts'
import { type LayerPlace, TensorTask, type TensorTaskInput } from './engine/tensor-task.ts'
import type { MergeMethod } from './merge-method.ts'
import type { Scalar, Setting } from './settings.ts'
import { settleOptions } from './settle-options.ts'

export interface TensorsToMerge {
  method: MergeMethod
  /** Row-major values of each model beside the base. */
  models: readonly ArrayLike<number>[]
  base?: ArrayLike<number>
  /** Default: a vector. */
  shape?: readonly number[]
  /** Settings of each model, such as `{ weight: 0.3 }`. */
  settings?: readonly Readonly<Record<string, Setting<Scalar>>>[]
  /** Keys the random numbers together with the seed (default "tensor"). */
  name?: string
  seed?: number
  /** Where the tensor stands in its model. */
  layer?: LayerPlace
  blockLength?: number
  /** Takes what a method with per-task outputs keeps for each model. */
  writePart?: TensorTaskInput['writePart']
}

/** One for all calls: a merge runs to its end without a pause. */
let shared: Promise<MergeKernels> | undefined

/**
 * Merges one tensor given as arrays; the result is in double precision.
 * @throws InputError `MERGE_INPUT` for wrong lengths or numbers of models, `METHOD_OPTION` for options.
 * @example
 * await mergeTensors({ method: taskArithmetic({ lambda: 0.4 }), base: [1, 1], models: [[1.2, 0.6], [1.6, 1.4]] }) // [1.32, 1]
 */
export async function mergeTensors(input: TensorsToMerge): Promise<Float64Array> {
  const { method, models, base, name = 'tensor' } = input
  const shape = input.shape ?? [models[0]?.length ?? base?.length ?? 0]
  const length = shape.reduce((product, size) => product * size, 1)
  for (const values of base === undefined ? models : [base, ...models])
    if (values.length !== length)
      throw new InputError('MERGE_INPUT', `Expected ${length} values for shape [${shape}], received ${values.length}`)
  const options = settleOptions(method, { name, depth: 0, settings: models.map((_, i) => [input.settings?.[i] ?? {}]) })
  const bytes = new Uint8Array(length * 8)
  const source = (values: ArrayLike<number>) => {
    const stored = new Uint8Array(Float64Array.from(values).buffer)
    return {
      dtype: 'F64' as const,
      read: (start: number, target: Uint8Array) => target.set(stored.subarray(start * 8, start * 8 + target.length)),
    }
  }
  const kernels = await (shared ??= MergeKernels.open())
  if (method.definition.matrix) await kernels.openMatrices()
  kernels.clear()
  const common: TensorTaskInput = {
    name,
    ...(input.layer === undefined ? {} : { layer: input.layer }),
    shape,
    sources: models.map(source),
    ...(base === undefined ? {} : { base: source(base) }),
    keys: models.map((_, i) => String(i)),
    seed: input.seed ?? 0,
    kernels,
    sink: { dtype: 'F64', write: (start, part) => bytes.set(part, start * 8) },
    ...(input.writePart === undefined ? {} : { writePart: input.writePart }),
    ...(input.blockLength === undefined ? {} : { blockLength: input.blockLength }),
  }
  let settled: unknown
  for (const survey of method.definition.surveys?.(options) ?? []) {
    const measured = survey.measure(new TensorTask(common), options as never, settled)
    settled = survey.settle(measured, settled)
  }
  method.definition.merge(new TensorTask(common), options, settled)
  return new Float64Array(bytes.buffer)
}
