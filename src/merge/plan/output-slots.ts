/** The tensors of the output and where each comes from: whole models, or slices of layers stacked anew. */
import { InputError } from '../../util/errors.ts'
import type { LayerPlace } from '../engine/tensor-task.ts'
import type { MethodDefinition } from '../merge-method.ts'
import { formatModelRef, sameModel } from '../recipe/model-ref.ts'
import type { Recipe, RecipeModule, RecipeSlice, RecipeSource, Settings } from '../recipe/recipe.ts'
import type { MergeInput } from './merge-inputs.ts'
import { isBeforeLayers, isHead, layerName, layerOf } from './tensor-names.ts'

/** One model's part in an output tensor. */
export interface SlotInput {
  readonly input: MergeInput
  /** The tensor's name in that model, without prefix. */
  readonly name: string
  readonly isBase: boolean
  readonly settings: Settings
}

export interface OutputSlot {
  /** The tensor's name in the output, with the reference model's prefix. */
  readonly name: string
  /** The same without prefix. */
  readonly bare: string
  readonly inputs: readonly SlotInput[]
  readonly depth: number
  readonly layer: LayerPlace
  /** Settings between the models' and the recipe's: of the slice and the module. */
  readonly shared: readonly Settings[]
}

export interface SlotContext {
  readonly recipe: Recipe
  readonly inputs: ReadonlyMap<string, MergeInput>
  readonly baseUse: MethodDefinition['base']
  /** Whose names, config and tokenizer the output has. */
  readonly reference: MergeInput
}

export interface OutputLayout {
  readonly slots: readonly OutputSlot[]
  /** Layers of the output, by stack, where slices change their number. */
  readonly layers: ReadonlyMap<string, number>
}

/** Lays out the output's tensors in the reference model's order. Throws InputError `RECIPE` where slices do not fit the models. */
export function outputSlots(context: SlotContext): OutputLayout {
  const layers = new Map<string, number>()
  const slots = context.recipe.modules.flatMap((module) => moduleSlots(context, module, layers))
  const uncovered = [...context.reference.tensors.keys()].filter(
    (name) => !context.recipe.modules.some((module) => covers(module, name)),
  )
  if (uncovered.length > 0)
    throw new InputError(
      'RECIPE',
      `${uncovered.length} tensors belong to none of the modules, the first is ${uncovered[0]}`,
      {
        where: context.recipe.modules[0]!.place,
        help: 'add a module for them; "default" takes all that no other module names',
      },
    )
  return { slots, layers }
}

function covers(module: RecipeModule, name: string): boolean {
  return (
    module.name === undefined || module.name === 'default' || name.startsWith(`${module.name}.`) || name === module.name
  )
}

function moduleSlots(context: SlotContext, module: RecipeModule, layers: Map<string, number>): OutputSlot[] {
  const others = context.recipe.modules.filter((other) => other !== module && other.name !== 'default')
  const mine = (name: string) =>
    covers(module, name) && (module.name !== 'default' || !others.some((other) => covers(other, name)))
  const wholeModels =
    module.slices.length === 1 && module.slices[0]!.sources.every(({ layers }) => layers === undefined)
  return wholeModels ? wholeSlots(context, module, mine) : slicedSlots(context, module, mine, layers)
}

function wholeSlots(context: SlotContext, module: RecipeModule, mine: (name: string) => boolean): OutputSlot[] {
  const { reference } = context
  const slice = module.slices[0]!
  const sources = withBase(context, slice)
  const names = new Map([...reference.tensors].map(([bare, { name }]) => [bare, name]))
  // A base without a head says nothing of the models' heads.
  if (![...names.keys()].some(isHead)) {
    const owner = sources
      .map(({ source }) => inputOf(context, source))
      .find(({ tensors }) => [...tensors.keys()].some(isHead))
    for (const [bare, { name }] of owner?.tensors ?? []) if (isHead(bare)) names.set(bare, name)
  }
  return [...names]
    .filter(([bare]) => mine(bare))
    .map(([bare, name]) => {
      const layer = layerOf(bare)
      const count = layer ? reference.stacks.get(layer.stack)! : 0
      return {
        name,
        bare,
        depth: layer ? depthOf(layer.index, count) : 0,
        layer: layer ? { index: layer.index, count } : outsidePlace(bare),
        inputs: sources.map(({ source, isBase }) => slotInput(context, source, bare, isBase)),
        shared: [slice.settings, module.settings],
      }
    })
}

const outsidePlace = (name: string): LayerPlace => (isBeforeLayers(name) ? 'before' : 'after')

/** A layer's place in its slice, 0 to 1; a slice of one layer is at its end, as in mergekit. */
const depthOf = (index: number, count: number): number => (count > 1 ? index / (count - 1) : 1)

const inputOf = ({ inputs }: SlotContext, source: RecipeSource): MergeInput => inputs.get(formatModelRef(source.model))!

function slotInput(context: SlotContext, source: RecipeSource, name: string, isBase: boolean): SlotInput {
  return { input: inputOf(context, source), name, isBase, settings: source.settings }
}

interface MarkedSource {
  readonly source: RecipeSource
  readonly isBase: boolean
}

/** The sources with the base among them, if the method looks at one. */
function withBase({ recipe, baseUse }: SlotContext, slice: RecipeSlice): MarkedSource[] {
  const base = slice.base ?? recipe.base
  const used = baseUse === 'unused' ? undefined : base
  const asModel = baseUse === 'model'
  const sources = slice.sources.map((source) => ({ source, isBase: !asModel && sameModel(source.model, used) }))
  const first = slice.sources[0]!
  // Where a base counts as a model, it joins whole models only: slices name all of theirs.
  if (asModel && first.layers) return sources
  if (used && !slice.sources.some(({ model }) => sameModel(model, used))) {
    const layers = first.layers === undefined ? {} : { layers: first.layers }
    sources.push({ source: { model: used, settings: new Map(), place: slice.place, ...layers }, isBase: !asModel })
  }
  return sources
}

function slicedSlots(
  context: SlotContext,
  module: RecipeModule,
  mine: (name: string) => boolean,
  layers: Map<string, number>,
): OutputSlot[] {
  const { reference, inputs } = context
  const stack = onlyStack(context, module, mine)
  const prefix = reference.prefix
  const slots: OutputSlot[] = []
  const loose = (slice: RecipeSlice, names: readonly string[]) => {
    const sources = withBase(context, slice)
    for (const bare of names)
      slots.push({
        name: reference.tensors.get(bare)!.name,
        bare,
        depth: 0,
        layer: outsidePlace(bare),
        inputs: sources.map(({ source, isBase }) => slotInput(context, source, bare, isBase)),
        shared: [slice.settings, module.settings],
      })
  }
  const outside = [...reference.tensors.keys()].filter((name) => mine(name) && layerOf(name)?.stack !== stack)
  loose(module.slices[0]!, outside.filter(isBeforeLayers))
  let index = 0
  const total = module.slices.reduce((sum, { sources }) => sum + sources[0]!.layers![1] - sources[0]!.layers![0], 0)
  for (const slice of module.slices) {
    const sources = withBase(context, slice)
    for (const { source } of sources) checkLayers(source, inputs.get(formatModelRef(source.model))!, stack)
    const [start, end] = sources[0]!.source.layers!
    for (let i = 0; i < end - start; i++, index++) {
      const first = inputs.get(formatModelRef(sources[0]!.source.model))!
      const rests = [...first.tensors.keys()].flatMap((name) => {
        const layer = layerOf(name)
        return layer?.stack === stack && layer.index === start + i ? [layer.rest] : []
      })
      for (const rest of rests) {
        const bare = layerName(stack, index, rest)
        slots.push({
          name: prefix + bare,
          bare,
          depth: depthOf(i, end - start),
          layer: { index, count: total },
          inputs: sources.map(({ source, isBase }) =>
            slotInput(context, source, layerName(stack, source.layers![0] + i, rest), isBase),
          ),
          shared: [slice.settings, module.settings],
        })
      }
    }
  }
  layers.set(stack, index)
  loose(
    module.slices.at(-1)!,
    outside.filter((name) => !isBeforeLayers(name)),
  )
  return slots
}

function onlyStack({ reference }: SlotContext, module: RecipeModule, mine: (name: string) => boolean): string {
  const stacks = [...reference.stacks.keys()].filter((stack) => mine(`${stack}.0.`))
  if (stacks.length === 1) return stacks[0]!
  throw new InputError(
    'RECIPE',
    stacks.length === 0
      ? 'Expected a model with layers to slice, its tensors have no layer numbers'
      : `Expected one stack of layers to slice, the model has ${stacks.length}: ${stacks.join(', ')}`,
    {
      where: module.slices[0]!.place,
      help: stacks.length === 0 ? 'list whole models under "models"' : 'slice each under "modules"',
    },
  )
}

function checkLayers(source: RecipeSource, input: MergeInput, stack: string): void {
  const count = input.stacks.get(stack) ?? 0
  if (source.layers![1] > count)
    throw new InputError(
      'RECIPE',
      `Expected layers up to ${count}, received layer_range [${source.layers!.join(', ')}]`,
      {
        where: source.place,
        help: `${input.label} has ${count} layers in ${stack}`,
      },
    )
}
