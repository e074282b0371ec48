/** A recipe's method with its settings checked: unknown names and bad values are faults at their place, known names of other methods are remarks. */
import { InputError } from '../../util/errors.ts'
import { didYouMean } from '../../util/suggest.ts'
import { checkSetting, type MergeMethod } from '../merge-method.ts'
import type { Recipe, Settings } from '../recipe/recipe.ts'
import type { Scalar, Setting } from '../settings.ts'
import { findStrictMethod } from '../strict/index.ts'
import { findMergeMethod, mergeMethods } from './find-method.ts'
import type { Conflict } from './merge-plan.ts'

/** Names that mergekit takes and that mean nothing here. */
const withoutEffect: Record<string, string> = { int8Mask: 'masks are never stored here' }

export const settingTable = (settings: Settings): Readonly<Record<string, Setting<Scalar>>> =>
  Object.fromEntries([...settings].map(([key, { setting }]) => [key, setting]))

/**
 * @param given a method made in code, whose settings are the weakest.
 * @param strict use mergekit's arithmetic.
 * @throws InputError `METHOD_UNKNOWN`, `METHOD_OPTION`, `RECIPE`.
 */
export function recipeMethod(
  recipe: Recipe,
  given?: MergeMethod,
  strict = false,
): { method: MergeMethod; remarks: Conflict[] } {
  const definition = strict
    ? findStrictMethod(given?.name ?? recipe.method, recipe.methodPlace)
    : (given?.definition ?? findMergeMethod(recipe.method, recipe.methodPlace).definition)
  if (strict) for (const [key, setting] of Object.entries(given?.settings ?? {})) checkSetting(definition, key, setting)
  const remarks = new Map<string, Conflict>()
  const check = (settings: Settings) => {
    for (const [key, { setting, place }] of settings) {
      if (Object.hasOwn(definition.options, key)) checkSetting(definition, key, setting, place)
      else if (key in withoutEffect || mergeMethods.some((other) => Object.hasOwn(other.definition.options, key)))
        remarks.set(key, {
          severity: 'note',
          code: 'OPTION_UNUSED',
          message: `${snakeCase(key)} has no effect: ${withoutEffect[key] ?? `${snakeCase(recipe.method)} has no such option`}`,
          where: place,
        })
      else {
        const known = Object.keys(definition.options).map(snakeCase)
        throw new InputError(
          'METHOD_OPTION',
          `Unknown parameter "${snakeCase(key)}" of method ${snakeCase(recipe.method)}`,
          {
            where: place,
            help: didYouMean(
              snakeCase(key),
              known,
              known.length === 0 ? 'it has no parameters' : `it takes: ${known.join(', ')}`,
            ),
          },
        )
      }
    }
  }
  check(recipe.settings)
  for (const module of recipe.modules) {
    check(module.settings)
    for (const slice of module.slices) {
      check(slice.settings)
      for (const source of slice.sources) check(source.settings)
    }
  }
  checkModels(recipe, definition)
  return {
    method: {
      name: definition.info.name,
      settings: { ...given?.settings, ...settingTable(recipe.settings) },
      definition,
    },
    remarks: [...remarks.values()],
  }
}

const snakeCase = (name: string): string =>
  name.replaceAll('-', '_').replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

function checkModels(recipe: Recipe, { info, base, models }: MergeMethod['definition']): void {
  const method = info.name.replaceAll('-', '_')
  for (const module of recipe.modules)
    for (const slice of module.slices) {
      const origin = slice.base ?? recipe.base
      if (base === 'required' && !origin)
        throw new InputError('RECIPE', `Method ${method} needs a base model, the recipe names none`, {
          where: recipe.methodPlace,
          help: 'add a line "base_model: ..."',
        })
      const names = slice.sources.map(({ model }) => `${model.model}+${model.lora ?? ''}`)
      const twice = names.findIndex((name, i) => names.indexOf(name) !== i)
      if (twice >= 0)
        throw new InputError('RECIPE', 'A model stands twice in one list', {
          where: slice.sources[twice]!.place,
          help: 'give it once, with the sum of the weights',
        })
      const others =
        base === 'unused' || base === 'model' || !origin
          ? names
          : names.filter((name) => name !== `${origin.model}+${origin.lora ?? ''}`)
      const { least, most = Number.POSITIVE_INFINITY } = models
      if (others.length < least || others.length > most) {
        const range =
          least === most ? `exactly ${least}` : others.length < least ? `at least ${least}` : `at most ${most}`
        throw new InputError(
          'RECIPE',
          `Method ${method} takes ${range} model${(others.length < least ? least : most) === 1 ? '' : 's'}${base === 'unused' ? '' : ' beside the base'}, received ${others.length}`,
          { where: slice.place, help: `see: espalier systems ${info.name}` },
        )
      }
    }
}
