/** The files of a model folder where there is no file system: fetched from a URL, or given as they are. */
import { readSafetensorsBytes, type SafetensorsBytes } from '../checkpoint/safetensors-bytes.ts'
import { findHomes, indexFileName, parseShardIndex } from '../checkpoint/shard-index.ts'
import { InputError, RunError, throwIfAborted } from '../util/errors.ts'
import { decodeUtf8, parseJson } from '../util/parse-json.ts'
import type { RunOptions } from '../util/progress.ts'

/** A folder's URL (relative ones as the page sees them), or its files by name. */
export type ModelSource = string | URL | ReadonlyMap<string, Uint8Array | Blob>

export interface ModelFiles {
  /** For messages. */
  readonly place: string
  /** A file's bytes; undefined if the folder has none of that name. */
  bytes(name: string): Promise<Uint8Array<ArrayBuffer> | undefined>
}

/** Opens a source. Nothing is fetched yet. */
export function modelFiles(source: ModelSource, run: RunOptions = {}): ModelFiles {
  if (typeof source === 'string' || source instanceof URL) return filesAt(folderUrl(source), run)
  return {
    place: 'model',
    async bytes(name) {
      const file = source.get(name)
      return file === undefined ? undefined : new Uint8Array(file instanceof Blob ? await file.arrayBuffer() : file)
    },
  }
}

/** The URL of a folder, with the slash that makes names relative to it. */
export function folderUrl(source: string | URL): URL {
  const url = new URL(String(source), globalThis.location?.href)
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
}

function filesAt(folder: URL, { signal, onProgress }: RunOptions): ModelFiles {
  return {
    place: folder.href,
    async bytes(name) {
      const url = new URL(name, folder)
      let response: Response
      try {
        response = await fetch(url, signal ? { signal } : {})
      } catch (cause) {
        throwIfAborted(signal)
        throw new RunError('FETCH_FAILED', `Cannot fetch ${url.href}`, {
          help: 'check the address, the connection, and that the server allows this page (CORS)',
          cause,
        })
      }
      // Development servers answer with their page where there is no file.
      const isPage = /\bhtml\b/.test(response.headers.get('content-type') ?? '')
      if (response.status === 404 || (response.ok && isPage)) return undefined
      if (!response.ok)
        throw new RunError('FETCH_FAILED', `Cannot fetch ${url.href}: status ${response.status}`, {
          help: 'check the address and who may read it',
        })
      return readBody(response, `fetch ${name}`, onProgress)
    },
  }
}

async function readBody(
  response: Response,
  step: string,
  onProgress: RunOptions['onProgress'],
): Promise<Uint8Array<ArrayBuffer>> {
  if (!onProgress || !response.body) return new Uint8Array(await response.arrayBuffer())
  const length = Number(response.headers.get('content-length'))
  const packed = response.headers.has('content-encoding')
  const parts: Uint8Array[] = []
  let done = 0
  for (const reader = response.body.getReader(); ; ) {
    const { value } = await reader.read()
    if (!value) break
    parts.push(value)
    done += value.length
    onProgress({ step, done, unit: 'bytes', ...(length > 0 && !packed ? { total: length } : {}) })
  }
  return new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer())
}

/** A JSON file; undefined if there is none. Throws InputError `JSON_MALFORMED`, `FILE_EMPTY`, `ENCODING`. */
export async function readJsonFile(files: ModelFiles, name: string): Promise<unknown> {
  const bytes = await files.bytes(name)
  const file = `${files.place} ${name}`
  return bytes === undefined ? undefined : parseJson(decodeUtf8(bytes, file), file)
}

/** A JSON object that must be there. Throws InputError `MODEL_FORMAT`. */
export async function needJsonFile(files: ModelFiles, name: string): Promise<Record<string, unknown>> {
  const value = await readJsonFile(files, name)
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new InputError('MODEL_FORMAT', `The folder holds no model: ${name} is missing`, {
    where: { file: files.place },
    help: 'give the address of a folder that `espalier train --out` wrote',
  })
}

/**
 * The weights: one file, or shards with an index.
 * @throws InputError `MODEL_FORMAT` if there are none, `SHARD_INDEX`, `SHARD_MISSING`, `SHARD_MISMATCH`, `SAFETENSORS_...`.
 */
export async function readWeights(files: ModelFiles): Promise<SafetensorsBytes & { folder: string }> {
  const bytes = await files.bytes('model.safetensors')
  if (bytes !== undefined)
    return { folder: files.place, ...readSafetensorsBytes(bytes, `${files.place} model.safetensors`) }
  const index = await files.bytes(indexFileName)
  if (index === undefined)
    throw new InputError('MODEL_FORMAT', 'The folder holds no model.safetensors, and no index of several files', {
      where: { file: files.place },
      help: 'give the address of a folder with weights in the safetensors format',
    })
  return { folder: files.place, ...(await readShards(files, index)) }
}

async function readShards(files: ModelFiles, index: Uint8Array): Promise<SafetensorsBytes> {
  const file = `${files.place} ${indexFileName}`
  const map = parseShardIndex(decodeUtf8(index, file), file)
  const shards = await Promise.all(
    [...new Set(map.values())].sort().map(async (name) => {
      const bytes = await files.bytes(name)
      if (bytes === undefined)
        throw new InputError('SHARD_MISSING', `The shard ${name} is missing`, {
          where: { file },
          help: 'put all files of the folder where the page can fetch them',
        })
      return { file: name, ...readSafetensorsBytes(bytes, `${files.place} ${name}`) }
    }),
  )
  const homes = findHomes(file, map, shards)
  return {
    tensors: new Map([...homes].map(([name, shard]) => [name, shard.tensors.get(name)!])),
    async read(name) {
      const home = homes.get(name)
      if (!home)
        throw new InputError('TENSOR_MISSING', `The files have no tensor "${name}"`, { where: { file, tensor: name } })
      return home.read(name)
    },
  }
}
