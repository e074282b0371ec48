/** Recipes whose method looks at data: the same YAML as for any merge, with whole models and plain values as parameters. */
import { stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { InputError } from '../../util/errors.ts'
import { nearest } from '../../util/suggest.ts'
import { mergeMethods } from '../plan/find-method.ts'
import { formatModelRef, type ModelRef } from '../recipe/model-ref.ts'
import { readRecipe } from '../recipe/read-recipe.ts'
import type { Recipe } from '../recipe/recipe.ts'
import type { DataMergeMethod } from './data-merge-method.ts'
import * as methods from './methods/index.ts'

export interface DataRecipe {
  readonly file: string
  readonly models: readonly string[]
  /** The name of each model's task: that of its folder. */
  readonly tasks: readonly string[]
  readonly base?: string
  readonly method: DataMergeMethod
}

/**
 * Reads a recipe for `mergeWithData`.
 * @throws InputError `METHOD_UNKNOWN`, `METHOD_OPTION`, `RECIPE`, and those of reading recipes.
 * @example
 * const { models, tasks, method } = await readDataRecipe('regmean.yml')
 */
export async function readDataRecipe(file: string): Promise<DataRecipe> {
  const recipe = await readRecipe(file)
  const method = methodOf(recipe)
  const [module, ...others] = recipe.modules
  const [slice, ...more] = module?.slices ?? []
  const layered = slice?.sources.find(({ layers }) => layers !== undefined)
  if (!slice || others.length > 0 || more.length > 0 || layered)
    throw fault(recipe, 'Methods with data merge whole models', 'list them under "models"')
  const origin = slice.base ?? recipe.base
  const sources = slice.sources.filter(({ model }) => !origin || formatModelRef(model) !== formatModelRef(origin))
  const settled = sources.find(({ settings }) => settings.size > 0)
  if (settled || slice.settings.size > 0 || module!.settings.size > 0)
    throw new InputError('RECIPE', `Method ${recipe.method} has no parameters of single models`, {
      where: settled?.place ?? slice.place,
      help: 'set them under the recipe\'s own "parameters"',
    })
  const models = await Promise.all(sources.map(({ model }) => locate(model, recipe)))
  const tasks = models.map((folder) => basename(folder))
  const twice = tasks.findIndex((task, i) => tasks.indexOf(task) !== i)
  if (twice >= 0)
    throw new InputError('RECIPE', `Two models are named "${tasks[twice]}", and so would be the files of their rows`, {
      where: sources[twice]!.place,
      help: 'give their folders different names',
    })
  return { file, models, tasks, ...(origin ? { base: await locate(origin, recipe) } : {}), method }
}

function fault(recipe: Recipe, message: string, help: string): InputError {
  return new InputError('RECIPE', message, { where: recipe.methodPlace, help })
}

const snakeCase = (name: string): string => name.replaceAll('-', '_')

function methodOf(recipe: Recipe): DataMergeMethod {
  const all = Object.values(methods) as unknown as (((options: object) => DataMergeMethod) & {
    info: { name: string }
  })[]
  const factory = all.find(({ info }) => info.name === recipe.method)
  if (!factory) {
    if (mergeMethods.some(({ info }) => info.name === recipe.method))
      throw fault(recipe, `Method ${snakeCase(recipe.method)} looks at no data`, 'leave the data out')
    const names = all.map(({ info }) => snakeCase(info.name))
    const guess = nearest(snakeCase(recipe.method), names)
    throw new InputError('METHOD_UNKNOWN', `There is no merge method with data "${snakeCase(recipe.method)}"`, {
      where: recipe.methodPlace,
      help: guess === undefined ? `methods: ${names.join(', ')}` : `did you mean "${guess}"?`,
      data: { known: names },
    })
  }
  const options: Record<string, unknown> = {}
  for (const [key, { setting, place }] of recipe.settings) {
    if (typeof setting === 'object')
      throw new InputError('RECIPE', `Expected one value of ${key}, received several`, {
        where: place,
        help: 'methods with data take no values by layer or tensor',
      })
    options[key] = setting
  }
  return factory(options)
}

/** A path as given, or beside the recipe; anything else is left to whoever opens it. */
async function locate(ref: ModelRef, { file }: Recipe): Promise<string> {
  if (ref.lora !== undefined)
    throw new InputError('RECIPE', 'Methods with data take no adapters', {
      where: { file },
      help: 'merge the adapter into its model first',
    })
  for (const path of isAbsolute(ref.model) ? [ref.model] : [ref.model, join(dirname(file), ref.model)])
    if (await stat(path).catch(() => undefined)) return path
  return ref.model
}
