/**
 * Head methods: how a classifier's outputs are laid out over the label tree. A method is one file that exports one function of its options;
 * training, decoding and files are shared by all.
 */
import * as v from 'valibot'
import type { HeadLayout } from '../labels/head-layout.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import { InputError } from '../util/errors.ts'
import type { MethodInfo } from '../util/method.ts'
import { didYouMean } from '../util/suggest.ts'

/** What a method may look at when it lays out its units. */
export interface HeadContext {
  /** Rows may have several label paths. */
  multiLabel: boolean
  /** Ids where paths of the training rows end, ascending: leaves, and inner nodes at which some row stops. */
  terminals: readonly number[]
}

/** A method with its options settled, ready to train. */
export interface HeadMethod {
  readonly name: string
  readonly options: Record<string, unknown>
  /** Strength of logit adjustment, see logit-adjustment.ts; 0 is off. */
  readonly logitAdjustment: number
  layout(tree: LabelTree, context: HeadContext): HeadLayout
}

/** The exported function of a method's file: call it with options; `info` and `schema` describe it. */
export interface HeadMethodFactory<Schema extends v.ObjectSchema<v.ObjectEntries, undefined>> {
  (options?: v.InferInput<Schema>): HeadMethod
  readonly info: MethodInfo
  readonly schema: Schema
}

/** Builds a method's exported function from its description, its options' schema, and its layout. */
export function defineHeadMethod<Schema extends v.ObjectSchema<v.ObjectEntries, undefined>>(
  info: Omit<MethodInfo, 'verb'>,
  schema: Schema,
  layout: HeadMethod['layout'],
): HeadMethodFactory<Schema> {
  const factory = (input: v.InferInput<Schema> = {} as v.InferInput<Schema>): HeadMethod => {
    const options = parseOptions(info.name, schema, input) as Record<string, unknown>
    const { logitAdjustment = 0 } = options
    return { name: info.name, options, logitAdjustment: logitAdjustment as number, layout }
  }
  return Object.assign(factory, { info: { ...info, verb: 'train' }, schema })
}

function parseOptions<Schema extends v.ObjectSchema<v.ObjectEntries, undefined>>(
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
  throw new InputError('METHOD_OPTION', `${issue.message}`, {
    where: key === undefined ? {} : { key: `${name} › ${key}` },
    help: `see: espalier systems ${name}`,
  })
}
