/**
 * The header of a safetensors file (huggingface/safetensors): 8 bytes of length, then JSON that gives each tensor's dtype, shape and
 * byte range. Reading checks all that the reference implementation checks, and names the file and the tensor at fault.
 */
import { type Dtype, dtypes, isDtype, tensorBytes } from '../tensor/dtypes.ts'
import { InputError } from '../util/errors.ts'
import { didYouMean } from '../util/suggest.ts'
import { JsonReader } from './json-reader.ts'

export interface TensorSpec {
  name: string
  dtype: Dtype
  shape: number[]
}

export interface TensorInfo extends TensorSpec {
  bytes: number
  /** Where the bytes lie on disk; undefined for a tensor that is computed when it is read. */
  place?: { file: string; offset: number }
}

/** A header is at most this long, as in the reference implementation. */
export const maxHeaderBytes = 100_000_000

const commas = (value: number) => value.toLocaleString('en-US')

/** Where the tensors of a file lie, and its free-form metadata. */
export interface SafetensorsHeader {
  tensors: Map<string, TensorInfo>
  metadata: Record<string, string>
}

/** The last part of a path or an address, without Node's help: headers are read in browsers too. */
const fileName = (file: string): string => file.split(/[\\/]/).at(-1)!

function malformed(file: string, message: string, data: Record<string, unknown> = {}): InputError {
  return new InputError('SAFETENSORS_MALFORMED', `${fileName(file)} is not a sound safetensors file: ${message}`, {
    where: { file },
    help: 'fetch or save the file again',
    data,
  })
}

function badTensor(file: string, tensor: string, message: string, data: Record<string, unknown> = {}): InputError {
  return new InputError('SAFETENSORS_TENSOR', message, {
    where: { file, tensor: tensor.slice(0, 200) },
    help: 'the file was not written by a sound program: fetch or save it again',
    data,
  })
}

/** The error for a file that ends before its last tensor (or its header) does. */
export function truncated(file: string, promised: number, found: number): InputError {
  return new InputError(
    'SAFETENSORS_TRUNCATED',
    `${fileName(file)} is cut short: the header promises ${commas(promised)} bytes, the file has ${commas(found)}`,
    {
      where: { file },
      help: 'the download was probably interrupted: fetch it again',
      data: { expected: promised, received: found },
    },
  )
}

/** Parses a header's JSON. `fileBytes` is the size of the whole file, `dataStart` where the tensors' bytes begin. */
export function parseHeader(json: Uint8Array, file: string, fileBytes: number, dataStart: number): SafetensorsHeader {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json)
  } catch {
    throw malformed(file, 'its header is not UTF-8')
  }
  const reader = new JsonReader(text, (message, offset) => {
    throw malformed(file, `in its header, ${message}, at byte ${commas(offset + 8)}`, { offset })
  })
  const tensors = new Map<string, TensorInfo>()
  let metadata: Record<string, string> | undefined
  reader.object((name) => {
    if (name === '__metadata__') {
      if (metadata) reader.refuse('"__metadata__" stands twice')
      metadata = readMetadata(reader)
    } else {
      if (tensors.has(name)) throw badTensor(file, name, 'The header names a tensor twice')
      tensors.set(name, readTensor(reader, name, file, dataStart))
    }
  })
  reader.end()
  checkRanges(tensors, file, fileBytes, dataStart)
  return { tensors, metadata: metadata ?? {} }
}

function readMetadata(reader: JsonReader): Record<string, string> {
  const entries = new Map<string, string>()
  reader.object((key) => {
    if (entries.has(key)) reader.refuse(`the metadata key ${JSON.stringify(key.slice(0, 100))} stands twice`)
    entries.set(key, reader.string())
  })
  return Object.fromEntries(entries)
}

function readTensor(reader: JsonReader, name: string, file: string, dataStart: number): TensorInfo {
  let dtype: Dtype | undefined
  let shape: number[] | undefined
  let range: number[] | undefined
  const once = (earlier: unknown, key: string) => {
    if (earlier !== undefined) throw badTensor(file, name, `The tensor's "${key}" stands twice`)
  }
  const numbers = (): number[] => {
    const list: number[] = []
    reader.array(() => {
      if (list.length === 64) throw badTensor(file, name, 'The tensor has more than 64 dimensions')
      list.push(reader.natural())
    })
    return list
  }
  reader.object((key) => {
    if (key === 'dtype') {
      once(dtype, key)
      const found = reader.string()
      if (!isDtype(found))
        throw badTensor(
          file,
          name,
          `Unknown dtype ${JSON.stringify(found.slice(0, 40))}: ${didYouMean(found.slice(0, 40), Object.keys(dtypes), 'not in the format')}`,
        )
      dtype = found
    } else if (key === 'shape') {
      once(shape, key)
      shape = numbers()
    } else if (key === 'data_offsets') {
      once(range, key)
      range = numbers()
    } else
      throw badTensor(
        file,
        name,
        `Unknown key ${JSON.stringify(key.slice(0, 40))}, expected dtype, shape and data_offsets`,
      )
  })
  if (!dtype || !shape || !range)
    throw badTensor(file, name, `The tensor has no ${!dtype ? 'dtype' : !shape ? 'shape' : 'data_offsets'}`)
  const [begin, end] = range
  if (range.length !== 2 || begin === undefined || end === undefined || end < begin)
    throw badTensor(file, name, `Expected data_offsets [begin, end], received [${range.slice(0, 4).join(', ')}]`)
  const bytes = tensorBytes(dtype, shape)
  if (bytes === undefined)
    throw badTensor(file, name, `The shape [${shape.join(', ')}] of ${dtype} is not a possible number of bytes`, {
      shape,
      dtype,
    })
  if (bytes !== end - begin)
    throw badTensor(
      file,
      name,
      `The shape [${shape.join(', ')}] of ${dtype} takes ${commas(bytes)} bytes, its data_offsets span ${commas(end - begin)}`,
      { expected: bytes, received: end - begin },
    )
  return { name, dtype, shape, bytes, place: { file, offset: dataStart + begin } }
}

/** Checks that the byte ranges follow one another from the header to the end of the file, without gaps or overlaps. */
function checkRanges(tensors: Map<string, TensorInfo>, file: string, fileBytes: number, dataStart: number): void {
  const order = [...tensors.values()].sort((a, b) => a.place!.offset - b.place!.offset || a.bytes - b.bytes)
  let end = dataStart
  for (const { name, bytes, place } of order) {
    const { offset } = place!
    if (offset !== end)
      throw badTensor(
        file,
        name,
        offset < end
          ? `The tensor's bytes overlap those of another by ${commas(end - offset)}`
          : `There is a gap of ${commas(offset - end)} bytes before the tensor`,
      )
    end += bytes
    if (!Number.isSafeInteger(end)) throw badTensor(file, name, "The tensor's bytes end beyond any possible file")
  }
  if (end > fileBytes) throw truncated(file, end, fileBytes)
  if (end < fileBytes) throw malformed(file, `${commas(fileBytes - end)} bytes follow the last tensor`)
}

/** The order of dtypes in the reference implementation's files: wide elements first keeps every tensor aligned. */
const dtypeOrder: Dtype[] = [
  'U64',
  'I64',
  'F64',
  'C64',
  'F32',
  'U32',
  'I32',
  'BF16',
  'F16',
  'U16',
  'I16',
  'F8_E5M2FNUZ',
  'F8_E4M3FNUZ',
  'F8_E8M0',
  'F8_E4M3',
  'F8_E5M2',
  'I8',
  'U8',
  'F6_E3M2',
  'F6_E2M3',
  'F4',
  'BOOL',
]

/** A file's header bytes and the place of every tensor in it, known before the first byte is written. */
export interface SafetensorsLayout {
  header: Uint8Array
  /** In the order of their bytes; `offset` counts from the start of the file. */
  tensors: (TensorInfo & { offset: number })[]
  fileBytes: number
}

/**
 * Lays out a safetensors file as the reference implementation does: by dtype from wide to narrow, then by name; header padded to 8 bytes.
 *
 * Throws InputError `SAFETENSORS_TENSOR` for duplicate names and impossible shapes, `SAFETENSORS_MALFORMED` for too long a header.
 */
export function layoutSafetensors(
  specs: Iterable<TensorSpec>,
  metadata: Record<string, string> = { format: 'pt' },
  file = 'model.safetensors',
): SafetensorsLayout {
  const rank = new Map(dtypeOrder.map((dtype, i) => [dtype, i]))
  const sorted = [...specs].sort(
    (a, b) => rank.get(a.dtype)! - rank.get(b.dtype)! || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  )
  const parts: string[] = []
  const keys = Object.keys(metadata).sort()
  if (keys.length > 0)
    parts.push(`"__metadata__":${JSON.stringify(Object.fromEntries(keys.map((key) => [key, metadata[key]])))}`)
  const names = new Set(['__metadata__'])
  let end = 0
  const tensors = sorted.map(({ name, dtype, shape }) => {
    if (names.has(name)) throw badTensor(file, name, 'Two tensors have one name')
    names.add(name)
    if (!isDtype(dtype)) throw badTensor(file, name, `Unknown dtype ${JSON.stringify(dtype)}`)
    const bytes = tensorBytes(dtype, shape)
    if (bytes === undefined)
      throw badTensor(file, name, `The shape [${shape.join(', ')}] of ${dtype} is not a possible number of bytes`)
    const offset = end
    end += bytes
    parts.push(
      `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":[${offset},${end}]}`,
    )
    return { name, dtype, shape: [...shape], bytes, offset }
  })
  const json = new TextEncoder().encode(`{${parts.join(',')}}`)
  const length = Math.ceil(json.length / 8) * 8
  if (length > maxHeaderBytes)
    throw malformed(file, `its header of ${commas(length)} bytes would exceed ${commas(maxHeaderBytes)}`)
  const header = new Uint8Array(8 + length).fill(0x20)
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true)
  header.set(json, 8)
  for (const tensor of tensors) tensor.offset += header.length
  return { header, tensors, fileBytes: header.length + end }
}
