/** Alignment methods: how the head of a task is made to fit another encoder than the one it was trained on. A method is one file that exports one function. */
import type * as v from 'valibot'
import type { Matrix, MatrixKernels } from '../tensor/linear-algebra/index.ts'
import type { MethodInfo } from '../util/method.ts'
import { checkMethodOptions } from '../util/method-options.ts'
import type { RunOptions } from '../util/progress.ts'
import type { Normalisation } from './distill-head.ts'
import type { LinearHead } from './procrustes.ts'

/** What a method is given of one task. */
export interface HeadToAlign {
  readonly head: LinearHead
  readonly normalisation: Normalisation
  /** Of the few-shot texts: samples x width, from the merged encoder and from the expert. */
  readonly merged: Matrix
  readonly expert: Matrix
  readonly kernels: MatrixKernels
}

export interface AlignMethod {
  readonly name: string
  readonly options: Readonly<Record<string, unknown>>
  /** Texts of each label that it wants. */
  readonly shots: number
  align(task: HeadToAlign, run: RunOptions): LinearHead
}

export interface AlignMethodFactory<Schema extends v.ObjectSchema<v.ObjectEntries, undefined>> {
  (options?: v.InferInput<Schema>): AlignMethod
  readonly info: MethodInfo
  readonly schema: Schema
}

/** Builds a method's exported function from its description, its options' schema and what it does. */
export function defineAlignMethod<Schema extends v.ObjectSchema<v.ObjectEntries, undefined>>(
  info: Omit<MethodInfo, 'verb'>,
  schema: Schema,
  align: (task: HeadToAlign, options: v.InferOutput<Schema> & { shots: number }, run: RunOptions) => LinearHead,
): AlignMethodFactory<Schema> {
  const factory = (input: v.InferInput<Schema> = {} as v.InferInput<Schema>): AlignMethod => {
    const options = checkMethodOptions(info.name, schema, input) as v.InferOutput<Schema> & { shots: number }
    return { name: info.name, options, shots: options.shots, align: (task, run) => align(task, options, run) }
  }
  return Object.assign(factory, { info: { ...info, verb: 'align' }, schema })
}
