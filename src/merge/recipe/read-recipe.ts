/** Reads a recipe file: YAML to a `Recipe`, with every fault named by line and column before any model is looked at. */
import { readFile } from 'node:fs/promises'
import * as v from 'valibot'
import { InputError, type Place, systemError } from '../../util/errors.ts'
import { decodeUtf8 } from '../../util/json.ts'
import { nearest } from '../../util/suggest.ts'
import { type ModelRef, parseModelRef } from './model-ref.ts'
import type {
  HeadRule,
  Recipe,
  RecipeDtype,
  RecipeModule,
  RecipeSlice,
  RecipeSource,
  Settings,
  TokenizerRule,
  TokenSource,
} from './recipe.ts'
import { type ModuleFile, type RecipeFile, recipeSchema } from './recipe-schema.ts'
import { formatPath, issuePath, type Path, parseYaml, type YamlDocument } from './yaml-document.ts'

/**
 * Reads and checks a recipe.
 * @throws InputError `YAML_MALFORMED` or `RECIPE`, with line and column.
 */
export async function readRecipe(file: string): Promise<Recipe> {
  const bytes = await readFile(file).catch((error: unknown) => {
    throw systemError(error) ?? error
  })
  return parseRecipe(decodeUtf8(bytes, file), file)
}

/** As `readRecipe`, from text; `file` names it in errors. */
export function parseRecipe(text: string, file: string): Recipe {
  const document = parseYaml(text, file)
  if (document.value === null || document.value === undefined)
    throw new InputError('RECIPE', 'The recipe is empty', { where: { file }, help: 'see docs/merging.md for examples' })
  const parsed = v.safeParse(recipeSchema, document.value, { abortPipeEarly: true })
  if (!parsed.success) throw issueError(parsed.issues[0], document)
  return new Reader(document, text).recipe(parsed.output)
}

function issueError(issue: v.BaseIssue<unknown>, document: YamlDocument): InputError {
  const path = issuePath(issue)
  const key = path.length === 0 ? {} : { key: formatPath(path) }
  const item = issue.path?.at(-1)
  if (item?.type === 'object' && item.value === undefined) {
    const slip = nearest(String(item.key), Object.keys(item.input as object))
    return new InputError('RECIPE', `Missing key "${item.key}"`, {
      where: { ...document.place(path.slice(0, -1)), ...key },
      help: slip === undefined ? `add a line "${item.key}: ..."` : `is "${slip}" meant to be "${item.key}"?`,
    })
  }
  const [message, help] = issue.message.split('\0') as [string, string?]
  return new InputError('RECIPE', message, {
    where: { ...document.place(path, help === undefined ? 'value' : 'key'), ...key },
    help: help ?? 'see docs/merging.md for the keys of a recipe',
  })
}

const dtypeNames: Record<string, RecipeDtype> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  fp64: 'F64',
  fp32: 'F32',
  fp16: 'F16',
  bf16: 'BF16',
}

/** `select_topk` to `selectTopk`: recipes use mergekit's names, options ours. */
export const camelCase = (name: string): string => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())

/** Without the keys that the recipe leaves out. */
const adapterRule = ({ combine, rank }: NonNullable<RecipeFile['adapter']>): NonNullable<Recipe['adapter']> => ({
  ...(combine === undefined ? {} : { combine }),
  ...(rank === undefined ? {} : { rank }),
})

class Reader {
  private readonly document: YamlDocument
  private readonly text: string

  constructor(document: YamlDocument, text: string) {
    this.document = document
    this.text = text
  }

  recipe(file: RecipeFile): Recipe {
    const base = this.optionalModel(file.base_model, ['base_model'])
    const tokenizer = this.tokenizer(file)
    const modules = this.modules(file)
    return {
      file: this.document.file,
      text: this.text,
      method: file.merge_method.replaceAll('_', '-'),
      methodPlace: this.place(['merge_method']),
      ...(base === undefined ? {} : { base, basePlace: this.place(['base_model']) }),
      modules,
      settings: this.settings(file.parameters, ['parameters']),
      ...(file.dtype ? { dtype: dtypeNames[file.dtype]! } : {}),
      ...(file.out_dtype ? { outDtype: dtypeNames[file.out_dtype]! } : {}),
      ...(tokenizer ? { tokenizer } : {}),
      ...(file.chat_template ? { chatTemplate: file.chat_template } : {}),
      ...(file.head === undefined ? {} : { head: this.head(file.head) }),
      missing: file.missing,
      ...(file.adapter === undefined ? {} : { adapter: adapterRule(file.adapter) }),
    }
  }

  private modules(file: RecipeFile): RecipeModule[] {
    const given = (['models', 'slices', 'modules'] as const).filter((key) => file[key] !== undefined)
    if (given.length !== 1)
      throw this.fault(
        given.length === 0
          ? 'Expected one of models, slices or modules, received none'
          : `Expected one of models, slices or modules, received ${given.join(' and ')}`,
        given.length === 0 ? [] : [given[1]!],
        'list whole models under "models", or ranges of layers under "slices"',
        'key',
      )
    if (!file.modules) return [this.module(undefined, { models: file.models, slices: file.slices }, [])]
    return Object.entries(file.modules).map(([name, module]) => this.module(name, module, ['modules', name]))
  }

  private module(name: string | undefined, file: ModuleFile, path: Path): RecipeModule {
    if ((file.models === undefined) === (file.slices === undefined))
      throw this.fault(
        'Expected one of models or slices',
        path,
        'a module lists whole models or ranges of layers',
        'key',
      )
    const slices = file.models
      ? [
          {
            sources: file.models.map((entry, i) => this.source(entry, [...path, 'models', i])),
            settings: new Map(),
            place: this.place([...path, 'models']),
          },
        ]
      : file.slices!.map((slice, i) => this.slice(slice, [...path, 'slices', i]))
    return {
      ...(name === undefined ? {} : { name }),
      slices,
      settings: path.length === 0 ? new Map() : this.settings(file.parameters, [...path, 'parameters']),
      place: this.place(path),
    }
  }

  private slice(slice: NonNullable<ModuleFile['slices']>[number], path: Path): RecipeSlice {
    const sources = slice.sources.map((entry, i) => this.source(entry, [...path, 'sources', i]))
    const lengths = sources.map(({ layers }) => layers![1] - layers![0])
    const odd = lengths.findIndex((length) => length !== lengths[0])
    if (odd > 0)
      throw this.fault(
        `Expected all sources of a slice to give the same number of layers, received ${lengths[0]} and ${lengths[odd]}`,
        [...path, 'sources', odd, 'layer_range'],
        'make the ranges equally long',
      )
    const base = this.optionalModel(slice.base_model, [...path, 'base_model'])
    return {
      sources,
      ...(base === undefined ? {} : { base }),
      settings: this.settings(slice.parameters, [...path, 'parameters']),
      place: this.place(path),
    }
  }

  private source(
    entry: { model: string; layer_range?: [number, number] | undefined; parameters?: unknown },
    path: Path,
  ): RecipeSource {
    return {
      model: this.model(entry.model, [...path, 'model']),
      ...(entry.layer_range === undefined ? {} : { layers: entry.layer_range }),
      settings: this.settings(entry.parameters, [...path, 'parameters']),
      place: this.place(path),
    }
  }

  private settings(parameters: unknown, path: Path): Settings {
    const entries = Object.entries((parameters ?? {}) as Record<string, never>)
    return new Map(
      entries.map(([key, setting]) => [camelCase(key), { setting, place: this.place([...path, key], 'key') }]),
    )
  }

  private tokenizer(file: RecipeFile): TokenizerRule | undefined {
    if (file.tokenizer && file.tokenizer_source)
      throw this.fault(
        'Expected tokenizer or tokenizer_source, received both',
        ['tokenizer_source'],
        'tokenizer_source is the older form: write it as tokenizer › source',
        'key',
      )
    const key = file.tokenizer ? 'tokenizer' : 'tokenizer_source'
    const place = this.place([key], 'key')
    if (file.tokenizer_source)
      return { source: this.vocabulary(file.tokenizer_source, [key]), tokens: new Map(), place }
    if (!file.tokenizer) return undefined
    const { source, tokens, pad_to_multiple_of: padToMultipleOf } = file.tokenizer
    const rules = Object.entries(tokens ?? {}).map(([token, rule]) => {
      const path = [key, 'tokens', token]
      const from = rule.source === undefined ? undefined : this.tokenSource(rule.source, [...path, 'source'])
      return [
        token,
        { ...(from === undefined ? {} : { source: from }), force: rule.force, place: this.place(path, 'key') },
      ] as const
    })
    return {
      source: this.vocabulary(source, [key, 'source']),
      tokens: new Map(rules),
      ...(padToMultipleOf ? { padToMultipleOf } : {}),
      place,
    }
  }

  private vocabulary(text: string, path: Path): TokenizerRule['source'] {
    return text === 'union' || text === 'base' ? text : this.model(text, path)
  }

  private tokenSource(
    source: string | { kind: 'zero' } | { kind: 'model_token'; model: string; token?: string; token_id?: number },
    path: Path,
  ): TokenSource {
    if (typeof source === 'string') return { kind: 'model', model: this.model(source, path) }
    if (source.kind === 'zero') return source
    if ((source.token === undefined) === (source.token_id === undefined))
      throw this.fault('Expected either token or token_id', path, 'name the token of the other model once')
    return {
      kind: 'model_token',
      model: this.model(source.model, [...path, 'model']),
      token: (source.token ?? source.token_id)!,
    }
  }

  private head(text: string): HeadRule {
    if (text === 'keep-per-task' || text === 'merge' || text === 'merge-by-label-name') return { kind: text }
    const [, name] = /^from\s+(.+)$/.exec(text) ?? []
    if (name !== undefined) return { kind: 'from', model: this.model(name, ['head']) }
    throw this.fault(
      `Expected keep-per-task, merge, merge-by-label-name or "from MODEL" for head, received "${text}"`,
      ['head'],
      'keep-per-task keeps one head for each model',
    )
  }

  private model(text: string, path: Path): ModelRef {
    const ref = parseModelRef(text)
    if (ref) return ref
    throw this.fault(
      `Expected a model: MODEL, MODEL@REVISION or MODEL+LORA, received "${text}"`,
      path,
      'at most one "+" and one "@" each',
    )
  }

  private optionalModel(text: string | undefined, path: Path): ModelRef | undefined {
    return text === undefined ? undefined : this.model(text, path)
  }

  private place(path: Path, of: 'key' | 'value' = 'value'): Place {
    return { ...this.document.place(path, of), ...(path.length === 0 ? {} : { key: formatPath(path) }) }
  }

  private fault(message: string, path: Path, help: string, of: 'key' | 'value' = 'value'): InputError {
    return new InputError('RECIPE', message, { where: this.place(path, of), help })
  }
}
