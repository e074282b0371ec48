/**
 * Unconstrained Model Merging (Zhang et al., 2024), its part for models of one architecture: the weight of each model in each group of layers is
 * searched for by what the merged model scores on validation texts. The abstract names the layer-wise search; groups, search and settings are ours.
 */
import * as v from 'valibot'
import { maximize } from '../../tensor/sep-cma-es.ts'
import { InputError, throwIfAborted } from '../../util/errors.ts'
import type { MethodInfo } from '../../util/method.ts'
import type { RunOptions } from '../../util/progress.ts'
import type { MergeMethod } from '../merge-method.ts'
import { mergeTensors } from '../merge-tensors.ts'
import type { Condition } from '../settings.ts'
import { groupConditions, layerGroup } from './layer-weights.ts'

const schema = v.object({
  /** Merges that are tried at most (default 400). */
  evaluations: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 400),
  /** The weight that all models start from (default 0.5). */
  start: v.optional(v.pipe(v.number(), v.finite()), 0.5),
  /** Spread of the first weights tried (default 0.15). */
  step: v.optional(v.pipe(v.number(), v.gtValue(0)), 0.15),
  /** Search the density of each model in each group too, for inner merges that have one (default false). */
  densities: v.optional(v.boolean(), false),
  /** Whether each group of layers has weights of its own, or the model as a whole (default layers). */
  groups: v.optional(v.picklist(['layers', 'model'], 'Expected layers or model for groups'), 'layers'),
  seed: v.optional(v.pipe(v.number(), v.integer()), 0),
})
export type SearchSettings = v.InferOutput<typeof schema>

const info: MethodInfo = {
  name: 'unconstrained-merge',
  verb: 'merge',
  summary: 'Searches a weight for each model in each group of layers, by a score on validation texts.',
  source: 'Zhang et al., "Unconstrained Model Merging for Enhanced LLM Reasoning", 2024',
  status: 'works',
  results: 'docs/results/unconstrained-merge.md',
}

/** The options checked, and what `espalier systems` says of the search. */
export const unconstrainedMerge = Object.assign(
  (options: Partial<SearchSettings> = {}): SearchSettings => v.parse(schema, options),
  {
    info,
    schema,
  },
)

export { layerGroup } from './layer-weights.ts'

/** Weights by tensor name; the same names and lengths in all models. */
export type NamedWeights = ReadonlyMap<string, Float32Array>

export interface SearchMergeOptions extends RunOptions, Partial<SearchSettings> {
  base: NamedWeights
  models: readonly NamedWeights[]
  /** What a merged model is worth, the more the better; on texts that are used for nothing else. */
  score: (weights: NamedWeights) => number | Promise<number>
  /** How the weighted changes of a group become one, such as `ties()` (default: their sum). Its options are weights and densities. */
  method?: MergeMethod
  /** The group of a tensor (default: as `groups` says). */
  group?: (tensor: string) => string
}

export interface SearchMergeResult {
  /** By group, the weight of each model. */
  readonly weights: ReadonlyMap<string, readonly number[]>
  /** By group, the density of each model, if they were searched. */
  readonly densities?: ReadonlyMap<string, readonly number[]>
  readonly merged: Map<string, Float32Array>
  /** The score of the start and of the result. */
  readonly before: number
  readonly after: number
  readonly evaluations: number
  /** For each model, settings that make the same merge of whole checkpoints: `merge([{ model, ...settings[0] }, ...], ...)`. */
  readonly settings: readonly { readonly weight: Condition<number>[]; readonly density?: Condition<number>[] }[]
}

/** See `searchMerge` in merge.ts. */
export async function searchMerge(options: SearchMergeOptions): Promise<SearchMergeResult> {
  const { base, models, score, method, signal, onProgress, ...given } = options
  const settings = unconstrainedMerge(
    Object.fromEntries(Object.entries(given).filter(([key]) => key in schema.entries)),
  )
  const { evaluations, start, step, densities, seed } = settings
  const group = options.group ?? (settings.groups === 'model' ? () => 'model' : layerGroup)
  checkWeights(base, models)
  const groups = [...new Set(Array.from(base.keys(), group))]
  const count = models.length
  const size = groups.length * count
  const first = new Float64Array(densities ? 2 * size : size).fill(start)
  first.fill(densityScale, size)
  const settingsOf = (point: Float64Array) => ({
    weights: new Map(groups.map((name, g) => [name, Array.from(point.subarray(g * count, (g + 1) * count))])),
    densities: new Map(
      groups.map((name, g) => [
        name,
        Array.from(point.subarray(size + g * count, size + (g + 1) * count), (x) => Math.min(1, Math.max(0.01, x))),
      ]),
    ),
  })
  const built = (point: Float64Array) => {
    const found = settingsOf(point)
    return mergeGroups(base, models, group, found.weights, densities ? found.densities : undefined, method)
  }
  const scoreOf = async (point: Float64Array): Promise<number> => {
    throwIfAborted(signal)
    const value = await score(await built(point))
    if (Number.isFinite(value)) return value
    throw new InputError('NOT_FINITE', `Expected a finite score, received ${value}`, { where: { key: 'score' } })
  }
  const before = await scoreOf(first)
  const result = await maximize(scoreOf, {
    ...{ start: first, step, evaluations, seed },
    onGeneration: ({ evaluations: done, best }) =>
      onProgress?.({ step: 'search', done, total: evaluations, unit: 'merges', metrics: { best } }),
  })
  const found = settingsOf(result.mean)
  const of = (values: ReadonlyMap<string, readonly number[]>, model: number) =>
    groupConditions([...base.keys()], group, new Map([...values].map(([name, list]) => [name, list[model]!])))
  return {
    weights: found.weights,
    ...(densities ? { densities: found.densities } : {}),
    merged: await built(result.mean),
    before,
    after: await scoreOf(result.mean),
    evaluations: result.evaluations,
    settings: models.map((_, t) => ({
      weight: of(found.weights, t),
      ...(densities ? { density: of(found.densities, t) } : {}),
    })),
  }
}

/** Where densities start from: what TIES keeps without choosing. */
const densityScale = 0.2

/** θ0 plus the merge of the weighted changes, group by group. */
export async function mergeGroups(
  base: NamedWeights,
  models: readonly NamedWeights[],
  group: (tensor: string) => string,
  weights: ReadonlyMap<string, readonly number[]>,
  densities?: ReadonlyMap<string, readonly number[]>,
  method?: MergeMethod,
): Promise<Map<string, Float32Array>> {
  const merged = new Map<string, Float32Array>()
  for (const [name, origin] of base) {
    const own = weights.get(group(name))!
    if (method) {
      const settings = own.map((weight, t) => ({
        weight,
        ...(densities ? { density: densities.get(group(name))![t]! } : {}),
      }))
      const parts = models.map((model) => model.get(name)!)
      merged.set(name, Float32Array.from(await mergeTensors({ method, base: origin, models: parts, settings, name })))
      continue
    }
    const sum = Float64Array.from(origin)
    for (const [t, model] of models.entries()) {
      const theta = model.get(name)!
      for (let i = 0; i < sum.length; i++) sum[i]! += own[t]! * (theta[i]! - origin[i]!)
    }
    merged.set(name, Float32Array.from(sum))
  }
  return merged
}

function checkWeights(base: NamedWeights, models: readonly NamedWeights[]): void {
  if (models.length === 0) throw new InputError('MERGE_INPUT', 'Expected at least one model, received none')
  for (const [t, model] of models.entries())
    for (const [name, { length }] of base)
      if (model.get(name)?.length !== length)
        throw new InputError(
          'MERGE_INPUT',
          `Expected ${length} values, received ${model.get(name)?.length ?? 'none'} from model ${t}`,
          { where: { tensor: name }, help: 'only models of one architecture can be merged' },
        )
}
