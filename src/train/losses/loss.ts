/**
 * Losses that may take the place of a head's own. A loss is one function of its options and gives plain data, which crosses to the training worker; these
 * files import no operators, so that naming a loss loads none.
 */
import type * as v from 'valibot'
import { checkMethodOptions } from '../../util/method-options.ts'

/** A loss by name, with its options settled. */
export interface Loss {
  readonly name: string
  readonly options: Readonly<Record<string, number | undefined>>
}

export interface LossInfo {
  /** Kebab-case; also the file's name. */
  readonly name: string
  /** One sentence. */
  readonly summary: string
  readonly source: string
  /** softmax: heads that choose one label of a group. sigmoid: heads that decide each label on its own. Undefined: both. */
  readonly activation?: 'softmax' | 'sigmoid'
  /** Looks at distances in the label tree. */
  readonly needsTree: boolean
}

export interface LossFactory<Schema extends v.ObjectSchema<v.ObjectEntries, undefined>> {
  (options?: v.InferInput<Schema>): Loss
  readonly info: LossInfo
  readonly schema: Schema
}

/** Builds a loss's exported function from its description and its options' schema; what it changes is in terms.ts. */
export function defineLoss<Schema extends v.ObjectSchema<v.ObjectEntries, undefined>>(
  info: LossInfo,
  schema: Schema,
): LossFactory<Schema> {
  const factory = (input: v.InferInput<Schema> = {} as v.InferInput<Schema>): Loss => ({
    name: info.name,
    options: checkMethodOptions(info.name, schema, input) as Loss['options'],
  })
  return Object.assign(factory, { info, schema })
}
