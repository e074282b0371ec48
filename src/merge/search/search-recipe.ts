/**
 * Searches the coefficients of a recipe by what its merges are worth: all combinations of given values, or, by separable CMA-ES, a weight for
 * every model in each group of layers (as in Unconstrained Model Merging, Zhang et al., 2024). Candidates are recipes, and so is the result.
 */
import { rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { maximize, type SepCmaEsOptions } from '../../tensor/sep-cma-es.ts'
import { checkOutputFolder } from '../../util/atomic.ts'
import { InputError, throwIfAborted } from '../../util/errors.ts'
import type { MergeResult, MergeRunOptions } from '../merge.ts'
import { checkSetting } from '../merge-method.ts'
import { findMergeMethod } from '../plan/find-method.ts'
import { listedModels, snakeCase, withParameters } from '../recipe/edit-recipe.ts'
import { parseModelRef, sameModel } from '../recipe/model-ref.ts'
import { parseRecipe, readRecipe } from '../recipe/read-recipe.ts'
import type { Recipe } from '../recipe/recipe.ts'
import type { Scalar } from '../settings.ts'
import { bareNames, groupConditions, layerGroup } from './layer-weights.ts'
import { type SearchSettings, unconstrainedMerge } from './unconstrained-merge.ts'

export interface SearchSpace extends Partial<SearchSettings> {
  /** Values to try of options of the recipe's method, by option name; all combinations are merged. Without it weights are searched. */
  grid?: Readonly<Record<string, readonly Scalar[]>>
}

export interface SearchRecipeOptions extends SearchSpace, Omit<MergeRunOptions, 'resume' | 'seed'> {
  /** What the merged checkpoint in this folder is worth, the more the better; on texts that are used for nothing else. */
  score: (folder: string) => number | Promise<number>
}

export interface SearchCandidate {
  /** The values of the grid that were tried; empty for the recipe as written, absent for searched weights. */
  readonly settings?: Readonly<Record<string, Scalar>>
  readonly score: number
}

export interface SearchRecipeResult {
  /** In the order in which they were merged; the first is the recipe as written. */
  readonly candidates: readonly SearchCandidate[]
  /** The candidate that was written. */
  readonly best: SearchCandidate
  /** The scores of the recipe as written and of what was found. */
  readonly before: number
  readonly after: number
  /** The recipe that was found, as YAML. */
  readonly recipe: string
  readonly merge: MergeResult
}

/** What a search will try. */
export interface SearchPlan {
  readonly kind: 'grid' | 'cma-es'
  /** Merges that are tried, the recipe as written included. */
  readonly merges: number
  /** Numbers that are searched. */
  readonly numbers: number
  /** Groups of layers that have weights of their own. */
  readonly groups: readonly string[]
}

/** See `searchRecipe` in merge.ts. */
export async function searchRecipe(
  file: string,
  out: string,
  options: SearchRecipeOptions,
): Promise<SearchRecipeResult> {
  const { score, grid, signal, onProgress, evaluations, start, step, densities, groups, seed, ...run } = options
  const recipe = await readRecipe(file)
  const search = await openSearch(recipe, options)
  await checkOutputFolder(out, run.force)
  const { mergeRecipe } = await import('../merge.ts')
  const trial = join(dirname(resolve(out)), `.${basename(resolve(out))}.search`)
  const merging = { ...run, ...(signal ? { signal } : {}), seed: seed ?? 0 }
  const tried: (SearchCandidate & { text: string })[] = []
  const value = async (text: string, settings?: Readonly<Record<string, Scalar>>): Promise<number> => {
    throwIfAborted(signal)
    await mergeRecipe(parseRecipe(text, recipe.file), trial, { ...merging, force: true })
    const found = await score(trial)
    if (!Number.isFinite(found))
      throw new InputError('NOT_FINITE', `Expected a finite score, received ${found}`, { where: { key: 'score' } })
    tried.push({ ...(settings ? { settings } : {}), score: found, text })
    const best = Math.max(...tried.map((candidate) => candidate.score))
    onProgress?.({ step: 'search', done: tried.length, total: search.plan.merges, unit: 'merges', metrics: { best } })
    return found
  }
  try {
    const before = await value(recipe.text, {})
    if (search.kind === 'grid') for (const settings of search.points) await value(search.textOf(settings), settings)
    else {
      const { mean } = await maximize((point) => value(search.textOf(point)).catch(worst), search.settings)
      await value(search.textOf(mean))
      // A single sample may be lucky on these texts: the mean of what the search ends with is taken, or else the recipe as written.
      tried.splice(1, tried.length - 2)
    }
    const first = tried.reduce((a, b, i) => (b.score > tried[a]!.score ? i : a), 0)
    const { text, score: after } = tried[first]!
    const candidates = tried.map(({ text: _, ...candidate }) => candidate)
    const merge = await mergeRecipe(parseRecipe(text, recipe.file), out, {
      ...merging,
      ...(onProgress ? { onProgress } : {}),
      record: { ...run.record, search: { ...search.plan, before, after, written: recipe.text } },
    })
    return { candidates, best: candidates[first]!, before, after, recipe: text, merge }
  } finally {
    await rm(trial, { recursive: true, force: true })
  }
}

/** Sampled values that do not go together, such as weights that sum to zero, are worth nothing; other faults stop the search. */
function worst(error: unknown): number {
  if (error instanceof InputError && error.code === 'METHOD_OPTION') return Number.NEGATIVE_INFINITY
  throw error
}

/** See `planSearch` in merge.ts. */
export async function planSearchOf(file: string, options: SearchSpace & MergeRunOptions): Promise<SearchPlan> {
  return (await openSearch(await readRecipe(file), options)).plan
}

type Search =
  | {
      kind: 'grid'
      plan: SearchPlan
      points: readonly Readonly<Record<string, Scalar>>[]
      textOf: (settings: Readonly<Record<string, Scalar>>) => string
    }
  | {
      kind: 'cma-es'
      plan: SearchPlan
      settings: SepCmaEsOptions
      textOf: (point: Float64Array) => string
    }

const openSearch = (recipe: Recipe, options: SearchSpace & MergeRunOptions): Promise<Search> =>
  options.grid === undefined ? openWeightSearch(recipe, options) : openGrid(recipe, options.grid, options)

/** Checks every value and plans every merge, so that faults come before the first one. */
async function openGrid(
  recipe: Recipe,
  grid: Readonly<Record<string, readonly Scalar[]>>,
  options: MergeRunOptions,
): Promise<Search> {
  const { definition } = findMergeMethod(recipe.method, recipe.methodPlace)
  for (const [key, values] of Object.entries(grid)) {
    if (values.length === 0)
      throw new InputError('OPTION_VALUE', `Expected values of ${key} to try, received none`, { where: { key } })
    for (const value of values) checkSetting(definition, key, value, { key })
    refuseOwn(recipe, key)
  }
  const points = combinations(Object.entries(grid))
  const textOf = (settings: Readonly<Record<string, Scalar>>) => withParameters(recipe.text, settings)
  const { planRecipe } = await import('../merge.ts')
  for (const settings of points) await planRecipe(parseRecipe(textOf(settings), recipe.file), options)
  const plan: SearchPlan = {
    kind: 'grid',
    merges: points.length + 1,
    numbers: Object.keys(grid).length,
    groups: [],
  }
  return { kind: 'grid', plan, points, textOf }
}

/** A value that a model, slice or module sets for itself would hide those of the grid. */
function refuseOwn(recipe: Recipe, key: string): void {
  for (const module of recipe.modules)
    for (const part of [module, ...module.slices, ...module.slices.flatMap(({ sources }) => sources)]) {
      const own = part.settings.get(key)
      if (own)
        throw new InputError('RECIPE', `${snakeCase(key)} is searched for the whole recipe, but is set here`, {
          where: own.place,
          help: 'take it out here, or do not search it',
        })
    }
}

function combinations(entries: readonly [string, readonly Scalar[]][]): Record<string, Scalar>[] {
  return entries.reduce<Record<string, Scalar>[]>(
    (points, [key, values]) => points.flatMap((point) => values.map((value) => ({ ...point, [key]: value }))),
    [{}],
  )
}

/** Where densities start from: what TIES keeps without choosing. */
const firstDensity = 0.2

async function openWeightSearch(recipe: Recipe, options: SearchSpace & MergeRunOptions): Promise<Search> {
  const { evaluations, start, step, densities, groups, seed } = unconstrainedMerge(searchSettings(options))
  const { definition } = findMergeMethod(recipe.method, recipe.methodPlace)
  const keys = ['weight', ...(densities ? ['density'] : [])]
  for (const key of keys)
    if (definition.options[key]?.scope !== 'model')
      throw new InputError('METHOD_OPTION', `Method ${recipe.method.replaceAll('-', '_')} has no ${key} to search`, {
        where: recipe.methodPlace,
        help: 'search values of its options instead: a grid',
      })
  const models = listedModels(recipe.text)
  if (!models)
    throw new InputError('RECIPE', 'Weights can be searched where whole models are listed under "models"', {
      where: recipe.methodPlace,
      help: 'search values of options instead: a grid',
    })
  const { planRecipe } = await import('../merge.ts')
  const { tensors } = await planRecipe(recipe, options)
  const names = bareNames(tensors.flatMap(({ action, name }) => (action === 'merge' ? [name] : [])))
  const groupOf = groups === 'model' ? () => 'all' : layerGroup
  const found = [...new Set(names.map(groupOf))]
  // A base that stands among the models takes no part in differences from it.
  const base = definition.base === 'required' || definition.base === 'optional' ? recipe.base : undefined
  const searched = models.map((_, i) => i).filter((i) => !sameModel(parseModelRef(models[i]!), base))
  const size = found.length * searched.length
  const first = new Float64Array(keys.length * size).fill(start)
  first.fill(firstDensity, size)
  const valuesOf = (point: Float64Array, offset: number, model: number) => {
    const values = found.map((_, g) => point[offset + g * searched.length + model]!)
    const within = offset === 0 ? values : values.map((x) => Math.min(1, Math.max(0.01, x)))
    return groups === 'model'
      ? within[0]!
      : groupConditions(names, groupOf, new Map(found.map((name, g) => [name, within[g]!])))
  }
  const textOf = (point: Float64Array) => {
    const perModel: Record<string, ReturnType<typeof valuesOf>>[] = models.map(() => ({}))
    for (const [place, model] of searched.entries())
      for (const [k, key] of keys.entries()) perModel[model]![key] = valuesOf(point, k * size, place)
    return withParameters(recipe.text, {}, perModel)
  }
  const population = 4 + Math.floor(3 * Math.log(first.length))
  if (evaluations < population)
    throw new InputError('OPTION_RANGE', `Expected at least ${population} evaluations, received ${evaluations}`, {
      where: { key: 'evaluations' },
      help: `${population} merges are tried before anything is learned of ${first.length} numbers`,
    })
  const merges = 2 + population * Math.floor(evaluations / population)
  return {
    kind: 'cma-es',
    plan: { kind: 'cma-es', merges, numbers: first.length, groups: found },
    settings: { start: first, step, evaluations, population, seed },
    textOf,
  }
}

const searchSettings = (options: SearchSpace): Partial<SearchSettings> =>
  Object.fromEntries(
    Object.entries(options).filter(([key, value]) => key in unconstrainedMerge.schema.entries && value !== undefined),
  )
