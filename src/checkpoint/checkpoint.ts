/** The Checkpoint noun: named tensors with a config, on disk a Hugging Face folder. Opened from headers alone; tensors are read when asked for. */
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { toFloat32 } from '../tensor/dtypes.ts'
import { InputError, systemError } from '../util/errors.ts'
import { readJson } from '../util/json.ts'
import type { RunOptions } from '../util/progress.ts'
import { foreignByName } from './foreign-formats.ts'
import { resolveModel } from './resolve-model.ts'
import { allocate, openSafetensors, type SafetensorsFile, tensorOf } from './safetensors-file.ts'
import type { TensorInfo } from './safetensors-header.ts'
import { indexFileName, openShards } from './shards.ts'

export interface Checkpoint {
  /** The folder that holds the weights. */
  readonly folder: string
  /** Every tensor by name, in the order of its file. */
  readonly tensors: ReadonlyMap<string, TensorInfo>
  /** config.json, or an empty object if there is none. */
  readonly config: Record<string, unknown>
  /** The files that hold the weights, as paths. */
  readonly files: readonly string[]
  /** The free-form metadata of the weights' files. */
  readonly metadata: Readonly<Record<string, string>>
  /** The tensor's bytes: little-endian, row-major. */
  read(name: string): Promise<Uint8Array<ArrayBuffer>>
  /** Fills `target` with the tensor's bytes from `byteOffset` (default 0) on, without a copy. */
  readInto(name: string, target: Uint8Array, byteOffset?: number): Promise<void>
  /** The bytes of rows `from` to `to` (exclusive) of the first dimension. */
  readRows(name: string, from: number, to: number): Promise<Uint8Array<ArrayBuffer>>
  /** The tensor's values as float32. */
  readFloat32(name: string): Promise<Float32Array>
  close(): Promise<void>
}

/** What a checkpoint must bring; the other ways to read follow from `readInto`. */
export type CheckpointSource = Pick<
  Checkpoint,
  'folder' | 'tensors' | 'config' | 'files' | 'metadata' | 'readInto' | 'close'
>

/** A Checkpoint from its source. */
export function checkpointFrom(source: CheckpointSource): Checkpoint {
  const find = (name: string) => tensorOf(source.tensors, name, source.folder)
  const read = async (name: string) => {
    const bytes = allocate(find(name).bytes, name)
    await source.readInto(name, bytes)
    return bytes
  }
  return {
    ...source,
    read,
    async readRows(name, from, to) {
      const { shape, bytes } = find(name)
      const rows = shape[0] ?? 1
      if (!(Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from <= to && to <= rows))
        throw new RangeError(`Expected rows between 0 and ${rows} of ${name}, received ${from} to ${to}`)
      const rowBytes = rows === 0 ? 0 : bytes / rows
      if (!Number.isInteger(rowBytes)) throw new RangeError(`The rows of ${name} do not fill whole bytes`)
      const target = allocate((to - from) * rowBytes, name)
      await source.readInto(name, target, from * rowBytes)
      return target
    },
    async readFloat32(name) {
      const { dtype } = find(name)
      return toFloat32(await read(name), dtype)
    },
  }
}

/**
 * Opens a checkpoint: a Hugging Face folder (one safetensors file, or shards with an index), a safetensors file, or `hf:ORG/NAME[@REVISION]`,
 * which is downloaded first. Only headers and config.json are read.
 *
 * Throws InputError: `CHECKPOINT_MISSING`, `CHECKPOINT_FORMAT` (pickle and other formats), `CHECKPOINT_IS_ADAPTER`, `SAFETENSORS_...`,
 * `SHARD_...`, `JSON_MALFORMED`; each names the file and the tensor.
 *
 * @example
 * const model = await openCheckpoint('model')
 * const bias = await model.readFloat32('classifier.bias')
 * await model.close()
 */
export async function openCheckpoint(path: string, options: RunOptions = {}): Promise<Checkpoint> {
  const weights = await findWeights(await resolveModel(path, options))
  const folder = dirname(weights)
  const config = await readConfig(folder)
  const { files, homes } = weights.endsWith('.index.json') ? await openShards(weights) : await openOne(weights)
  const tensors = new Map<string, TensorInfo>()
  for (const file of files) for (const [name, info] of file.tensors) tensors.set(name, info)
  return checkpointFrom({
    folder,
    tensors,
    config,
    files: files.map(({ file }) => file),
    metadata: files[0]?.metadata ?? {},
    async readInto(name, target, byteOffset) {
      tensorOf(tensors, name, folder)
      await homes.get(name)!.readInto(name, target, byteOffset)
    },
    async close() {
      await Promise.all(files.map((file) => file.close()))
    },
  })
}

async function openOne(
  path: string,
): Promise<{ files: SafetensorsFile[]; homes: { get(name: string): SafetensorsFile | undefined } }> {
  const file = await openSafetensors(path)
  return { files: [file], homes: { get: () => file } }
}

/** The safetensors file or the index of shards that a path means. */
export async function findWeights(path: string): Promise<string> {
  const found = await stat(path).catch((error: unknown) => {
    throw systemError(error) ?? error
  })
  if (!found.isDirectory()) {
    const foreign = foreignByName(path)
    if (foreign) throw foreign
    return path
  }
  const names = (await readdir(path)).sort()
  const weights = names.filter((name) => /\.safetensors(\.index\.json)?$/.test(name))
  const choice =
    weights.find((name) => name === 'model.safetensors') ??
    weights.find((name) => name === indexFileName) ??
    onlyOne(weights.filter((name) => name.endsWith('.index.json'))) ??
    onlyOne(weights.filter((name) => !name.startsWith('adapter_model')))
  if (choice) return join(path, choice)
  if (names.includes('adapter_config.json'))
    throw new InputError('CHECKPOINT_IS_ADAPTER', 'The folder holds a LoRA adapter, expected a whole checkpoint', {
      where: { file: path },
      help: 'give its base model, with the adapter beside it',
    })
  if (weights.length > 0)
    throw new InputError('CHECKPOINT_AMBIGUOUS', `The folder holds ${weights.length} safetensors files and no index`, {
      where: { file: path },
      help: `name one of them: ${weights.slice(0, 3).join(', ')}`,
    })
  for (const name of names) {
    const foreign = foreignByName(join(path, name))
    if (foreign) throw foreign
  }
  throw new InputError('CHECKPOINT_MISSING', 'The folder holds no model.safetensors', {
    where: { file: path },
    help: names.length === 0 ? 'the folder is empty' : 'give the folder of a trained or downloaded model',
  })
}

function onlyOne(names: string[]): string | undefined {
  return names.length === 1 ? names[0] : undefined
}

/** config.json of a folder as an object; an empty one if there is none. */
export async function readConfig(folder: string): Promise<Record<string, unknown>> {
  const file = join(folder, 'config.json')
  if (!(await stat(file).catch(() => undefined))) return {}
  return readJsonObject(file)
}

/** Reads a JSON file that must hold an object. Throws InputError `CONFIG_MALFORMED` besides those of `readJson`. */
export async function readJsonObject(file: string): Promise<Record<string, unknown>> {
  const value = await readJson(file)
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new InputError('CONFIG_MALFORMED', `Expected a JSON object in ${basename(file)}`, {
    where: { file },
    help: 'fetch or save it again',
  })
}
