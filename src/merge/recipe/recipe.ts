/** A merge recipe as data: which layers of which models are merged by which method, with which settings. */
import type { Place } from '../../util/errors.ts'
import type { Scalar, Setting } from '../settings.ts'
import type { ModelRef } from './model-ref.ts'

/** Settings by option name (camelCase), each with the place where it was written. */
export type Settings = ReadonlyMap<string, { readonly setting: Setting<Scalar>; readonly place: Place }>

export interface RecipeSource {
  readonly model: ModelRef
  /** First layer and the one after the last; all layers if absent. */
  readonly layers?: readonly [number, number]
  readonly settings: Settings
  readonly place: Place
}

/** Consecutive output layers, merged from equally many layers of each source. */
export interface RecipeSlice {
  readonly sources: readonly RecipeSource[]
  /** Overrides the recipe's base. */
  readonly base?: ModelRef
  readonly settings: Settings
  readonly place: Place
}

/** One stack of layers of the output; `name` is the prefix of its tensors, absent for the only stack. */
export interface RecipeModule {
  readonly name?: string
  readonly slices: readonly RecipeSlice[]
  readonly settings: Settings
  readonly place: Place
}

/** Where the embedding of a token comes from. */
export type TokenSource =
  | { readonly kind: 'model'; readonly model: ModelRef }
  | { readonly kind: 'model_token'; readonly model: ModelRef; readonly token: string | number }
  | { readonly kind: 'zero' }

export interface TokenRule {
  readonly source?: TokenSource
  /** Use the source's embedding for all models, also those that have the token. */
  readonly force: boolean
  readonly place: Place
}

export interface TokenizerRule {
  readonly source: 'union' | 'base' | ModelRef
  readonly tokens: ReadonlyMap<string, TokenRule>
  readonly padToMultipleOf?: number
  readonly place: Place
}

/** What happens to classification heads. */
export type HeadRule =
  | { readonly kind: 'merge' }
  | { readonly kind: 'keep-per-task' }
  | { readonly kind: 'merge-by-label-name' }
  | { readonly kind: 'from'; readonly model: ModelRef }

/** What happens to a tensor that some model lacks: stop, take the base's for that model, or merge the models that have it. */
export type MissingRule = 'error' | 'base' | 'available'

/** Element types a recipe may ask for. */
export type RecipeDtype = 'F64' | 'F32' | 'F16' | 'BF16'

export interface Recipe {
  readonly file: string
  /** The method's name in kebab-case. */
  readonly method: string
  readonly methodPlace: Place
  readonly base?: ModelRef
  readonly basePlace?: Place
  readonly modules: readonly RecipeModule[]
  readonly settings: Settings
  readonly dtype?: RecipeDtype
  readonly outDtype?: RecipeDtype
  readonly tokenizer?: TokenizerRule
  readonly chatTemplate?: string
  readonly head?: HeadRule
  readonly missing: MissingRule
  /** How adapters become one, where all models are adapters. */
  readonly adapter?: { readonly combine?: 'cat' | 'svd' | 'factors'; readonly rank?: number }
  /** The recipe as written, for the output's record. */
  readonly text: string
}

/** Every model that a recipe names, each once, in order of first mention; the base first. */
export function recipeModels(recipe: Recipe): ModelRef[] {
  const found = new Map<string, ModelRef>()
  const add = (ref: ModelRef | undefined) => {
    if (ref) found.set(`${ref.model}+${ref.lora ?? ''}`, found.get(`${ref.model}+${ref.lora ?? ''}`) ?? ref)
  }
  add(recipe.base)
  for (const module of recipe.modules)
    for (const slice of module.slices) {
      add(slice.base)
      for (const source of slice.sources) add(source.model)
    }
  return [...found.values()]
}
