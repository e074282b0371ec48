/** Merge methods that look at data: how the shared weights of several classifiers become one, by what they do with rows of their tasks. */
import type * as v from 'valibot'
import type { MethodInfo } from '../../util/method.ts'
import { checkMethodOptions } from '../../util/method-options.ts'
import type { RunOptions } from '../../util/progress.ts'
import type { Specialists, Weights } from './specialists.ts'

export interface DataMergeRun extends RunOptions {
  readonly threads: number
  readonly seed: number
}

export interface DataMerged {
  /** Values of shared parameters; those that are missing become the mean of the models. */
  readonly weights: Weights
  /** What was found on the way, for the record. */
  readonly report: Readonly<Record<string, unknown>>
}

/** A method with its options. */
export interface DataMergeMethod {
  readonly name: string
  readonly options: Readonly<Record<string, unknown>>
  /** Whether differences are taken from a base. */
  readonly base: 'required' | 'optional' | 'unused'
  /** Whether rows must have labels. */
  readonly labels: boolean
  merge(models: Specialists, run: DataMergeRun): Promise<DataMerged>
}

export interface DataMergeFactory<Schema extends v.ObjectSchema<v.ObjectEntries, undefined>> {
  (options?: v.InferInput<Schema>): DataMergeMethod
  readonly info: MethodInfo
  readonly schema: Schema
}

/** Builds a method's exported function from its description, its options' schema and what it does. */
export function defineDataMerge<Schema extends v.ObjectSchema<v.ObjectEntries, undefined>>(
  definition: {
    readonly info: Omit<MethodInfo, 'verb'>
    readonly base: DataMergeMethod['base']
    readonly labels?: (options: v.InferOutput<Schema>) => boolean
    readonly schema: Schema
  },
  merge: (models: Specialists, options: v.InferOutput<Schema>, run: DataMergeRun) => Promise<DataMerged>,
): DataMergeFactory<Schema> {
  const { info, base, labels = () => false, schema } = definition
  const factory = (input: v.InferInput<Schema> = {} as v.InferInput<Schema>): DataMergeMethod => {
    const options = checkMethodOptions(info.name, schema, input)
    return {
      name: info.name,
      options: options as Readonly<Record<string, unknown>>,
      base,
      labels: labels(options),
      merge: (models, run) => merge(models, options, run),
    }
  }
  return Object.assign(factory, { info: { ...info, verb: 'merge' }, schema })
}
