import { describe, expect, it } from 'vitest'
import { type EspalierError, formatPlace } from '../../util/errors.ts'
import { parseRecipe } from './read-recipe.ts'
import { recipeModels } from './recipe.ts'

function fault(text: string): { code: string; message: string; place: string; help: string | undefined } {
  try {
    parseRecipe(text, 'r.yml')
  } catch (error) {
    const { code, message, where, help } = error as EspalierError
    return { code, message, place: formatPlace(where), help }
  }
  throw new Error('expected a fault')
}

const gradientSlerp = `
slices:
  - sources:
      - model: org/a
        layer_range: [0, 40]
      - model: org/b@main
        layer_range: [0, 40]
merge_method: slerp
base_model: org/a
parameters:
  t:
    - filter: self_attn
      value: [0, 0.5, 0.3, 0.7, 1]
    - value: 0.5 # fallback
dtype: float16
`

describe('parseRecipe', () => {
  it('reads slices with gradients and filters', () => {
    const recipe = parseRecipe(gradientSlerp, 'r.yml')
    expect(recipe.method).toBe('slerp')
    expect(recipe.dtype).toBe('F16')
    expect(recipe.modules[0]!.slices[0]!.sources.map(({ layers }) => layers)).toEqual([
      [0, 40],
      [0, 40],
    ])
    expect(recipe.settings.get('t')!.setting).toEqual([
      { filter: 'self_attn', value: [0, 0.5, 0.3, 0.7, 1] },
      { value: 0.5 },
    ])
    expect(recipe.settings.get('t')!.place).toMatchObject({ line: 11, column: 3 })
  })

  it('reads models, adapters, tokenizer rules and per-model parameters', () => {
    const recipe = parseRecipe(
      `
models:
  - model: a+lora1
    parameters: {weight: 0.3, density: [1, 0.5]}
  - model: b
merge_method: dare_ties
base_model: a
parameters: {int8_mask: true, normalize: false}
out_dtype: bfloat16
tokenizer:
  source: union
  tokens:
    <|im_start|>: {source: b}
    <|unused|>: {source: {kind: zero}, force: true}
    <|new|>: {source: {kind: model_token, model: b, token: <s>}}
  pad_to_multiple_of: 64
head: from b
missing: base
`,
      'r.yml',
    )
    expect(recipe.method).toBe('dare-ties')
    expect(recipe.outDtype).toBe('BF16')
    expect(recipe.settings.get('int8Mask')!.setting).toBe(true)
    expect(recipe.modules[0]!.slices[0]!.sources[0]!.model).toEqual({ model: 'a', lora: 'lora1' })
    expect(recipe.tokenizer!.tokens.get('<|unused|>')).toMatchObject({ source: { kind: 'zero' }, force: true })
    expect(recipe.tokenizer!.tokens.get('<|new|>')!.source).toEqual({
      kind: 'model_token',
      model: { model: 'b' },
      token: '<s>',
    })
    expect(recipe.tokenizer!.padToMultipleOf).toBe(64)
    expect(recipe.head).toEqual({ kind: 'from', model: { model: 'b' } })
    expect(recipe.missing).toBe('base')
    expect(recipeModels(recipe)).toEqual([{ model: 'a' }, { model: 'a', lora: 'lora1' }, { model: 'b' }])
  })

  it('reads modules', () => {
    const recipe = parseRecipe(
      `
modules:
  text_decoder:
    models: [{model: a}, {model: b}]
    parameters: {weight: 0.5}
  vision_tower:
    slices: [{sources: [{model: a, layer_range: [0, 2]}]}]
merge_method: linear
`,
      'r.yml',
    )
    expect(recipe.modules.map(({ name }) => name)).toEqual(['text_decoder', 'vision_tower'])
    expect(recipe.modules[0]!.settings.get('weight')!.setting).toBe(0.5)
  })

  it('names unknown keys with line, column and the nearest known key', () => {
    expect(fault('models:\n  - model: a\n    parametrs: {weight: 1}\nmerge_method: linear\n')).toMatchObject({
      code: 'RECIPE',
      message: 'Unknown key "parametrs" in a model entry',
      place: 'r.yml line 3, column 5 › models[0] › parametrs',
      help: 'did you mean "parameters"?',
    })
    expect(fault('models: [{model: a}]\nmerge_metod: linear\n').help).toBe(
      'is "merge_metod" meant to be "merge_method"?',
    )
  })

  it('names what is missing', () => {
    expect(fault('models: [{model: a}]\n')).toMatchObject({
      message: 'Missing key "merge_method"',
    })
    expect(fault('merge_method: linear\n')).toMatchObject({
      message: 'Expected one of models, slices or modules, received none',
    })
    expect(fault('slices:\n  - sources:\n      - model: a\nmerge_method: linear\n').message).toContain('layer_range')
    expect(fault('')).toMatchObject({ message: 'The recipe is empty' })
  })

  it('refuses contradictions at their place', () => {
    expect(fault('models: [{model: a}]\nslices: []\nmerge_method: x\n').place).toContain('line 2')
    expect(
      fault(
        'slices:\n  - sources:\n      - {model: a, layer_range: [0, 4]}\n      - {model: b, layer_range: [0, 5]}\nmerge_method: slerp\n',
      ),
    ).toMatchObject({
      message: 'Expected all sources of a slice to give the same number of layers, received 4 and 5',
      place: 'r.yml line 4, column 33 › slices[0] › sources[1] › layer_range',
    })
    expect(fault('models: [{model: a+b+c}]\nmerge_method: linear\n').place).toContain('line 1, column 18')
    expect(fault('models: [{model: a}]\nmerge_method: linear\ndtype: floaty\n').message).toContain('received "floaty"')
    expect(
      fault('models: [{model: a}]\nmerge_method: linear\ntokenizer: {source: base}\ntokenizer_source: base\n').place,
    ).toContain('line 4')
  })

  it('reports YAML faults with their line', () => {
    expect(fault('models: [\n  {model: a\nmerge_method: x')).toMatchObject({ code: 'YAML_MALFORMED' })
    expect(fault('a: 1\na: 2\n').message).toContain('unique')
  })
})
