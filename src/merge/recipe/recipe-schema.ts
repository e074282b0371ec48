/** The shape of a recipe file: mergekit's YAML (Goddard et al., 2024), and three keys of ours: `head`, `missing`, `seed`. */
import * as v from 'valibot'
import { didYouMean } from '../../util/suggest.ts'

/** An object with these keys and no others; an unknown key is reported at its own place, with the nearest known one. */
function table<const Entries extends v.ObjectEntries>(what: string, entries: Entries, unknown?: string) {
  const known = Object.keys(entries)
  return v.pipe(
    v.looseObject(entries, ({ received }) => `Expected ${what} (key: value lines), received ${name(received)}`),
    v.rawCheck(({ dataset, addIssue }) => {
      if (!dataset.typed) return
      const input = dataset.value as Record<string, unknown>
      for (const key of Object.keys(input))
        if (!known.includes(key))
          addIssue({
            message: `Unknown key "${key}" in ${what}\0${unknown ?? didYouMean(key, known, `known keys: ${known.join(', ')}`)}`,
            path: [{ type: 'object', origin: 'key', input, key, value: input[key] }],
          })
    }),
  )
}

const name = (received: string): string => (received === 'null' ? 'nothing' : received.replace('Array', 'a list'))
const expected =
  (what: string) =>
  ({ received }: { received: string }): string =>
    `Expected ${what}, received ${name(received)}`

const text = (what: string) => v.pipe(v.string(expected(what)), v.nonEmpty(`Expected ${what}, received an empty text`))
const list = <Item extends v.GenericSchema>(what: string, item: Item) =>
  v.pipe(v.array(item, expected(what)), v.minLength(1, `Expected ${what}, received an empty list`))

const scalar = v.union([v.number(), v.boolean(), v.string()], expected('a number, true or false, or a text'))
const value = v.union(
  [scalar, v.array(scalar)],
  expected('a number, true or false, a text, or a list of them (a gradient)'),
)
const condition = table('a condition', { filter: v.optional(text('a part of tensor names')), value })
const setting = v.lazy((input) => {
  if (typeof input === 'object' && input !== null && !Array.isArray(input)) return condition
  if (Array.isArray(input) && input.some((item) => typeof item === 'object' && item !== null)) return v.array(condition)
  return value
})
const settings = v.record(v.string(), setting, expected('parameters (name: value lines)'))

const layerNumber = v.pipe(
  v.number(expected('a layer number')),
  v.integer('Expected a whole layer number'),
  v.minValue(0, 'Expected a layer number of at least 0'),
)
const layers = v.pipe(
  v.tuple([layerNumber, layerNumber], expected('two layer numbers, [first, one after the last]')),
  v.check(([first, end]) => first < end, 'Expected a layer range with at least one layer: [first, one after the last]'),
)
const model = text('a model: a folder, or a name on the hub')
const source = table('a source', { model, layer_range: layers, parameters: v.optional(settings) })
const slice = table('a slice', {
  sources: list('a list of sources', source),
  base_model: v.optional(model),
  parameters: v.optional(settings),
  residual_weight: v.optional(
    v.pipe(
      v.any(),
      v.check(() => false, 'residual_weight has no effect in mergekit and is not taken here'),
    ),
  ),
})
const inputModel = table('a model entry', { model, parameters: v.optional(settings) })

const dtype = v.pipe(
  text('a dtype'),
  v.transform((input) => input.replace(/^torch\./, '')),
  v.picklist(
    ['float64', 'float32', 'float16', 'bfloat16', 'fp64', 'fp32', 'fp16', 'bf16'],
    ({ received }) => `Expected a dtype (float64, float32, float16 or bfloat16), received ${received}`,
  ),
)

const tokenSource = v.lazy((input) =>
  typeof input === 'string'
    ? model
    : v.variant(
        'kind',
        [
          v.strictObject({ kind: v.literal('zero') }),
          v.strictObject({
            kind: v.literal('model_token'),
            model,
            token: v.optional(v.string()),
            token_id: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
          }),
        ],
        'Expected a token source: a model, {kind: zero}, or {kind: model_token, model, token or token_id}',
      ),
)
const tokenizer = table('tokenizer', {
  source: v.optional(text('union, base, or a model'), 'union'),
  tokens: v.optional(
    v.record(
      v.string(),
      table('a token rule', { source: v.optional(tokenSource), force: v.optional(v.boolean(), false) }),
    ),
  ),
  pad_to_multiple_of: v.optional(v.nullable(v.pipe(v.number(), v.integer(), v.minValue(1)))),
})

const content = {
  models: v.optional(list('a list of models', inputModel)),
  slices: v.optional(list('a list of slices', slice)),
  parameters: v.optional(settings),
}

export const recipeSchema = table('a recipe', {
  ...content,
  modules: v.optional(v.record(v.string(), table('a module', content))),
  merge_method: text('the name of a merge method'),
  base_model: v.optional(model),
  dtype: v.optional(v.nullable(dtype)),
  out_dtype: v.optional(v.nullable(dtype)),
  tokenizer_source: v.optional(v.nullable(text('union, base, or a model'))),
  tokenizer: v.optional(v.nullable(tokenizer)),
  chat_template: v.optional(v.nullable(text('auto, the name of a template, or a Jinja template'))),
  head: v.optional(text('keep-per-task, merge, merge-by-label-name, or "from MODEL"')),
  adapter: v.optional(
    table('adapter', {
      combine: v.optional(v.picklist(['cat', 'svd', 'factors'], 'Expected cat, svd or factors for combine')),
      rank: v.optional(v.pipe(v.number(), v.integer('Expected a whole number'), v.minValue(1, 'Expected at least 1'))),
    }),
  ),
  missing: v.optional(
    v.picklist(['error', 'base', 'available'], 'Expected error, base or available for missing'),
    'error',
  ),
})

export type RecipeFile = v.InferOutput<typeof recipeSchema>
export type ModuleFile = Pick<RecipeFile, 'models' | 'slices' | 'parameters'>
