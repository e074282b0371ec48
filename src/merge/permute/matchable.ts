/** Whether the units of two encoders can be matched, from their headers only: one architecture, size and vocabulary, every tensor's axes known. */
import { join } from 'node:path'
import { type Checkpoint, openCheckpoint } from '../../checkpoint/checkpoint.ts'
import type { TensorInfo } from '../../checkpoint/safetensors-header.ts'
import { readEncoderConfig } from '../../models/encoder-config.ts'
import { InputError } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { backbonePrefix, isHead, withoutPrefix } from '../plan/tensor-names.ts'
import { axesOf, type TensorAxes, type UnitGroup, unitGroups } from './encoder-units.ts'

export interface PermutePlan {
  /** Numbers of units by group: the residual stream, and of each layer its heads' dimensions and neurons. */
  readonly groups: Readonly<Record<UnitGroup, number>>
  readonly units: number
  readonly tensors: number
  readonly readBytes: number
  readonly writeBytes: number
  /** Bytes of both encoders in double precision, which are held while units are matched. */
  readonly heldBytes: number
}

/** See `planPermute` in merge.ts. */
export async function planPermuted(folder: string, options: RunOptions & { reference: string }): Promise<PermutePlan> {
  const [model, origin] = [await openCheckpoint(folder, options), await openCheckpoint(options.reference, options)]
  try {
    const { groups, tensors } = matchable(model, origin)
    const bytesOf = (checkpoint: Checkpoint) =>
      [...checkpoint.tensors.values()].reduce((sum, { bytes }) => sum + bytes, 0)
    const elements = [...tensors.values()].reduce(
      (sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1),
      0,
    )
    return {
      groups: Object.fromEntries(groups),
      units: [...groups.values()].reduce((sum, size) => sum + size, 0),
      tensors: model.tensors.size,
      readBytes: bytesOf(model) + bytesOf(origin),
      writeBytes: bytesOf(model),
      heldBytes: 2 * 8 * elements,
    }
  } finally {
    await Promise.all([model.close(), origin.close()])
  }
}

export interface NamedAxes extends TensorInfo {
  readonly axes: TensorAxes
}

/**
 * The groups of units of two encoders that can be matched, and the tensors of the first.
 * @throws InputError `PERMUTE_SHAPE`, and those of reading an encoder's config.
 */
export function matchable(
  model: Checkpoint,
  reference: Checkpoint,
): { groups: Map<UnitGroup, number>; tensors: Map<string, NamedAxes> } {
  const config = readEncoderConfig(model.config, join(model.folder, 'config.json'))
  const [b, a] = [unitAxes(model), unitAxes(reference)]
  for (const [name, { shape }] of b)
    if (!isHead(name) && a.get(name)?.shape.join() !== shape.join())
      throw new InputError('PERMUTE_SHAPE', 'The encoders differ in this tensor', {
        where: { file: reference.folder, tensor: name },
        help: 'only encoders of one architecture, size and vocabulary can be matched',
      })
  return { groups: unitGroups(config, hasPooler(b.keys())), tensors: b }
}

const hasPooler = (names: Iterable<string>): boolean => [...names].some((name) => axesOf(name, true)?.[0] === 'pooled')

/**
 * The tensors that units run through, by their names without prefix.
 * @throws InputError `PERMUTE_SHAPE` for a tensor whose units are not known.
 */
export function unitAxes(checkpoint: Checkpoint): Map<string, NamedAxes> {
  const prefix = backbonePrefix(checkpoint.tensors.keys())
  const pooled = hasPooler(Array.from(checkpoint.tensors.keys(), (name) => withoutPrefix(name, prefix)))
  const found = new Map<string, NamedAxes>()
  for (const [name, info] of checkpoint.tensors) {
    const bare = withoutPrefix(name, prefix)
    const axes = axesOf(bare, pooled)
    if (axes?.length === info.shape.length) {
      found.set(bare, { ...info, axes })
      continue
    }
    // Copied as they are: tensors that no unit runs through.
    if (info.dtype === 'I64' || /position_ids|num_batches/.test(bare)) continue
    throw new InputError('PERMUTE_SHAPE', 'It is not known which units run through this tensor', {
      where: { file: checkpoint.folder, tensor: name },
      help: 'encoders of the BERT, RoBERTa and DistilBERT families can be matched',
    })
  }
  return found
}
