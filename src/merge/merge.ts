/** The merge verb: several checkpoints into one, by a recipe file or by a call. */
import { join } from 'node:path'
import { InputError } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import type { AdapterToMerge, MergeAdaptersOptions, MergeAdaptersResult } from './adapters/merge-adapters.ts'
import type { RunMergeOptions } from './engine/run-merge.ts'
import type { MergeExpertsOptions, MergeExpertsResult } from './experts/merge-experts.ts'
import type { ExpertsPlan, PlanExpertsOptions } from './experts/plan-experts.ts'
import type { MergeMethod } from './merge-method.ts'
import type { PermutePlan } from './permute/matchable.ts'
import type { PermuteOptions, PermuteResult } from './permute/pleas.ts'
import type { MergePlan } from './plan/merge-plan.ts'
import { type ModelRef, parseModelRef } from './recipe/model-ref.ts'
import type { HeadRule, MissingRule, Recipe, RecipeDtype, RecipeSource } from './recipe/recipe.ts'
import type { SearchPlan, SearchRecipeOptions, SearchRecipeResult, SearchSpace } from './search/search-recipe.ts'
import type { SearchMergeOptions, SearchMergeResult } from './search/unconstrained-merge.ts'
import type { Scalar, Setting } from './settings.ts'
import type { MaterializedTask, MaterializeOptions } from './tasks/materialize.ts'
import type { MergedTask } from './tasks/task-index.ts'

export interface MergeRunOptions extends RunMergeOptions {
  /** Threads at most (default: the machine's cores). */
  threads?: number
  /** Bytes of memory to stay under; fewer threads and shorter blocks are used. */
  maxMemory?: number
  /** Compute as mergekit 0.1.5 does, rounding at every step, to compare with it; only its methods. */
  strictMergekit?: boolean
}

export interface MergeResult {
  readonly folder: string
  readonly plan: MergePlan
  readonly bytes: number
  readonly resumed: number
  readonly seconds: number
}

/** A model to merge: a reference, or one with settings of its own, such as `{ model: 'a', weight: 0.3 }`. */
export type ModelToMerge = string | ({ model: string } & Readonly<Record<string, Setting<Scalar>>>)

export interface MergeOptions extends MergeRunOptions {
  /** The model that differences are taken from. */
  base?: string
  method: MergeMethod
  /** The folder to write. */
  out: string
  /** Element type of the output (default: that of the models). */
  dtype?: RecipeDtype
  head?: HeadRule
  missing?: MissingRule
}

/**
 * Merges checkpoints of one architecture into a new one.
 *
 * Results do not depend on threads. An unfinished merge stands in a hidden folder beside `out`; `resume: true` continues it.
 * @throws InputError `MERGE_CONFLICT` and those of reading models and options; RunError `ENOSPC`, `VERIFY_FAILED`, `OVERFLOW`, ...
 * @example
 * await merge(['a', 'b', 'c'], { base: 'base', method: ties({ density: 0.2 }), out: 'merged' })
 */
export async function merge(models: readonly ModelToMerge[], options: MergeOptions): Promise<MergeResult> {
  return mergeByRecipe(recipeFor(models, options), options.out, options, options.method)
}

/** Plans the same merge as `merge` without reading weights. */
export async function planMerge(
  models: readonly ModelToMerge[],
  options: Omit<MergeOptions, 'out'>,
): Promise<MergePlan> {
  const { prepareMerge } = await planner()
  const { plan } = await prepareMerge(recipeFor(models, options), options)
  return plan
}

/**
 * Merges by a recipe file (mergekit's YAML).
 * @example
 * await mergeRecipe('recipe.yml', 'merged', { seed: 1 })
 */
export async function mergeRecipe(
  recipe: string | Recipe,
  out: string,
  options: MergeRunOptions = {},
): Promise<MergeResult> {
  return mergeByRecipe(await recipeOf(recipe), out, options)
}

/** Plans a recipe without reading weights. */
export async function planRecipe(recipe: string | Recipe, options: MergeRunOptions = {}): Promise<MergePlan> {
  const { prepareMerge } = await planner()
  const { plan } = await prepareMerge(await recipeOf(recipe), options)
  return plan
}

/**
 * Writes one task's checkpoint from a folder that a method with per-task outputs merged (`emr`, `tall_mask`, `bitdelta`, `twin_merging`).
 * The same folder and base give the same bytes.
 *
 * @param folder the merged folder.
 * @param task a name from its `tasks` folder.
 * @param out the folder to write.
 * @throws InputError `TASK_NONE`, `TASK_UNKNOWN`, `TASK_FORMAT` for damaged files, `TASK_BASE` if the base is missing or another one,
 * and those of reading checkpoints.
 * @example
 * await merge(['news', 'reviews'], { base: 'base', method: emr(), out: 'merged' })
 * await materializeTask('merged', 'news', 'merged-news')
 */
export async function materializeTask(
  folder: string,
  task: string,
  out: string,
  options: MaterializeOptions = {},
): Promise<MaterializedTask> {
  const { writeTask } = await import('./tasks/materialize.ts')
  return writeTask(folder, task, out, options)
}

/**
 * The tasks of a folder that a method with per-task outputs merged.
 * @throws InputError `TASK_NONE`, `TASK_FORMAT`.
 * @example
 * for (const { name, model } of await mergedTasks('merged')) console.log(name, model)
 */
export async function mergedTasks(folder: string): Promise<readonly MergedTask[]> {
  const { readTaskIndex } = await import('./tasks/task-index.ts')
  return (await readTaskIndex(folder)).tasks
}

/**
 * Merges the experts of every layer of a Mixtral-like checkpoint into fewer. The result is a checkpoint of the same architecture whose config
 * says the new number, the same for all layers; the router has one row for each group, the mean of its members' by usage. Shared experts and all
 * else stay.
 *
 * @param folder the checkpoint.
 * @throws InputError `EXPERTS_NONE`, `EXPERTS_SHAPE`, `OPTION_RANGE`, `EXPERTS_STATISTICS`, and those of reading checkpoints.
 * @example
 * const { groups } = await mergeExperts('mixtral', { experts: 4, method: mSmoe(), out: 'smaller' })
 */
export async function mergeExperts(folder: string, options: MergeExpertsOptions): Promise<MergeExpertsResult> {
  const { reduceExperts } = await import('./experts/merge-experts.ts')
  return reduceExperts(folder, options)
}

/**
 * What `mergeExperts` would do, from headers only.
 * @throws InputError as `mergeExperts` does, before weights are read.
 * @example
 * const { experts, writeBytes } = await planMergeExperts('mixtral', { experts: 4 })
 */
export async function planMergeExperts(folder: string, options: PlanExpertsOptions): Promise<ExpertsPlan> {
  const { planExperts } = await import('./experts/plan-experts.ts')
  return planExperts(folder, options)
}

/**
 * Writes an encoder with its units in the order in which they match those of another, by assignment on their weights: the residual stream,
 * heads with the dimensions inside them, neurons. What it calculates stays the same; merged with the reference it loses less than as it was.
 *
 * @param folder an encoder of the BERT, RoBERTa or DistilBERT family.
 * @throws InputError `PERMUTE_SHAPE` for another architecture, size or vocabulary, and those of reading checkpoints.
 * @example
 * await permuteToMatch('b', { reference: 'a', out: 'b-matched' })
 * await merge(['a', 'b-matched'], { method: linear(), out: 'merged' })
 */
export async function permuteToMatch(folder: string, options: PermuteOptions): Promise<PermuteResult> {
  const { writePermuted } = await import('./permute/pleas.ts')
  return writePermuted(folder, options)
}

/**
 * What `permuteToMatch` would do, from headers only.
 * @throws InputError as `permuteToMatch` does, before weights are read.
 * @example
 * const { units } = await planPermute('b', { reference: 'a' })
 */
export async function planPermute(folder: string, options: RunOptions & { reference: string }): Promise<PermutePlan> {
  const { planPermuted } = await import('./permute/matchable.ts')
  return planPermuted(folder, options)
}

/**
 * Merges LoRA adapters of one base into one adapter, a folder in PEFT's layout. A weighted sum (`linear`, `task_arithmetic`) is exact: factors stand side
 * by side and ranks add up. Other methods work on the updates, and the result is brought to one rank by singular value decomposition; or, with
 * `combine: 'factors'`, on all A and all B, as PEFT's `linear`, `ties` and `dare` do. Tensors that adapters replace as a whole are averaged.
 *
 * @param adapters folders of adapters, or `{ adapter, weight, ... }` with settings of their own.
 * @throws InputError `ADAPTER_MERGE` for adapters that do not fit each other, those of reading adapters, `METHOD_OPTION`.
 * @example
 * await mergeAdapters([{ adapter: 'news', weight: 0.7 }, { adapter: 'reviews', weight: 0.3 }], { method: linear(), out: 'both' })
 * await mergeAdapters(['news', 'reviews'], { method: ties({ density: 0.2 }), rank: 16, out: 'both' })
 */
export async function mergeAdapters(
  adapters: readonly AdapterToMerge[],
  options: MergeAdaptersOptions,
): Promise<MergeAdaptersResult> {
  const { writeMergedAdapter } = await import('./adapters/merge-adapters.ts')
  return writeMergedAdapter(adapters, options)
}

/**
 * Merges adapters by a recipe file whose models are all adapters; its key `adapter` holds `combine` and `rank`.
 * @example
 * await mergeAdapterRecipe('adapters.yml', 'both')
 */
export async function mergeAdapterRecipe(
  recipe: string | Recipe,
  out: string,
  options: Omit<MergeAdaptersOptions, 'method' | 'out' | 'combine' | 'rank' | 'base'> = {},
): Promise<MergeAdaptersResult> {
  const { adapterMerge } = await import('./adapters/adapter-recipe.ts')
  const read = await recipeOf(recipe)
  const { adapters, ...given } = await adapterMerge(read)
  return mergeAdapters(adapters, { ...options, ...given, out, record: { recipe: read.text, ...options.record } })
}

/**
 * Searches the weights of models in each group of layers by separable CMA-ES, and gives the mean of what it ends with: the best of many noisy
 * scores would be fitted to the validation texts. Weights may become negative. A score that holds a small share of the loss beside the accuracy
 * (accuracy - 0.05 loss) has no plateaus.
 *
 * @throws InputError `MERGE_INPUT` for weights that do not fit each other, `NOT_FINITE` for a score that is no number.
 * @example
 * const { settings } = await searchMerge({ base, models: [a, b], score: async (weights) => accuracyOf(weights) })
 * await merge([{ model: 'a', ...settings[0] }, { model: 'b', ...settings[1] }], { base: 'base', method: taskArithmetic(), out: 'merged' })
 */
export async function searchMerge(options: SearchMergeOptions): Promise<SearchMergeResult> {
  const search = await import('./search/unconstrained-merge.ts')
  return search.searchMerge(options)
}

/**
 * Searches the coefficients of a recipe by what its merges score, and writes the best merge: of all combinations of the values in `grid`, or, without
 * one, of weights for every model in each group of layers by separable CMA-ES. The recipe as written is tried first and kept if nothing is better.
 *
 * @param recipe a recipe file (mergekit's YAML); for a search of weights it lists whole `models`.
 * @param out the folder to write.
 * @throws InputError `METHOD_OPTION`, `OPTION_VALUE`, `RECIPE`, `NOT_FINITE` for a score that is no number, and those of `mergeRecipe`.
 * @example
 * const { recipe, after } = await searchRecipe('recipe.yml', 'merged', {
 *   grid: { lambda: [0.3, 0.5, 1], density: [0.1, 0.2] },
 *   score: (folder) => accuracyOnValidation(folder),
 * })
 */
export async function searchRecipe(
  recipe: string,
  out: string,
  options: SearchRecipeOptions,
): Promise<SearchRecipeResult> {
  const search = await import('./search/search-recipe.ts')
  return search.searchRecipe(recipe, out, options)
}

/**
 * What `searchRecipe` would try. Every value of a grid is checked and its merge planned, from headers only.
 * @example
 * const { merges } = await planSearch('recipe.yml', { grid: { lambda: [0.3, 0.5, 1] } })
 */
export async function planSearch(recipe: string, options: SearchSpace & MergeRunOptions): Promise<SearchPlan> {
  const search = await import('./search/search-recipe.ts')
  return search.planSearchOf(recipe, options)
}

/** The engine is loaded when a merge is planned or run, so that importing the package stays quick. */
const planner = () => import('./plan/build-plan.ts')

/** The recipe itself; the YAML reader is loaded for files only. */
async function recipeOf(recipe: string | Recipe): Promise<Recipe> {
  return typeof recipe === 'string' ? (await import('./recipe/read-recipe.ts')).readRecipe(recipe) : recipe
}

async function mergeByRecipe(
  recipe: Recipe,
  out: string,
  options: MergeRunOptions,
  given?: MergeMethod,
): Promise<MergeResult> {
  const start = performance.now()
  const { assertRunnable, prepareMerge } = await planner()
  const { plan, method, files } = await prepareMerge(recipe, { ...options, ...(given ? { method: given } : {}) })
  assertRunnable(plan)
  const { runMerge } = await import('./engine/run-merge.ts')
  const result = await runMerge(plan, method, out, {
    ...options,
    files: { ...files, ...options.files },
    record: { recipe: recipe.text, ...options.record },
  })
  return { ...result, plan, seconds: (performance.now() - start) / 1000 }
}

/** A call as a recipe. */
function recipeFor(models: readonly ModelToMerge[], options: Omit<MergeOptions, 'out'>): Recipe {
  const ref = (text: string): ModelRef => {
    const parsed = parseModelRef(text)
    if (parsed) return parsed
    throw new InputError('MERGE_INPUT', `Expected a model: MODEL, MODEL@REVISION or MODEL+LORA, received "${text}"`)
  }
  if (models.length === 0)
    throw new InputError('MERGE_INPUT', 'Expected at least one model, received none', {
      help: 'name the models to merge',
    })
  const { method, base, dtype, head, missing = 'error' } = options
  const sources = models.map((entry): RecipeSource => {
    const { model, ...settings } = typeof entry === 'string' ? { model: entry } : entry
    const place = { key: model }
    return {
      model: ref(model),
      settings: new Map(
        Object.entries(settings as Record<string, Setting<Scalar>>).map(([key, setting]) => [
          key,
          { setting, place: { key: `${model} › ${key}` } },
        ]),
      ),
      place,
    }
  })
  const place = { key: 'models' }
  return {
    file: join(process.cwd(), 'merge()'),
    text: JSON.stringify({ models, method: method.name, settings: method.settings, base, dtype }),
    method: method.name,
    methodPlace: { key: 'method' },
    ...(base === undefined ? {} : { base: ref(base) }),
    modules: [{ slices: [{ sources, settings: new Map(), place }], settings: new Map(), place }],
    settings: new Map(),
    ...(dtype === undefined ? {} : { outDtype: dtype }),
    ...(head === undefined ? {} : { head }),
    missing,
  }
}
