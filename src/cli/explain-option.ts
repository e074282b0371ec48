/** The explanation method that options name, for `explain` and `evaluate --explain`. */
import type { ExplainMethod } from '../explain/explain-method.ts'
import { InputError } from '../util/errors.ts'
import { parseMethodOptions } from './method-options.ts'
import { explainMethods, findMethod } from './methods.ts'

/** The method with its options; undefined if none is named. Throws InputError `METHOD_UNKNOWN`, `METHOD_OPTION`, `USAGE`. */
export async function explainMethod(
  name: string | undefined,
  options: string[] = [],
): Promise<ExplainMethod | undefined> {
  if (name === undefined) {
    if (options.length === 0) return undefined
    throw new InputError('USAGE', '--method-option needs --method', { help: 'see: espalier systems' })
  }
  const factory = findMethod(await explainMethods(), name)
  return factory(parseMethodOptions(factory.info.name, factory.schema, options))
}
