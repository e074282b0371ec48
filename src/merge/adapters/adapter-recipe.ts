/** Recipes whose models are all adapters: found by their folders, and turned into a merge of adapters. */
import { stat } from 'node:fs/promises'
import { dirname, isAbsolute, join } from 'node:path'
import { InputError } from '../../util/errors.ts'
import { recipeMethod, settingTable } from '../plan/recipe-method.ts'
import { formatModelRef } from '../recipe/model-ref.ts'
import type { Recipe } from '../recipe/recipe.ts'
import type { AdapterToMerge, MergeAdaptersOptions } from './merge-adapters.ts'

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/** The folder of a model that is an adapter and nothing else, as given or beside the recipe. */
async function adapterFolder(model: string, near: string): Promise<string | undefined> {
  for (const folder of isAbsolute(model) ? [model] : [model, join(near, model)])
    if ((await exists(join(folder, 'adapter_config.json'))) && !(await exists(join(folder, 'model.safetensors'))))
      return folder
  return undefined
}

/** Whether a recipe merges adapters as adapters: one of its models is one, without a model to apply it to. */
export async function isAdapterRecipe(recipe: Recipe): Promise<boolean> {
  if (recipe.adapter) return true
  for (const { slices } of recipe.modules)
    for (const { sources } of slices)
      for (const { model } of sources)
        if (model.lora === undefined && (await adapterFolder(model.model, dirname(recipe.file)))) return true
  return false
}

/**
 * A recipe as a merge of adapters.
 * @throws InputError `RECIPE` for models that are no adapters and for slices and modules, `METHOD_UNKNOWN`, `METHOD_OPTION`.
 */
export async function adapterMerge(
  recipe: Recipe,
): Promise<
  { adapters: AdapterToMerge[] } & Pick<MergeAdaptersOptions, 'method'> &
    Partial<Pick<MergeAdaptersOptions, 'base' | 'combine' | 'rank'>>
> {
  const [module, ...others] = recipe.modules
  const [slice, ...more] = module!.slices
  if (others.length > 0 || more.length > 0 || module!.name !== undefined || slice!.sources.some(({ layers }) => layers))
    throw new InputError('RECIPE', 'Adapters are merged whole, without slices or modules', {
      where: module!.place,
      help: 'list the adapters under "models"',
    })
  const adapters: AdapterToMerge[] = []
  for (const { model, settings, place } of slice!.sources) {
    const folder = model.lora === undefined ? await adapterFolder(model.model, dirname(recipe.file)) : undefined
    if (folder === undefined)
      throw new InputError('RECIPE', `Expected an adapter's folder, received "${formatModelRef(model)}"`, {
        where: place,
        help: 'either all models of a recipe are adapters, or none: MODEL+ADAPTER applies one',
      })
    adapters.push({ ...settingTable(settings), adapter: folder })
  }
  // Updates are differences already: a base is asked for by no method.
  const { method } = recipeMethod({ ...recipe, base: recipe.base ?? { model: '' } })
  return {
    adapters,
    method,
    ...(recipe.base ? { base: formatModelRef(recipe.base) } : {}),
    ...(recipe.adapter?.combine ? { combine: recipe.adapter.combine } : {}),
    ...(recipe.adapter?.rank ? { rank: recipe.adapter.rank } : {}),
  }
}
