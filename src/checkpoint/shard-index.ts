/** The index of a sharded checkpoint: which file holds each tensor. Read without Node, so that browsers open shards too. */
import { InputError } from '../util/errors.ts'
import { JsonReader } from './json-reader.ts'
import type { TensorInfo } from './safetensors-header.ts'

export const indexFileName = 'model.safetensors.index.json'

export function indexFault(file: string, message: string, key?: string): InputError {
  return new InputError('SHARD_INDEX', message, {
    where: { file, ...(key === undefined ? {} : { key: key.slice(0, 200) }) },
    help: 'fetch or save the checkpoint again',
  })
}

/** The file of each tensor, by name, from the text of an index. Shards must lie beside their index, whatever it says. @throws InputError `SHARD_INDEX` */
export function parseShardIndex(text: string, file: string): Map<string, string> {
  const reader = new JsonReader(text, (message, offset) => {
    throw indexFault(file, `The shard index is malformed: ${message}, at byte ${offset.toLocaleString('en-US')}`)
  })
  let map: Map<string, string> | undefined
  reader.object((key) => {
    if (key !== 'weight_map') return reader.skip(32)
    if (map) reader.refuse('"weight_map" stands twice')
    const found = new Map<string, string>()
    reader.object((tensor) => {
      if (found.has(tensor)) throw indexFault(file, 'The index names a tensor twice', tensor)
      const shard = reader.string()
      if (!/^[^/\\:]+\.safetensors$/.test(shard) || shard.includes('\0'))
        throw indexFault(
          file,
          `Expected the name of a .safetensors file beside the index, received ${JSON.stringify(shard.slice(0, 120))}`,
          tensor,
        )
      found.set(tensor, shard)
    })
    map = found
  })
  reader.end()
  if (!map) throw indexFault(file, 'The index has no "weight_map"')
  if (map.size === 0) throw indexFault(file, 'The index lists no tensors')
  return map
}

/** An opened shard. */
export interface Shard {
  /** Its name, or its path. */
  readonly file: string
  readonly tensors: ReadonlyMap<string, TensorInfo>
}

const nameOf = ({ file }: Shard): string => /[^/\\]*$/.exec(file)![0]

/** The shard of each tensor, checked against the index. @throws InputError `SHARD_MISMATCH` */
export function findHomes<S extends Shard>(
  indexFile: string,
  map: ReadonlyMap<string, string>,
  files: readonly S[],
): Map<string, S> {
  const homes = new Map<string, S>()
  for (const file of files)
    for (const name of file.tensors.keys()) {
      const other = homes.get(name)
      if (other)
        throw new InputError('SHARD_MISMATCH', `Two shards hold this tensor: ${nameOf(other)} and ${nameOf(file)}`, {
          where: { file: indexFile, tensor: name },
          help: 'save the checkpoint again',
        })
      homes.set(name, file)
    }
  for (const [name, shard] of map) {
    const home = homes.get(name)
    if (!home || nameOf(home) !== shard)
      throw new InputError(
        'SHARD_MISMATCH',
        `The index puts this tensor in ${shard}, ${home ? `it is in ${nameOf(home)}` : 'no shard has it'}`,
        {
          where: { file: indexFile, tensor: name },
          help: 'the index and the shards are of different versions: fetch or save the checkpoint again',
        },
      )
  }
  return homes
}
