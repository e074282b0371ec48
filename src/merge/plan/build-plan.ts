/** From a recipe and the models' headers to a plan: nothing but headers is read, and every conflict is found here. */
import { dirname } from 'node:path'
import type { TensorInfo } from '../../checkpoint/safetensors-header.ts'
import { type Dtype, dtypes, tensorBytes } from '../../tensor/dtypes.ts'
import { isMergeDtype, type MergeDtype } from '../../tensor/merge-kernels.ts'
import { InputError } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import type { MergeMethod } from '../merge-method.ts'
import { formatModelRef } from '../recipe/model-ref.ts'
import { type Recipe, recipeModels, type TokenizerRule } from '../recipe/recipe.ts'
import { settleOptions } from '../settle-options.ts'
import type { StrictDefinition } from '../strict/strict-method.ts'
import { chatTemplateFiles } from './chat-template.ts'
import { Conflicts } from './conflicts.ts'
import { estimate, type Limits } from './estimate.ts'
import { planHeads } from './heads.ts'
import { closeInputs, type MergeInput, openInputs } from './merge-inputs.ts'
import type { MergePlan, PlannedTensor } from './merge-plan.ts'
import { type OutputSlot, outputSlots, type SlotInput } from './output-slots.ts'
import { recipeMethod, settingTable } from './recipe-method.ts'
import { sourceOf, storedSource } from './sources.ts'
import { isHead, isInputEmbedding, isOutputEmbedding, isVocabulary } from './tensor-names.ts'
import { planVocabulary, type Vocabulary } from './vocabulary.ts'

export interface PlanOptions extends RunOptions {
  /** A method made in code; without one the recipe's name decides. */
  method?: MergeMethod
  /** Threads at most (default: the machine's cores). */
  threads?: number
  /** Bytes of memory to stay under. */
  maxMemory?: number
  /** Compute as mergekit does, for comparison with it. */
  strictMergekit?: boolean
}

export interface PreparedMerge {
  readonly plan: MergePlan
  readonly method: MergeMethod
  /** Files to write beside the weights: a new tokenizer, a chat template. */
  readonly files: Readonly<Record<string, string>>
}

/**
 * Plans a merge. Conflicts are listed in the plan; faults of the recipe itself are thrown.
 * @throws InputError `RECIPE`, `METHOD_...`, `MODEL_MISSING`, and those of opening a checkpoint.
 */
export async function prepareMerge(recipe: Recipe, options: PlanOptions = {}): Promise<PreparedMerge> {
  const { method, remarks } = recipeMethod(recipe, options.method, options.strictMergekit)
  const inputs = await openInputs(recipeModels(recipe), dirname(recipe.file), options)
  try {
    const conflicts = new Conflicts()
    for (const remark of remarks) conflicts.add(remark)
    const planner = new Planner(recipe, method, inputs, conflicts, options.strictMergekit ?? false)
    if (recipe.tokenizer) await planner.readVocabulary(recipe.tokenizer)
    return { plan: planner.plan(options), method, files: await planner.files() }
  } finally {
    await closeInputs(inputs)
  }
}

class Planner {
  private readonly recipe: Recipe
  private readonly method: MergeMethod
  private readonly inputs: ReadonlyMap<string, MergeInput>
  private readonly conflicts: Conflicts
  private readonly reference: MergeInput
  private readonly base: MergeInput | undefined
  private readonly strict: boolean
  private vocabulary: Vocabulary | undefined

  constructor(
    recipe: Recipe,
    method: MergeMethod,
    inputs: ReadonlyMap<string, MergeInput>,
    conflicts: Conflicts,
    strict: boolean,
  ) {
    this.strict = strict
    this.recipe = recipe
    this.method = method
    this.inputs = inputs
    this.conflicts = conflicts
    this.base = recipe.base && inputs.get(formatModelRef(recipe.base))
    this.reference = this.chooseReference()
  }

  async readVocabulary(rule: TokenizerRule): Promise<void> {
    this.vocabulary = await planVocabulary(rule, this.inputs, this.base ?? this.reference, this.conflicts, this.strict)
  }

  /** Where the tokenizer's files come from. */
  private companion(): string {
    return this.vocabulary?.companion ?? this.base?.checkpoint.folder ?? this.reference.checkpoint.folder
  }

  async files(): Promise<Record<string, string>> {
    const tokenizer = this.vocabulary && { 'tokenizer.json': `${JSON.stringify(this.vocabulary.tokenizer.json)}\n` }
    const { chatTemplate } = this.recipe
    const folders = [...this.inputs.values()].map(({ checkpoint }) => checkpoint.folder)
    const template = chatTemplate === undefined ? {} : await chatTemplateFiles(chatTemplate, this.companion(), folders)
    return { ...tokenizer, ...template }
  }

  plan(limits: Limits): MergePlan {
    const { recipe, method, conflicts, reference } = this
    const { slots, layers } = outputSlots({
      recipe,
      inputs: this.inputs,
      baseUse: method.definition.base,
      reference,
    })
    const models = this.models()
    const heads = planHeads(recipe, models, conflicts)
    const kept = heads.rule === 'merge' ? slots : slots.filter(({ bare }) => !isHead(bare))
    const tensors = [...kept.flatMap((slot) => this.tensor(slot) ?? []), ...heads.tensors]
    this.noteLeftOut(slots)
    const outputDtype = commonDtype(tensors)
    const config = this.config(layers, heads.config, outputDtype)
    return {
      method: method.name,
      strict: this.strict,
      inputs: [...this.inputs.values()].map((input) => ({
        label: input.label,
        key: input.key,
        folder: input.checkpoint.folder,
        tensors: input.tensors.size,
        bytes: [...input.tensors.values()].reduce((sum, { bytes }) => sum + bytes, 0),
        dtypes: [...new Set([...input.tensors.values()].map(({ dtype }) => dtype))],
        base: input === this.base,
      })),
      tensors,
      heads: heads.kept,
      conflicts: conflicts.list(),
      weights: effectiveWeights(models, tensors),
      config,
      companion: this.companion(),
      outputDtype,
      ...estimate(method, tensors, heads.kept, limits),
    }
  }

  /** The models that are merged, without the base unless it is all there is. */
  private models(): MergeInput[] {
    const named = this.recipe.modules.flatMap(({ slices }) =>
      slices.flatMap(({ sources }) => sources.map(({ model }) => this.inputs.get(formatModelRef(model))!)),
    )
    const unique = [...new Set(named)]
    const { base } = this.method.definition
    const others = base === 'unused' || base === 'model' ? unique : unique.filter((input) => input !== this.base)
    return others.length > 0 ? others : unique
  }

  /** Names and config come from the base, or from the first whole model if the base is a bare backbone. */
  private chooseReference(): MergeInput {
    const first = this.recipe.modules[0]!.slices[0]!.sources[0]!.model
    const choice = this.base ?? this.inputs.get(formatModelRef(first))!
    if (choice.prefix !== '') return choice
    const whole = [...this.inputs.values()].find(({ prefix }) => prefix !== '')
    return whole ?? choice
  }

  private tensor(slot: OutputSlot): PlannedTensor | undefined {
    const { recipe } = this
    const found = slot.inputs.map((part) => ({ part, info: this.find(part) }))
    const present = found.flatMap(({ part, info }) => (info ? [{ part, info }] : []))
    const base = present.find(({ part }) => part.isBase)
    const averaged = isHead(slot.bare) && !base && found.some(({ part }) => part.isBase)
    for (const { part, info } of found)
      if (!info && !(averaged && part.isBase)) this.reportMissing(slot, part, base !== undefined)
    const first = base ?? present[0]
    if (!first) return undefined
    const { info } = first
    if (dtypes[info.dtype].kind !== 'float') return copyOf(slot.name, info)
    const aligned = this.vocabulary !== undefined && isVocabulary(slot.bare)
    for (const other of present) if (!this.fits(slot, first, other, aligned)) return undefined
    const tensors = new Map(present.map(({ part, info }) => [part.input, info]))
    const sourceFor = (part: SlotInput, stored: TensorInfo) =>
      aligned ? this.vocabulary!.source(part.input, tensors) : sourceOf(part.input, stored)
    const shape = aligned ? [this.vocabulary!.rows, ...info.shape.slice(1)] : info.shape
    const work = recipe.dtype ?? promote(present.map(({ info }) => info.dtype as MergeDtype))
    const { resultType } = this.method.definition as StrictDefinition
    const dtype = recipe.outDtype ?? (this.strict && resultType ? resultType(work) : work)
    const models = present.filter(({ part }) => !part.isBase)
    const common = {
      name: slot.name,
      layer: slot.layer,
      shape,
      dtype,
      ...(this.strict ? { work } : {}),
      sources: models.map(({ part, info }) => sourceFor(part, info)),
      keys: models.map(({ part }) => part.input.key),
    }
    if (averaged) return { ...common, action: 'average', options: {} }
    if (models.length === 0 || (models.length < this.method.definition.models.least && recipe.missing !== 'error'))
      return {
        ...common,
        action: 'average',
        options: {},
        sources: [sourceFor(first.part, info)],
        keys: [first.part.input.key],
      }
    const usesBase = base !== undefined && this.method.definition.base !== 'unused'
    const options = settleOptions(this.method, {
      name: slot.name,
      names: models.map(({ info }) => info.name),
      depth: slot.depth,
      settings: models.map(({ part }) => [settingTable(part.settings)]),
      shared: slot.shared.map(settingTable),
    })
    const [only] = common.sources
    const copied = this.method.definition.copies?.(options) && only?.kind === 'stored' && only.dtype === dtype
    return {
      ...common,
      ...(usesBase ? { base: sourceFor(base.part, base.info) } : {}),
      action: copied ? 'copy' : 'merge',
      options,
    }
  }

  /** A model's tensor, or the input embedding where it stands for a tied output embedding. */
  private find({ input, name }: SlotInput): TensorInfo | undefined {
    const info = input.tensors.get(name)
    if (info || !isOutputEmbedding(name) || input.checkpoint.config['tie_word_embeddings'] === false) return info
    const embedding = [...input.tensors].find(([other]) => isInputEmbedding(other))
    if (embedding)
      this.conflicts.add({
        severity: 'note',
        code: 'TIED',
        model: input.label,
        tensor: name,
        message: 'Its output embedding is tied: the input embedding takes part in its place',
      })
    return embedding?.[1]
  }

  private reportMissing(slot: OutputSlot, part: SlotInput, hasBase: boolean): void {
    const { missing } = this.recipe
    const settled = missing === 'available' || (missing === 'base' && hasBase)
    this.conflicts.add({
      severity: settled ? 'warning' : 'error',
      code: 'TENSOR_MISSING',
      model: part.input.label,
      tensor: part.name,
      message: settled
        ? `${slot.name} is missing: ${missing === 'base' ? "the base's stands in" : 'the other models are merged'}`
        : `${slot.name} is missing`,
      ...(settled ? {} : { help: 'add "missing: available" to merge the models that have it, or drop this model' }),
    })
  }

  private fits(
    slot: OutputSlot,
    first: { part: SlotInput; info: TensorInfo },
    other: { part: SlotInput; info: TensorInfo },
    aligned: boolean,
  ): boolean {
    const fault = (code: string, message: string, help: string) => {
      this.conflicts.add({ severity: 'error', code, model: other.part.input.label, tensor: slot.name, message, help })
      return false
    }
    if (!isMergeDtype(other.info.dtype))
      return fault(
        'DTYPE',
        `${slot.name} has dtype ${other.info.dtype}, expected F64, F32, F16 or BF16`,
        'convert the model first',
      )
    const [expected, received] = [first.info.shape, other.info.shape]
    if (expected.join() === received.join()) return true
    if (aligned && expected.slice(1).join() === received.slice(1).join()) return true
    if (isVocabulary(slot.bare) && expected.slice(1).join() === received.slice(1).join())
      return fault(
        'VOCABULARY',
        `${slot.name} has ${received[0]!.toLocaleString('en-US')} rows, others ${expected[0]!.toLocaleString('en-US')}: the vocabularies differ`,
        'add "tokenizer: {source: union}" (or base) to the recipe',
      )
    return fault(
      'SHAPE',
      `${slot.name} has shape [${received.join(', ')}], others [${expected.join(', ')}]`,
      'only models of one architecture and size can be merged',
    )
  }

  /** Tensors of models that the reference does not have. */
  private noteLeftOut(slots: readonly OutputSlot[]): void {
    const used = new Set(slots.flatMap(({ inputs }) => inputs.map(({ input, name }) => `${input.label}\0${name}`)))
    const bare = new Set(slots.map((slot) => slot.bare))
    if (this.recipe.modules.some(({ slices }) => slices.some(({ sources }) => sources[0]!.layers))) return
    for (const input of this.models())
      for (const name of input.tensors.keys())
        if (!bare.has(name) && !used.has(`${input.label}\0${name}`) && !isHead(name))
          this.conflicts.add({
            severity: 'warning',
            code: 'TENSOR_LEFT_OUT',
            model: input.label,
            tensor: name,
            message: `${name} is left out: ${this.reference.label} has no such tensor`,
          })
  }

  private config(
    layers: ReadonlyMap<string, number>,
    heads: Readonly<Record<string, unknown>>,
    dtype: MergeDtype,
  ): Record<string, unknown> {
    const config: Record<string, unknown> = { ...this.reference.checkpoint.config, ...heads }
    const key = ['num_hidden_layers', 'n_layer', 'n_layers', 'num_layers'].find((name) => name in config)
    const count = layers.size === 1 ? [...layers.values()][0] : undefined
    if (key && count !== undefined) {
      // Lists with an entry for each layer no longer fit.
      for (const [name, value] of Object.entries(config))
        if (Array.isArray(value) && value.length === config[key] && value.length !== count && name === 'layer_types')
          delete config[name]
      config[key] = count
    }
    const names = { F64: 'float64', F32: 'float32', F16: 'float16', BF16: 'bfloat16' }
    if (this.vocabulary && 'vocab_size' in config) config['vocab_size'] = this.vocabulary.rows
    config['dtype' in config ? 'dtype' : 'torch_dtype'] = names[dtype]
    return config
  }
}

function copyOf(name: string, info: TensorInfo): PlannedTensor {
  const { shape, dtype } = info
  return { name, shape, dtype, action: 'copy', sources: [storedSource(info)], keys: [], options: {} }
}

/** The narrowest type that holds all of them, as PyTorch promotes. */
function promote(types: readonly MergeDtype[]): MergeDtype {
  if (types.includes('F64')) return 'F64'
  if (types.includes('F32') || (types.includes('F16') && types.includes('BF16'))) return 'F32'
  return types[0] ?? 'F32'
}

function commonDtype(tensors: readonly PlannedTensor[]): MergeDtype {
  const bytes = new Map<Dtype, number>()
  for (const { dtype, shape } of tensors)
    if (isMergeDtype(dtype)) bytes.set(dtype, (bytes.get(dtype) ?? 0) + (tensorBytes(dtype, shape) ?? 0))
  const most = [...bytes].sort(([, a], [, b]) => b - a)[0]
  return (most?.[0] ?? 'F32') as MergeDtype
}

function effectiveWeights(models: readonly MergeInput[], tensors: readonly PlannedTensor[]): MergePlan['weights'] {
  const range = new Map<string, { least: number; most: number }>()
  for (const { action, keys, options } of tensors) {
    const weights = options['weight'] as readonly number[] | undefined
    if (action !== 'merge' || !weights) continue
    const normalized = options['normalize'] === true || options['normalizeWeights'] === true
    const total = normalized ? weights.reduce((sum, w) => sum + w, 0) : 1
    const factor = ((options['lambda'] as number | undefined) ?? 1) / (total === 0 ? 1 : total)
    for (const [i, key] of keys.entries()) {
      const weight = weights[i]! * factor
      const found = range.get(key)
      range.set(key, { least: Math.min(found?.least ?? weight, weight), most: Math.max(found?.most ?? weight, weight) })
    }
  }
  return models.flatMap(({ key }) => (range.has(key) ? [{ key, ...range.get(key)! }] : []))
}

/** Throws InputError `MERGE_CONFLICT` if the plan cannot run. */
export function assertRunnable(plan: MergePlan): void {
  const errors = plan.conflicts.filter(({ severity }) => severity === 'error')
  const first = errors[0]
  if (!first) return
  const more = errors.length > 1 ? ` (the first of ${errors.length} conflicts)` : ''
  throw new InputError('MERGE_CONFLICT', `${first.message}${more}`, {
    where: first.where ?? {
      ...(first.model === undefined ? {} : { file: first.model }),
      ...(first.tensor === undefined ? {} : { tensor: first.tensor }),
    },
    help: first.help ?? 'see all with --plan',
    data: { conflicts: errors },
  })
}
