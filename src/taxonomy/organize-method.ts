/** Methods of `organize`: from texts with labels that are not good enough to texts and a tree that are. A method is one file that exports one function. */
import type * as v from 'valibot'
import type { Row } from '../data/row.ts'
import type { MethodInfo } from '../util/method.ts'
import { checkMethodOptions } from '../util/method-options.ts'
import type { RunOptions } from '../util/progress.ts'

/** A text under two schemas: `labels` of the first, `second` of the other, both as paths from the root. */
export interface SchemaRow extends Pick<Row, 'text' | 'labels' | 'id'> {
  readonly second: readonly (readonly string[])[]
}

export interface Organized {
  /** The texts that stay, with the labels they keep, in the order given. */
  readonly rows: Pick<Row, 'text' | 'labels' | 'id'>[]
  /** The texts that do not, with their labels as they were, and why. */
  readonly dropped: (Pick<Row, 'text' | 'labels' | 'id'> & { reason: string })[]
  /** What was found on the way; JSON. */
  readonly report: Record<string, unknown>
}

export interface OrganizeMethod {
  readonly name: string
  readonly options: Readonly<Record<string, unknown>>
  organize(rows: readonly SchemaRow[], seed: number, run: RunOptions): Promise<Organized>
}

export interface OrganizeMethodFactory<Schema extends v.ObjectSchema<v.ObjectEntries, undefined>> {
  (options?: v.InferInput<Schema>): OrganizeMethod
  readonly info: MethodInfo
  readonly schema: Schema
}

/** Builds a method's exported function from its description, its options' schema and what it does. */
export function defineOrganizeMethod<Schema extends v.ObjectSchema<v.ObjectEntries, undefined>>(
  info: Omit<MethodInfo, 'verb'>,
  schema: Schema,
  organize: (
    rows: readonly SchemaRow[],
    options: v.InferOutput<Schema>,
    seed: number,
    run: RunOptions,
  ) => Promise<Organized>,
): OrganizeMethodFactory<Schema> {
  const factory = (input: v.InferInput<Schema> = {} as v.InferInput<Schema>): OrganizeMethod => {
    const options = checkMethodOptions(info.name, schema, input)
    return {
      name: info.name,
      options: options as Record<string, unknown>,
      organize: (rows, seed, run) => organize(rows, options, seed, run),
    }
  }
  return Object.assign(factory, { info: { ...info, verb: 'organize' }, schema })
}
