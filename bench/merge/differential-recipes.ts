/** Random recipes for the differential test: methods, dtypes, gradients, filters, slices, modules, adapters and vocabularies. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Dtype } from '../../src/tensor/dtypes.ts'
import { random } from '../../src/tensor/random.ts'
import { type Kind, layersOf, type TestModels } from './differential-models.ts'

export interface Case {
  readonly name: string
  readonly method: string
  readonly features: readonly string[]
  readonly recipe: string
  readonly out: string
  readonly seed: number
  /** What mergekit does by design otherwise than the default mode: compared in its arithmetic only. */
  readonly strictOnly: boolean
}

/** `base`: whether it takes a base ("maybe": with or without; "model": a base joins the models). */
const methods: Record<string, { base: boolean | 'maybe' | 'model'; models: number; options: string[] }> = {
  linear: { base: 'model', models: 3, options: ['weight', 'normalize'] },
  slerp: { base: true, models: 1, options: ['t'] },
  nuslerp: { base: 'maybe', models: 2, options: ['weight', 'nuslerp_flatten', 'nuslerp_row_wise'] },
  multislerp: { base: 'maybe', models: 3, options: ['weight', 'normalize_weights'] },
  karcher: { base: 'model', models: 3, options: ['max_iter'] },
  task_arithmetic: { base: true, models: 3, options: ['weight', 'lambda', 'normalize'] },
  ties: { base: true, models: 3, options: ['weight', 'density', 'lambda', 'normalize', 'int8_mask', 'rescale'] },
  dare_linear: { base: true, models: 3, options: ['weight', 'density', 'lambda', 'rescale'] },
  dare_ties: { base: true, models: 3, options: ['weight', 'density', 'normalize', 'rescale'] },
  della: { base: true, models: 3, options: ['weight', 'della', 'lambda'] },
  della_linear: { base: true, models: 3, options: ['weight', 'della', 'rescale'] },
  breadcrumbs: { base: true, models: 3, options: ['weight', 'density', 'gamma', 'lambda', 'rescale'] },
  breadcrumbs_ties: { base: true, models: 3, options: ['weight', 'density', 'gamma'] },
  model_stock: { base: true, models: 3, options: ['filter_wise'] },
  nearswap: { base: true, models: 1, options: ['near'] },
  arcee_fusion: { base: true, models: 1, options: [] },
  sce: { base: true, models: 3, options: ['select_topk'] },
  ram: { base: true, models: 3, options: [] },
  ramplus_tl: { base: true, models: 3, options: ['r'] },
  passthrough: { base: false, models: 1, options: ['scale'] },
}

export const methodNames = Object.keys(methods)

type Fields = Record<string, unknown>

export async function makeCase(index: number, seed: number, folder: string, models: TestModels): Promise<Case> {
  const r = random(seed, 'case', index)
  let drawn = 0
  const uniform = () => r.uniform(drawn++)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(uniform() * list.length)]!
  const number = (low: number, high: number) => Number((low + uniform() * (high - low)).toFixed(3))
  const features: string[] = []
  const method = methodNames[index % methodNames.length]!
  const { base: baseUse, models: count, options } = methods[method]!
  const kind = pick<Kind>(['bert', 'decoder'])
  const dtype = pick<Dtype>(['F32', 'BF16', 'F16'])
  const structure = pick(['models', 'models', 'slices', 'module', 'module slices'])
  const sliced = structure.endsWith('slices')
  const vocabularies = !sliced && uniform() < 0.25
  const adapters = !vocabularies && uniform() < 0.25
  const joins = baseUse === 'model' && !sliced && !vocabularies && uniform() < 0.4
  const withBase = baseUse === true || vocabularies || joins || (baseUse === 'maybe' && uniform() < 0.5)

  /** A number as a scalar, a gradient, or by name filters. */
  const setting = (low: number, high: number): unknown => {
    const form = pick(['scalar', 'scalar', 'gradient', 'filters'])
    if (form !== 'scalar' && !features.includes(form)) features.push(form)
    if (form === 'scalar') return number(low, high)
    if (form === 'gradient') return Array.from({ length: pick([2, 3, 5]) }, () => number(low, high))
    const filter = pick(['attn', 'attention', 'mlp', 'layers.1', 'dense', 'embed', 'norm'])
    return [
      { filter, value: pick([number(low, high), [number(low, high), number(low, high)]]) },
      { value: number(low, high) },
    ]
  }
  const shared: Fields = {}
  const perModel: (() => Fields)[] = []
  for (const option of options) {
    if (option === 'weight' && joins) shared['weight'] = setting(0.1, 1)
    else if (option === 'weight') perModel.push(() => ({ weight: setting(0.1, 1) }))
    else if (option === 'density') perModel.push(() => ({ density: setting(0.1, 1) }))
    else if (option === 'della') perModel.push(() => ({ density: setting(0.3, 0.7), epsilon: number(0.05, 0.25) }))
    else if (option === 'gamma') perModel.push(() => ({ gamma: setting(0, 0.2) }))
    else if (option === 'scale') perModel.push(() => ({ scale: setting(0.5, 1.5) }))
    else if (option === 't') shared['t'] = setting(0, 1)
    else if (option === 'near') shared['t'] = setting(0.001, 0.01)
    else if (option === 'lambda') shared['lambda'] = setting(0.3, 1.2)
    else if (option === 'select_topk') shared['select_topk'] = setting(0.2, 1)
    else if (option === 'r') shared['r'] = number(0, 0.5)
    else if (option === 'max_iter') shared['max_iter'] = pick([1, 5, 10])
    else shared[option] = pick([true, false])
  }
  const mixed = uniform() < 0.15
  if (mixed) features.push('mixed dtypes')
  const typeOf = () => (mixed ? pick<Dtype>(['F32', 'BF16', 'F16']) : dtype)
  const origin = await models.model(kind, typeOf(), 0, vocabularies)
  const entries: Fields[] = []
  for (let model = 1; model <= count; model++) {
    const path = await models.model(kind, typeOf(), model, vocabularies)
    const lora = adapters && (model === 1 || uniform() < 0.5) ? `+${await models.adapter(kind, model)}` : ''
    const parameters = Object.assign({}, ...perModel.map((make) => make()))
    entries.push({ model: path + lora, ...(perModel.length > 0 ? { parameters } : {}) })
  }
  // Methods that look at no base count it as a model; with a vocabulary it must be named, so it is one of them.
  const among = baseUse === 'model' && withBase && !joins
  if (among) entries[0]!['model'] = origin
  if (baseUse === false && withBase) entries[0]!['model'] = origin
  const recipe: Fields = { merge_method: method, ...(withBase ? { base_model: origin } : {}) }
  const layers = layersOf[kind]
  let content: Fields = { models: entries }
  if (sliced) {
    const sources = (range: number[]) =>
      [...(withBase ? [{ model: origin }] : []), ...entries].map((entry) => ({ ...entry, layer_range: range }))
    const cut = 1 + Math.floor(uniform() * (layers - 1))
    content = { slices: [{ sources: sources([0, cut]) }, { sources: sources([cut - 1, layers]) }] }
    features.push('slices')
  }
  const parameters = Object.keys(shared).length > 0 ? { parameters: shared } : {}
  if (structure.startsWith('module')) {
    features.push('modules')
    const inside = uniform() < 0.5
    Object.assign(
      recipe,
      { modules: { default: { ...content, ...(inside ? parameters : {}) } } },
      inside ? {} : parameters,
    )
  } else Object.assign(recipe, content, parameters)
  if (adapters) features.push('LoRA')
  if (vocabularies) {
    const last = String(entries.at(-1)!['model'])
    const source = pick(['union', 'base', last])
    // New tokens with the base's vocabulary stop mergekit (docs/mergekit.md).
    const rules: Fields = {
      w3: { source: { kind: 'model_token', model: origin, token: 'w5' }, force: pick([true, false]) },
      ...(source === 'base'
        ? {}
        : {
            extra: { source: pick<unknown>([{ kind: 'zero' }, { kind: 'model_token', model: last, token: 'new-0' }]) },
          }),
    }
    const plain = uniform() < 0.4
    if (plain) recipe['tokenizer_source'] = source
    else
      recipe['tokenizer'] = {
        source,
        ...(uniform() < 0.6 && last !== origin ? { tokens: rules } : {}),
        ...(uniform() < 0.5 ? { pad_to_multiple_of: 16 } : {}),
      }
    features.push(`tokenizer ${source === last ? 'of a model' : source}${plain ? '' : ' with rules'}`)
  }
  const type = pick([undefined, undefined, 'float32', 'bfloat16', 'float16'] as const)
  if (type) recipe[pick(['dtype', 'out_dtype'])] = type
  if (joins) features.push('base as a model')
  const file = join(folder, `case-${index}.yml`)
  writeFileSync(file, JSON.stringify(recipe, null, 1)) // JSON is YAML
  return {
    name: [
      method,
      kind,
      dtype,
      ...(type ? ['to', type] : []),
      ...(features.length > 0 ? [`(${features.join(', ')})`] : []),
    ].join(' '),
    method,
    features,
    recipe: file,
    out: join(folder, `out-${index}`),
    seed: index,
    strictOnly: joins,
  }
}
