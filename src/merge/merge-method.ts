/**
 * Merge methods: how one output tensor is computed from the same tensor of several models. A method is one file that exports one function
 * of its options; reading, writing, threads and files are shared by all.
 */
import * as v from 'valibot'
import { InputError } from '../util/errors.ts'
import type { MethodInfo } from '../util/method.ts'
import { didYouMean } from '../util/suggest.ts'
import type { TensorTask } from './engine/tensor-task.ts'
import { type Scalar, type Setting, scalarsOf } from './settings.ts'
import type { TaskForm } from './tasks/forms.ts'

/** One option of a method. */
export interface MethodOption<T = unknown> {
  /** `model`: each model has its own value; `shared`: one value for the tensor. */
  readonly scope: 'model' | 'shared'
  readonly schema: v.GenericSchema<T>
  /** The value where none is given; undefined means that the option is required. */
  readonly fallback: T | undefined
}

type OptionTable = Record<string, MethodOption>

/** An option with a value for each model, such as its weight. */
export function perModel<T>(schema: v.GenericSchema<T>, fallback?: T) {
  return { scope: 'model' as const, schema, fallback }
}

/** An option with one value for all models. */
export function shared<T>(schema: v.GenericSchema<T>, fallback?: T) {
  return { scope: 'shared' as const, schema, fallback }
}

/** The values of a method's options for one tensor: a list over the models for `model` options, one value for `shared` ones. */
export type Settled<Options extends OptionTable> = {
  readonly [Key in keyof Options]: Options[Key] extends { scope: 'model'; schema: v.GenericSchema<infer T> }
    ? readonly T[]
    : Options[Key] extends { schema: v.GenericSchema<infer T> }
      ? T
      : never
}

/** What is written in code: every option takes a value, a gradient over the layers, or conditions on tensor names. */
export type MethodSettings<Options extends OptionTable> = {
  readonly [Key in keyof Options]?: Options[Key] extends { schema: v.GenericSchema<infer T> } ? Setting<T> : never
}

/**
 * A statistic of the whole model: measured tensor by tensor, combined in any order (so it must not depend on the order: counts, extremes,
 * lists), and known when tensors are merged. Everything here crosses threads.
 */
export interface Survey<Measured = unknown> {
  measure(task: TensorTask, options: never, settled: unknown): Measured
  /** Adds b to a; b may lie in the kernels' memory. */
  combine(a: Measured, b: Measured): Measured
  /** Copies a measurement that lies in the kernels' memory, so that it outlasts the tensor. */
  keep?(measured: Measured): Measured
  settle(total: Measured, settled: unknown): unknown
}

export interface MethodDefinition<Options extends OptionTable = OptionTable> {
  readonly info: Omit<MethodInfo, 'verb'>
  /** Whether the method looks at a base: as the origin of differences, if there is one, never, or as one more model. */
  readonly base: 'required' | 'optional' | 'unused' | 'model'
  /** How many models beside the base it takes. */
  readonly models: { readonly least: number; readonly most?: number }
  readonly options: Options
  /** What is held of a tensor at once: a block of elements (default), whole rows, or all of it for every model. */
  readonly memory?: 'row' | 'tensor'
  /** Of a method that holds whole tensors: how many arrays of a tensor's size it holds at once, the inputs among them. */
  readonly arrays?: (inputs: number) => number
  /** Makes it a method on whole matrices (`task.matrices`): the doubles that it holds at once for a matrix of this size. */
  readonly matrix?: (rows: number, columns: number, models: number) => number
  /** How often the inputs are read (default 1). */
  readonly passes?: number
  /** Whether the output is the only model's tensor as it is. */
  copies?(options: Settled<Options>): boolean
  /** A message if the options' values do not go together. */
  check?(options: Settled<Options>): string | undefined
  /** Statistics of the whole model that these options ask for, in order. */
  surveys?(options: Settled<Options>): readonly Survey[]
  /** For methods that give each task a model of its own: what is kept of a tensor beside the merged one (`task.writePart`). */
  readonly tasks?: {
    /** Whether a task's weights are made with the base's again. */
    readonly base: boolean
    form(shape: readonly number[], options: Settled<Options>, name: string): TaskForm
  }
  /** Merges one tensor. `settled` is what the last survey gave. */
  merge(task: TensorTask, options: Settled<Options>, settled: unknown): void
}

/** A method with its settings, ready to merge. */
export interface MergeMethod {
  readonly name: string
  readonly settings: Readonly<Record<string, Setting<Scalar>>>
  readonly definition: MethodDefinition
}

/** The exported function of a method's file. */
export interface MergeMethodFactory<Options extends OptionTable = OptionTable> {
  (settings?: MethodSettings<Options>): MergeMethod
  readonly info: MethodInfo
  readonly schema: v.ObjectSchema<v.ObjectEntries, undefined>
  readonly definition: MethodDefinition
}

/** Builds a method's exported function from its definition. */
export function defineMergeMethod<const Options extends OptionTable>(
  definition: MethodDefinition<Options>,
): MergeMethodFactory<Options> {
  const general = definition as unknown as MethodDefinition
  const factory = (settings: MethodSettings<Options> = {}): MergeMethod => {
    const given = Object.entries(settings).filter(([, setting]) => setting !== undefined)
    for (const [key, setting] of given) checkSetting(general, key, setting as Setting<Scalar>)
    return {
      name: definition.info.name,
      settings: Object.fromEntries(given) as Record<string, Setting<Scalar>>,
      definition: general,
    }
  }
  const entries = Object.entries(definition.options).map(([key, { schema, fallback }]) => [
    key,
    fallback === undefined ? v.optional(schema) : v.optional(schema, fallback as never),
  ])
  return Object.assign(factory, {
    info: { ...definition.info, verb: 'merge' },
    schema: v.object(Object.fromEntries(entries) as v.ObjectEntries),
    definition: general,
  })
}

/** Throws InputError `METHOD_OPTION` unless every value of the setting suits the option. */
export function checkSetting(
  definition: MethodDefinition,
  key: string,
  setting: Setting<Scalar>,
  where: { file?: string; line?: number; column?: number; key?: string } = { key },
): void {
  const { name } = definition.info
  const option = Object.hasOwn(definition.options, key) ? definition.options[key] : undefined
  if (!option) {
    const known = Object.keys(definition.options)
    const fallback = known.length === 0 ? `${name} has no options` : `${name} takes: ${known.join(', ')}`
    throw new InputError('METHOD_OPTION', `Unknown option "${key}" of method ${name}`, {
      where,
      help: didYouMean(key, known, fallback),
    })
  }
  for (const value of scalarsOf(setting)) {
    const parsed = v.safeParse(option.schema, value)
    if (!parsed.success)
      throw new InputError('METHOD_OPTION', parsed.issues[0].message, { where, help: `see: espalier systems ${name}` })
  }
}

const between = (low: number, high: number, what: string) => `Expected ${what} from ${low} to ${high}`

/** A finite number. */
export const anyNumber = v.pipe(
  v.number(({ received }) => `Expected a number, received ${received}`),
  v.finite('Expected a finite number'),
)

/** A share of the whole, from 0 to 1. */
export const share = v.pipe(anyNumber, v.minValue(0, between(0, 1, 'a share')), v.maxValue(1, between(0, 1, 'a share')))

/** A number of at least 0. */
export const notNegative = v.pipe(anyNumber, v.minValue(0, 'Expected a number of at least 0'))

/** A number above 0. */
export const positive = v.pipe(anyNumber, v.gtValue(0, 'Expected a number above 0'))

export const yesOrNo = v.boolean(({ received }) => `Expected true or false, received ${received}`)
