/** Explanation methods: a method is one file that exports one function of its options; texts, targets, files and measures are shared by all. */
import * as v from 'valibot'
import type { NodeScore } from '../labels/node-score.ts'
import type { ModelParts } from '../models/model-parts.ts'
import type { MethodInfo } from '../util/method.ts'
import { checkMethodOptions } from '../util/method-options.ts'
import type { MaskedText, Removal } from './masked-text.ts'

/** One text and what is to be explained in it. */
export interface TextToExplain {
  readonly text: string
  readonly masked: MaskedText
  readonly target: NodeScore
  /** Logits and score of the whole text. */
  readonly logits: Float32Array
  readonly full: number
  readonly seed: number
  readonly signal: AbortSignal | undefined
  /** The score with only the tokens kept whose mask is 1, for each mask. */
  score(keeps: readonly Uint8Array[], removal?: Removal): Promise<Float64Array>
}

export interface Attribution {
  /** Per token of the text. */
  readonly values: Float64Array
  /** Where the attributions start from: with it they should sum to the score. Undefined for methods without such a promise. */
  readonly base?: number
  /** Numbers that tell how it was made: steps, samples, fit. */
  readonly details: Readonly<Record<string, number>>
}

/** A method made ready for one model. */
export interface Explainer {
  attribute(text: TextToExplain): Promise<Attribution>
  close(): Promise<void>
}

export interface ExplainMethod {
  readonly name: string
  readonly options: Readonly<Record<string, unknown>>
  /** Which models it works on. */
  readonly needs: 'any' | ModelParts['kind']
  open(parts: ModelParts): Promise<Explainer>
}

/** The exported function of a method's file: call it with options; `info` and `schema` describe it. */
export interface ExplainMethodFactory<Schema extends v.ObjectSchema<v.ObjectEntries, undefined>> {
  (options?: v.InferInput<Schema>): ExplainMethod
  readonly info: MethodInfo
  readonly schema: Schema
}

type OptionsSchema = v.ObjectSchema<v.ObjectEntries, undefined>
type PartsOf<Needs> = Needs extends 'any' ? ModelParts : Extract<ModelParts, { kind: Needs }>

/** Builds a method's exported function from its description, its options' schema, the models it needs, and what it does. */
export function defineExplainMethod<Schema extends OptionsSchema, const Needs extends ExplainMethod['needs']>(
  info: Omit<MethodInfo, 'verb'>,
  schema: Schema,
  needs: Needs,
  open: (parts: PartsOf<Needs>, options: v.InferOutput<Schema>) => Promise<Explainer>,
): ExplainMethodFactory<Schema> {
  const factory = (input: v.InferInput<Schema> = {} as v.InferInput<Schema>): ExplainMethod => {
    const options = checkMethodOptions(info.name, schema, input)
    return {
      name: info.name,
      options: options as Record<string, unknown>,
      needs,
      open: (parts) => open(parts as PartsOf<Needs>, options),
    }
  }
  return Object.assign(factory, { info: { ...info, verb: 'explain' }, schema })
}

/** An explainer that only asks for scores of masked texts. */
export const stateless = (attribute: Explainer['attribute']): Promise<Explainer> =>
  Promise.resolve({ attribute, close: async () => {} })

/** The option of methods that take tokens away. */
export const removalOption = v.optional(
  v.pipe(
    v.picklist(['mask', 'delete']),
    v.description('how tokens are taken away; default: by the mask token where the model has one'),
  ),
)
