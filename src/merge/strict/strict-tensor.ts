/** A tensor as mergekit holds it: all of it in memory, every input converted to one element type before anything is computed. */
import type { TensorTask } from '../engine/tensor-task.ts'
import { type Numbers, type TorchNumbers, torchNumbers } from './torch-numbers.ts'

export interface StrictTensor {
  readonly n: TorchNumbers
  readonly models: readonly Numbers[]
  /** Without a base it is empty. */
  readonly base: Numbers
  readonly length: number
  readonly shape: readonly number[]
}

/** Reads the inputs of a task whole. */
export function readStrict(task: TensorTask): StrictTensor {
  const n = torchNumbers(task.workDtype)
  const models = Array.from({ length: task.models }, () => n.make(task.length))
  const base = n.make(task.hasBase ? task.length : 0)
  for (const block of task.blocks()) {
    for (const [t, target] of models.entries()) fill(target, block.start, block.theta(t), n)
    if (task.hasBase) fill(base, block.start, block.base(), n)
  }
  return { n, models, base, length: task.length, shape: task.shape }
}

function fill(target: Numbers, start: number, values: Float64Array, { round }: TorchNumbers): void {
  for (let i = 0; i < values.length; i++) target[start + i] = round(values[i]!)
}

/** The models' differences from the base. */
export function differences({ n, models, base, length }: StrictTensor): Numbers[] {
  return models.map((model) => {
    const delta = n.make(length)
    for (let i = 0; i < length; i++) delta[i] = n.round(model[i]! - base[i]!)
    return delta
  })
}

/** Hands over a result. */
export function writeStrict(task: TensorTask, result: Numbers): void {
  for (const block of task.blocks()) {
    const values = block.zeros('sum')
    values.set(result.subarray(block.start, block.start + block.length))
    block.write(values)
  }
}

/** Vectors along the last dimension, or along the first: where each starts, its length, and the step between its elements. */
export function vectorsAlong(
  shape: readonly number[],
  first: boolean,
): { starts: number[]; length: number; step: number } {
  const total = shape.reduce((product, size) => product * size, 1)
  const length = (first ? shape[0] : shape.at(-1)) ?? 1
  const count = length === 0 ? 0 : total / length
  const step = first ? count : 1
  return { starts: Array.from({ length: count }, (_, i) => (first ? i : i * length)), length, step }
}

/** The elements of one vector. */
export function gather(x: Numbers, start: number, length: number, step: number, n: TorchNumbers): Numbers {
  if (step === 1) return x.subarray(start, start + length)
  const vector = n.make(length)
  for (let i = 0; i < length; i++) vector[i] = x[start + i * step]!
  return vector
}
