/** Checks the options of a method against its schema; one place that makes the messages. */
import * as v from 'valibot'
import { InputError } from './errors.ts'
import { didYouMean } from './suggest.ts'

/**
 * Options with their defaults.
 * @throws InputError `METHOD_OPTION` for an unknown option or a value outside its range.
 */
export function checkMethodOptions<Schema extends v.ObjectSchema<v.ObjectEntries, undefined>>(
  name: string,
  schema: Schema,
  input: unknown,
): v.InferOutput<Schema> {
  const known = Object.keys(schema.entries)
  for (const key of Object.keys(input as object)) {
    if (!known.includes(key)) {
      const help =
        known.length === 0 ? `${name} has no options` : didYouMean(key, known, `${name} takes: ${known.join(', ')}`)
      throw new InputError('METHOD_OPTION', `Unknown option "${key}" of method ${name}`, { help, where: { key } })
    }
  }
  const parsed = v.safeParse(schema, input)
  if (parsed.success) return parsed.output
  const issue = parsed.issues[0]
  const key = v.getDotPath(issue) ?? undefined
  throw new InputError('METHOD_OPTION', issue.message, {
    where: key === undefined ? {} : { key: `${name} › ${key}` },
    help: `see: espalier systems ${name}`,
  })
}
