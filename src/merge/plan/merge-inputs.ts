/** The models that a recipe names, opened from their headers: tensors by comparable names, config, and adapters to apply. */
import { stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { type Checkpoint, openCheckpoint } from '../../checkpoint/checkpoint.ts'
import type { TensorInfo } from '../../checkpoint/safetensors-header.ts'
import { InputError } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { formatModelRef, type ModelRef } from '../recipe/model-ref.ts'
import { type Adapter, openAdapter } from './adapter.ts'
import { backbonePrefix, layerOf, withoutPrefix } from './tensor-names.ts'

export interface MergeInput {
  readonly ref: ModelRef
  /** As the recipe writes it. */
  readonly label: string
  /** A short name, unique among the inputs: it names heads and keys random numbers. */
  readonly key: string
  readonly checkpoint: Checkpoint
  readonly adapter?: Adapter
  /** The backbone's prefix in this checkpoint, such as `bert.`. */
  readonly prefix: string
  /** Tensors by name without the prefix. */
  readonly tensors: ReadonlyMap<string, TensorInfo>
  /** Number of layers of each stack, by the stack's name without prefix. */
  readonly stacks: ReadonlyMap<string, number>
}

/** Opens every model once. `near` is the recipe's folder, where relative paths are looked for after the working folder. */
export async function openInputs(
  refs: readonly ModelRef[],
  near: string,
  options: RunOptions = {},
): Promise<Map<string, MergeInput>> {
  const keys = shortNames(refs.map(formatModelRef))
  const inputs = new Map<string, MergeInput>()
  try {
    for (const [i, ref] of refs.entries())
      inputs.set(formatModelRef(ref), await openInput(ref, keys[i]!, near, options))
    return inputs
  } catch (error) {
    await closeInputs(inputs)
    throw error
  }
}

export async function closeInputs(inputs: ReadonlyMap<string, MergeInput>): Promise<void> {
  await Promise.all([...inputs.values()].map(({ checkpoint }) => checkpoint.close()))
}

async function openInput(ref: ModelRef, key: string, near: string, options: RunOptions): Promise<MergeInput> {
  const checkpoint = await openCheckpoint(await locate(ref.model, near), options)
  const adapter = ref.lora === undefined ? undefined : await openAdapter(await locate(ref.lora, near))
  const prefix = backbonePrefix(checkpoint.tensors.keys())
  const tensors = new Map([...checkpoint.tensors].map(([name, info]) => [withoutPrefix(name, prefix), info]))
  if (tensors.size !== checkpoint.tensors.size)
    throw new InputError(
      'CHECKPOINT_NAMES',
      `The checkpoint holds tensors both with and without the prefix "${prefix}"`,
      {
        where: { file: checkpoint.folder },
        help: 'save it again from one model',
      },
    )
  return {
    ref,
    label: formatModelRef(ref),
    key,
    checkpoint,
    ...(adapter ? { adapter } : {}),
    prefix,
    tensors,
    stacks: layerStacks(tensors.keys()),
  }
}

function layerStacks(names: Iterable<string>): Map<string, number> {
  const stacks = new Map<string, number>()
  for (const name of names) {
    const layer = layerOf(name)
    if (layer) stacks.set(layer.stack, Math.max(stacks.get(layer.stack) ?? 0, layer.index + 1))
  }
  return stacks
}

/** A path as given, or beside the recipe; what is neither is a name on the hub, as in mergekit. */
async function locate(model: string, near: string): Promise<string> {
  if (model.startsWith('hf:')) return model
  for (const path of isAbsolute(model) ? [model] : [model, join(near, model)])
    if (await stat(path).catch(() => undefined)) return path
  if (/^[\w.-]+\/[\w.-]+(@[\w./-]+)?$/.test(model) && !model.startsWith('.')) return `hf:${model}`
  throw new InputError('MODEL_MISSING', 'There is no model at this path', {
    where: { file: model },
    help: 'give the folder of a model, or ORG/NAME on the hub',
  })
}

/** The last parts of the paths, as many as tell them apart. */
function shortNames(paths: readonly string[]): string[] {
  const tail = (path: string, parts: number) =>
    path
      .split(/[\\/]+/)
      .filter(Boolean)
      .slice(-parts)
      .join('/')
  return paths.map((path, i) => {
    for (let parts = 1; parts < 16; parts++) {
      const name = tail(path, parts)
      if (paths.every((other, j) => i === j || tail(other, parts) !== name)) return name
    }
    return `${basename(dirname(path))}-${i}`
  })
}
