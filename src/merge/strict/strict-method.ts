/** A method as mergekit computes it: a function from whole tensors in one element type to the result. */
import type { MergeDtype } from '../../tensor/merge-kernels.ts'
import type { TensorTask } from '../engine/tensor-task.ts'
import type { MethodDefinition, MethodOption, Settled } from '../merge-method.ts'
import { readStrict, type StrictTensor, writeStrict } from './strict-tensor.ts'
import type { Numbers } from './torch-numbers.ts'

export interface StrictDefinition extends MethodDefinition {
  /** The element type of the result for inputs of a type; the same without it. */
  readonly resultType?: (dtype: MergeDtype) => MergeDtype
}

interface StrictParts<Options extends Record<string, MethodOption>> {
  /** `model`: a base that is not among the models is merged like one, as mergekit does where a method looks at none. */
  base: 'required' | 'optional' | 'unused' | 'model'
  models?: { least: number; most?: number }
  options: Options
  resultType?: (dtype: MergeDtype) => MergeDtype
  /** Arrays of a tensor's size that are held at once, the inputs among them. */
  arrays?: (inputs: number) => number
}

export function defineStrict<const Options extends Record<string, MethodOption>>(
  name: string,
  { base, models = { least: 1 }, options, resultType, arrays }: StrictParts<Options>,
  compute: (tensor: StrictTensor, options: Settled<Options>, task: TensorTask) => Numbers,
): StrictDefinition {
  const definition: MethodDefinition<Options> = {
    info: { name, summary: "In mergekit's arithmetic.", source: 'mergekit 0.1.5', status: 'works' },
    base,
    models,
    options,
    memory: 'tensor',
    ...(arrays ? { arrays } : {}),
    merge: (task, settled) => writeStrict(task, compute(readStrict(task), settled, task)),
  }
  return { ...(definition as unknown as MethodDefinition), ...(resultType ? { resultType } : {}) }
}
