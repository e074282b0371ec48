/** The methods of every verb, found by name. Each describes itself; nothing about one is written here. */
import type { AlignMethod } from '../align/align-method.ts'
import type { HeadMethod } from '../classify/head-method.ts'
import type { ExplainMethod } from '../explain/explain-method.ts'
import type { ExpertMethod } from '../merge/experts/expert-method.ts'
import type { DataMergeMethod } from '../merge/with-data/data-merge-method.ts'
import type { OrganizeMethod } from '../taxonomy/organize-method.ts'
import { InputError } from '../util/errors.ts'
import type { MethodInfo } from '../util/method.ts'
import { didYouMean } from '../util/suggest.ts'
import type { SchemaWithEntries } from './method-options.ts'

/** The exported function of a method's file. */
export interface MethodFactory<Method = unknown> {
  (options?: Record<string, unknown>): Method
  readonly info: MethodInfo
  readonly schema: SchemaWithEntries
}

/** The methods of `train`. */
export async function headMethods(): Promise<MethodFactory<HeadMethod>[]> {
  return Object.values(await import('../classify/methods/index.ts')) as MethodFactory<HeadMethod>[]
}

/** The methods of `merge`. */
export async function mergeMethods(): Promise<MethodFactory[]> {
  return Object.values(await import('../merge/methods/index.ts')) as unknown as MethodFactory[]
}

/** The methods of `merge --experts`. */
export async function expertMethods(): Promise<MethodFactory<ExpertMethod>[]> {
  return Object.values(await import('../merge/experts/methods/index.ts')) as unknown as MethodFactory<ExpertMethod>[]
}

/** The step behind `merge --match`, and the search that is called from code. */
export async function mergeSteps(): Promise<MethodFactory[]> {
  const [{ pleas }, { unconstrainedMerge }] = await Promise.all([
    import('../merge/permute/pleas.ts'),
    import('../merge/search/unconstrained-merge.ts'),
  ])
  return [pleas, unconstrainedMerge] as unknown as MethodFactory[]
}

/** The methods of merges with data. */
export async function dataMergeMethods(): Promise<MethodFactory<DataMergeMethod>[]> {
  const methods = await import('../merge/with-data/methods/index.ts')
  return Object.values(methods) as unknown as MethodFactory<DataMergeMethod>[]
}

/** The methods of `explain`. */
export async function explainMethods(): Promise<MethodFactory<ExplainMethod>[]> {
  return Object.values(await import('../explain/methods/index.ts')) as MethodFactory<ExplainMethod>[]
}

/** The methods of `align`. */
export async function alignMethods(): Promise<MethodFactory<AlignMethod>[]> {
  return Object.values(await import('../align/methods/index.ts')) as unknown as MethodFactory<AlignMethod>[]
}

/** The methods of `organize`. */
export async function organizeMethods(): Promise<MethodFactory<OrganizeMethod>[]> {
  return Object.values(await import('../taxonomy/methods/index.ts')) as unknown as MethodFactory<OrganizeMethod>[]
}

/** The methods of all verbs, by verb and name. */
export async function allMethods(): Promise<MethodFactory[]> {
  const key = ({ info }: MethodFactory) => `${info.verb} ${info.name}`
  return [
    ...(await headMethods()),
    ...(await mergeMethods()),
    ...(await expertMethods()),
    ...(await mergeSteps()),
    ...(await dataMergeMethods()),
    ...(await alignMethods()),
    ...(await explainMethods()),
    ...(await organizeMethods()),
  ].sort((a, b) => (key(a) < key(b) ? -1 : 1))
}

/** The method of that name. Throws InputError `METHOD_UNKNOWN`. */
export function findMethod<Factory extends MethodFactory>(methods: readonly Factory[], name: string): Factory {
  const found = methods.find(({ info }) => info.name === name)
  if (found) return found
  const names = methods.map(({ info }) => info.name)
  throw new InputError('METHOD_UNKNOWN', `There is no method "${name}"`, {
    help: didYouMean(name, names, `methods: ${names.join(', ')}`),
    data: { known: names },
  })
}
