/** A merged folder's record as a recipe that can be done again: its models are found where they lie now, and one of them may be left out. */
import { stat } from 'node:fs/promises'
import { isAbsolute, join, resolve } from 'node:path'
import { type ModelRef, parseModelRef } from '../../merge/recipe/model-ref.ts'
import { parseRecipe } from '../../merge/recipe/read-recipe.ts'
import type { Recipe, RecipeSlice } from '../../merge/recipe/recipe.ts'
import { InputError } from '../../util/errors.ts'
import type { MergeMap } from './api.ts'

/** A model that was merged. */
export interface MergeSource {
  /** As the recipe names it. */
  label: string
  /** The short name by which heads are kept. */
  key: string
  folder: string
  base: boolean
  found: boolean
}

/** The models of a merge, looked for where the record says, seen from each of `places`. */
export async function mergeSources(record: Record<string, unknown>, places: readonly string[]): Promise<MergeSource[]> {
  const inputs = Array.isArray(record['inputs']) ? record['inputs'] : []
  return Promise.all(
    inputs.flatMap((input: unknown) => {
      const { label, key, folder, base } = (input ?? {}) as Record<string, unknown>
      if (typeof label !== 'string' || typeof folder !== 'string') return []
      return [
        (async (): Promise<MergeSource> => {
          const candidates = isAbsolute(folder) ? [folder] : places.map((place) => resolve(place, folder))
          for (const candidate of candidates)
            if (await stat(join(candidate, 'config.json')).catch(() => undefined))
              return { label, key: String(key ?? label), folder: candidate, base: base === true, found: true }
          return { label, key: String(key ?? label), folder, base: base === true, found: false }
        })(),
      ]
    }),
  )
}

/**
 * The recipe of a merged folder, its models named by the folders where they lie.
 * @throws InputError `STUDIO_MERGE` if the record holds none, or a model is not there any more.
 */
export function recipeOf(record: Record<string, unknown>, sources: readonly MergeSource[]): Recipe {
  const refuse = (message: string): never => {
    throw new InputError('STUDIO_MERGE', message, {
      help: 'the merge cannot be done again: keep its models where they were, and merge again with this version',
    })
  }
  const text = record['recipe']
  if (typeof text !== 'string') refuse('The record of the merge holds no recipe')
  if (sources.length === 0) refuse('The record of the merge names no models')
  const missing = sources.filter(({ found }) => !found)
  if (missing.length > 0)
    refuse(`Models of the merge are not there any more: ${missing.map(({ folder }) => folder).join(', ')}`)
  const parsed = (text as string).trimStart().startsWith('{"models"')
    ? callRecipe(text as string)
    : parseRecipe(text as string, 'recipe in espalier.json')
  const places = new Map(sources.map(({ label, folder }) => [label, folder]))
  const place = (ref: ModelRef): ModelRef => ({ ...ref, model: places.get(ref.model) ?? ref.model })
  return mapModels(parsed, place)
}

/** A call of `merge()`, as it is recorded, as a recipe in the form of the files. */
function callRecipe(text: string): Recipe {
  const { models, method, settings, base, dtype } = JSON.parse(text) as {
    models: (string | { model: string })[]
    method: string
    settings?: Record<string, unknown>
    base?: string
    dtype?: string
  }
  const snake = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  const parameters = (values: object) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [snake(name), value]))
  const file = {
    merge_method: method.replaceAll('-', '_'),
    models: models.map((entry) => {
      const { model, ...own } = typeof entry === 'string' ? { model: entry } : entry
      return { model, parameters: parameters(own) }
    }),
    ...(base === undefined ? {} : { base_model: base }),
    parameters: parameters(settings ?? {}),
    ...(dtype === undefined ? {} : { dtype }),
  }
  return parseRecipe(JSON.stringify(file), 'recipe in espalier.json')
}

function mapModels(recipe: Recipe, place: (ref: ModelRef) => ModelRef): Recipe {
  const ofSlice = (slice: RecipeSlice): RecipeSlice => ({
    ...slice,
    ...(slice.base === undefined ? {} : { base: place(slice.base) }),
    sources: slice.sources.map((source) => ({ ...source, model: place(source.model) })),
  })
  const { base, head } = recipe
  return {
    ...recipe,
    ...(base === undefined ? {} : { base: place(base) }),
    ...(head?.kind === 'from' ? { head: { kind: 'from', model: place(head.model) } } : {}),
    modules: recipe.modules.map((module) => ({ ...module, slices: module.slices.map(ofSlice) })),
  }
}

/** The same recipe without the model of a folder. Throws InputError `STUDIO_MERGE` if nothing would be left. */
export function withoutModel(recipe: Recipe, folder: string): Recipe {
  const left = (slice: RecipeSlice): RecipeSlice => {
    const sources = slice.sources.filter(
      ({ model }) => model.model !== folder && parseModelRef(model.model)?.model !== folder,
    )
    if (sources.length === 0)
      throw new InputError('STUDIO_MERGE', 'Without this model nothing is left to merge', {
        help: 'a merge of at least two models beside the base can be taken apart',
      })
    return { ...slice, sources }
  }
  return { ...recipe, modules: recipe.modules.map((module) => ({ ...module, slices: module.slices.map(left) })) }
}

/** Figures of each task before and after merging, where whoever merged wrote them into the record: `tasks: {NAME: {FIGURE: {WHEN: 0.9}}}`. */
export function recordedTasks(record: Record<string, unknown>): MergeMap['tasks'] {
  const entries = (value: unknown): [string, unknown][] =>
    typeof value === 'object' && value !== null ? Object.entries(value) : []
  return entries(record['tasks']).flatMap(([task, figures]) =>
    entries(figures).flatMap(([figure, moments]) => {
      const values = entries(moments).flatMap(([when, value]) =>
        typeof value === 'number' && Number.isFinite(value) ? [{ when, value }] : [],
      )
      return values.length === 0 ? [] : [{ task, figure, values }]
    }),
  )
}
