/** Sharded checkpoints as Hugging Face writes them: `model-00001-of-00003.safetensors` and an index that maps each tensor to its file. */
import { open, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { tensorBytes } from '../tensor/dtypes.ts'
import { InputError, systemError } from '../util/errors.ts'
import { decodeUtf8 } from '../util/json.ts'
import { openSafetensors, type SafetensorsFile } from './safetensors-file.ts'
import { maxHeaderBytes, type TensorInfo, type TensorSpec } from './safetensors-header.ts'
import { findHomes, indexFault, parseShardIndex } from './shard-index.ts'

/** Reads an index: the file of each tensor, by name. */
export async function readShardIndex(file: string): Promise<Map<string, string>> {
  return parseShardIndex(decodeUtf8(await readSmall(file), file), file)
}

async function readSmall(file: string): Promise<Uint8Array> {
  try {
    const handle = await open(file, 'r')
    try {
      const { size } = await handle.stat()
      if (size > maxHeaderBytes)
        throw indexFault(file, `The index has ${size.toLocaleString('en-US')} bytes, more than an index can need`)
      return await handle.readFile()
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw systemError(error) ?? error
  }
}

export { indexFileName } from './shard-index.ts'

/** Opens every shard of an index and checks that each tensor is where the index says. */
export async function openShards(
  indexFile: string,
): Promise<{ files: SafetensorsFile[]; homes: Map<string, SafetensorsFile> }> {
  const map = await readShardIndex(indexFile)
  const names = [...new Set(map.values())].sort()
  const folder = dirname(indexFile)
  const missing: string[] = []
  for (const name of names) if (!(await stat(join(folder, name)).catch(() => undefined))) missing.push(name)
  if (missing.length > 0)
    throw new InputError(
      'SHARD_MISSING',
      `${missing.length} of ${names.length} shards are missing, the first is ${missing[0]}`,
      {
        where: { file: indexFile },
        help: 'fetch the missing files',
        data: { missing },
      },
    )
  const files: SafetensorsFile[] = []
  try {
    for (const name of names) files.push(await openSafetensors(join(folder, name)))
    return { files, homes: findHomes(indexFile, map, files) }
  } catch (error) {
    await Promise.all(files.map((file) => file.close()))
    throw error
  }
}

/** The tensors of each file to write, filled in the given order up to `maxBytes`; a tensor larger than that has a file of its own. */
export function planShards<Spec extends TensorSpec>(
  specs: Iterable<Spec>,
  maxBytes: number,
): { file: string; specs: Spec[] }[] {
  const groups: Spec[][] = []
  let room = 0
  for (const spec of specs) {
    const bytes = tensorBytes(spec.dtype, spec.shape) ?? 0 // an impossible shape is refused when its file is laid out
    if (groups.length === 0 || bytes > room) {
      groups.push([])
      room = maxBytes
    }
    groups.at(-1)!.push(spec)
    room -= bytes
  }
  const padded = (n: number) => String(n).padStart(5, '0')
  if (groups.length <= 1) return [{ file: 'model.safetensors', specs: groups[0] ?? [] }]
  return groups.map((group, i) => ({
    file: `model-${padded(i + 1)}-of-${padded(groups.length)}.safetensors`,
    specs: group,
  }))
}

/** The text of `model.safetensors.index.json`. */
export function shardIndex(
  shards: Iterable<{ file: string; tensors: Iterable<Pick<TensorInfo, 'name' | 'bytes'>> }>,
): string {
  const entries: [string, string][] = []
  let total = 0
  for (const { file, tensors } of shards)
    for (const { name, bytes } of tensors) {
      entries.push([name, file])
      total += bytes
    }
  entries.sort(([a], [b]) => (a < b ? -1 : 1))
  return `${JSON.stringify({ metadata: { total_size: total }, weight_map: Object.fromEntries(entries) }, null, 2)}\n`
}
