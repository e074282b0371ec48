import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Dtype, dtypes, toFloat64 } from '../tensor/dtypes.ts'
import { random } from '../tensor/random.ts'
import { EspalierError } from '../util/errors.ts'
import { openSafetensors } from './safetensors-file.ts'

const fixtures = new URL('../../test/fixtures/checkpoints/', import.meta.url)
const fixture = (name: string) => new URL(name, fixtures).pathname

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** A file from a header (text or value) and data, with the length field right unless given. */
async function make(header: unknown, data: Uint8Array = new Uint8Array(0), length?: bigint): Promise<string> {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(length ?? BigInt(json.length))
  const file = join(folder, 'model.safetensors')
  await writeFile(file, Buffer.concat([size, json, data]))
  return file
}

async function fault(file: string): Promise<EspalierError> {
  const error = await openSafetensors(file).then(
    async (opened) => {
      await opened.close()
      throw new Error(`${file} was accepted`)
    },
    (error: unknown) => error,
  )
  if (!EspalierError.is(error)) throw error
  expect(error.where.file).toBe(file)
  return error
}

describe('files of the reference implementation', () => {
  test('every dtype gives the values that PyTorch wrote', async () => {
    const file = await openSafetensors(fixture('dtypes.safetensors'))
    let compared = 0
    for (const [name, { dtype, bytes }] of file.tensors) {
      if (!file.tensors.has(`values/${name}`)) continue
      const raw = new Uint8Array(bytes)
      await file.readInto(name, raw)
      const expected = new Uint8Array(file.tensors.get(`values/${name}`)!.bytes)
      await file.readInto(`values/${name}`, expected)
      expect([...toFloat64(raw, dtype)], name).toEqual([...toFloat64(expected, 'F64')])
      compared++
    }
    expect(compared).toBe(18)
    expect(file.metadata).toEqual({ format: 'pt' })
    expect(file.tensors.get('scalar')).toMatchObject({ dtype: 'F32', shape: [], bytes: 4 })
    expect(file.tensors.get('empty')).toMatchObject({ shape: [0, 3], bytes: 0 })
    expect(file.tensors.get('torch.complex64')).toMatchObject({ dtype: 'C64', bytes: 16 })
    await file.close()
  })

  test('a part of a tensor', async () => {
    const file = await openSafetensors(fixture('tiny-bert/model.safetensors'))
    const name = 'bert.encoder.layer.0.intermediate.dense.weight'
    const whole = new Uint8Array(12 * 8 * 4)
    await file.readInto(name, whole)
    const part = new Uint8Array(20)
    await file.readInto(name, part, 100)
    expect(part).toEqual(whole.slice(100, 120))
    await expect(file.readInto(name, part, 370)).rejects.toThrow(RangeError)
    await expect(file.readInto('nothing', part)).rejects.toMatchObject({ code: 'TENSOR_UNKNOWN' })
    await file.close()
  })
})

describe('refused with file and tensor', () => {
  const tensor = (shape: unknown, range: unknown, dtype = 'F32') => ({ dtype, shape, data_offsets: range })
  const eight = new Uint8Array(8)

  test('cut short, as the sketch of experience says it', async () => {
    const file = await make({ w: tensor([1000, 1000], [0, 4_000_000]) })
    const error = await fault(file)
    expect(error.code).toBe('SAFETENSORS_TRUNCATED')
    expect(error.message).toMatch(
      /^model\.safetensors is cut short: the header promises 4,000,0\d\d bytes, the file has \d\d$/,
    )
    expect(error.exitCode).toBe(2)
    await truncate(file, 20)
    expect((await fault(file)).code).toBe('SAFETENSORS_TRUNCATED')
    await truncate(file, 0)
    expect((await fault(file)).code).toBe('FILE_EMPTY')
  })

  test('a file that shrinks after it was opened', async () => {
    const path = await make({ w: tensor([2], [0, 8]) }, eight)
    const file = await openSafetensors(path)
    await truncate(path, 60)
    await expect(file.readInto('w', new Uint8Array(8))).rejects.toMatchObject({ code: 'SAFETENSORS_TRUNCATED' })
    await file.close()
  })

  test.each<[string, unknown, Uint8Array?]>([
    ['overlap', { a: tensor([1], [0, 4]), b: tensor([1], [2, 6]) }, new Uint8Array(6)],
    ['two tensors on the same bytes', { a: tensor([1], [0, 4]), b: tensor([1], [0, 4]) }, new Uint8Array(4)],
    ['gap', { a: tensor([1], [0, 4]), b: tensor([1], [8, 12]) }, new Uint8Array(12)],
    ['gap at the start', { a: tensor([1], [4, 8]) }, eight],
    ['end before begin', { a: tensor([1], [4, 0]) }, eight],
    ['three offsets', { a: tensor([1], [0, 4, 8]) }, eight],
    ['wrong number of bytes', { a: tensor([3], [0, 8]) }, eight],
    ['unknown dtype', { a: tensor([2], [0, 8], 'BF32') }, eight],
    ['dtype from Object.prototype', { a: tensor([2], [0, 8], 'constructor') }, eight],
    ['shape overflow', { a: tensor([2 ** 40, 2 ** 40], [0, 8]) }, eight],
    ['shape overflow hidden by a zero', { a: tensor([2 ** 40, 2 ** 40, 0], [0, 0]) }],
    ['bytes overflow', { a: tensor([2 ** 52], [0, 8]) }, eight],
    ['half a byte', { a: tensor([3], [0, 2], 'F4') }, new Uint8Array(2)],
    ['missing dtype', { a: { shape: [2], data_offsets: [0, 8] } }, eight],
    ['missing shape', { a: { dtype: 'F32', data_offsets: [0, 8] } }, eight],
    ['missing offsets', { a: { dtype: 'F32', shape: [2] } }, eight],
    ['unknown key', { a: { ...tensor([2], [0, 8]), strides: [1] } }, eight],
    [
      'duplicate name',
      '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}',
      new Uint8Array(2),
    ],
    [
      'duplicate name, escaped',
      '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}',
      new Uint8Array(2),
    ],
    [
      'duplicate key in a tensor',
      '{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}',
      new Uint8Array(1),
    ],
    ['65 dimensions', { a: tensor(Array(65).fill(1), [0, 4]) }, new Uint8Array(4)],
  ])('tensor: %s', async (_, header, data) => {
    const error = await fault(await make(header, data))
    expect(error.code).toBe('SAFETENSORS_TENSOR')
    expect(error.where.tensor).toMatch(/^[ab]$/)
  })

  test.each<[string, unknown, Uint8Array?]>([
    ['bytes after the last tensor', { a: tensor([1], [0, 4]) }, eight],
    ['negative dimension', { a: tensor([-1], [0, 4]) }],
    ['fraction', { a: tensor([1.5], [0, 4]) }],
    ['exponent', '{"a":{"dtype":"U8","shape":[1e0],"data_offsets":[0,1]}}', new Uint8Array(1)],
    ['leading zero', '{"a":{"dtype":"U8","shape":[01],"data_offsets":[0,1]}}', new Uint8Array(1)],
    ['number beyond 2^53', '{"a":{"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,1]}}'],
    ['shape is no array', { a: tensor('2', [0, 8]) }],
    ['tensor is no object', { a: [] }],
    ['metadata is no object', { __metadata__: 'pt' }],
    ['metadata holds numbers', { __metadata__: { a: 1 } }],
    ['metadata twice', '{"__metadata__":{},"__metadata__":{}}'],
    ['metadata key twice', '{"__metadata__":{"a":"1","a":"2"}}'],
    ['cut JSON', '{"a":{"dtype":"F32","shape":[2'],
    ['text after the object', '{} {}'],
    ['trailing comma', '{"a":{"dtype":"U8","shape":[1,],"data_offsets":[0,1]}}'],
    ['deep nesting', `{"a":${'['.repeat(100_000)}`],
    ['deep nesting in the metadata', `{"__metadata__":${'{"a":'.repeat(100_000)}`],
    ['control character in a name', '{"a\n":{}}'],
    ['malformed escape', '{"a\\x":{}}'],
    ['lone surrogate', '{"\\ud800":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'],
    ['unfinished string', '{"aaa'],
    ['unfinished escape', '{"aaa\\'],
  ])('file: %s', async (_, header, data) => {
    expect((await fault(await make(header, data))).code).toBe('SAFETENSORS_MALFORMED')
  })

  test('header length: above the limit, and not UTF-8', async () => {
    for (const length of [100_000_001n, 2n ** 63n, 2n ** 64n - 1n, 0n, 1n])
      expect((await fault(await make('{}', new Uint8Array(0), length))).code).toBe('SAFETENSORS_MALFORMED')
    expect((await fault(await make('{}', new Uint8Array(0), 100_000_000n))).code).toBe('SAFETENSORS_TRUNCATED')
    const file = await make('{"\u00e9":{}}')
    const bytes = await readFile(file)
    bytes[11] = 0xff
    await writeFile(file, bytes)
    expect((await fault(file)).code).toBe('SAFETENSORS_MALFORMED')
  })

  test.each([
    ['PK\x03\x04\x14\x00\x00\x00\x08\x00archive/data.pkl', /pickle/],
    ['\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.', /pickle/],
    ['GGUF\x03\x00\x00\x00\x00\x00\x00\x00', /GGUF/],
    ['\x89HDF\r\n\x1a\n\x00\x00\x00\x00', /Keras/],
    ['version https://git-lfs.github.com/spec/v1\noid sha256:0\n', /Git LFS pointer/],
    ['<!DOCTYPE html><html>', /web page/],
    ['just some text that is long enough', /not a safetensors file/],
    ['short', /only 5 bytes/],
  ])('another format: %j', async (content, message) => {
    const file = join(folder, 'model.safetensors')
    await writeFile(file, Buffer.from(content, 'latin1'))
    const error = await fault(file)
    expect(error.message).toMatch(message)
    expect(error.help).toBeTruthy()
  })

  test('missing file and folder', async () => {
    expect((await fault(join(folder, 'none.safetensors'))).code).toBe('ENOENT')
    expect((await fault(folder)).code).toBe('EISDIR')
  })
})

test('accepted: padding, unordered entries, escapes, metadata, no tensors', async () => {
  const header =
    '{"b\\n\\u00e9":{"shape":[2],"dtype":"F32","data_offsets":[4,12]}, "__metadata__":{"k":"v\\"","__proto__":"x"},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},' +
    '"":{"dtype":"F64","shape":[7,0],"data_offsets":[4,4]}}\t\r\n   '
  const file = await openSafetensors(await make(header, new Uint8Array(12)))
  expect([...file.tensors.keys()]).toEqual(['b\né', 'a', ''])
  expect(Object.entries(file.metadata)).toEqual([
    ['k', 'v"'],
    ['__proto__', 'x'],
  ])
  await file.close()
  const empty = await openSafetensors(await make('{}'))
  expect(empty.tensors.size).toBe(0)
  await empty.close()
})

describe('mutations of a valid file', () => {
  /** Opens and reads all of a file; resolves with nothing or a typed error, never anything else. */
  async function survive(file: string): Promise<void> {
    try {
      const opened = await openSafetensors(file)
      try {
        let total = 0
        for (const { name, bytes } of opened.tensors.values()) {
          total += bytes
          expect(total).toBeLessThanOrEqual(opened.fileBytes) // so nothing is ever allocated beyond the size of the file
          await opened.readInto(name, new Uint8Array(bytes))
        }
      } finally {
        await opened.close()
      }
    } catch (error) {
      if (!EspalierError.is(error)) throw error
      expect(error.message.length + (error.help?.length ?? 0)).toBeLessThan(1000)
    }
  }

  test('bytes flipped, inserted, removed, cut', async () => {
    const original = await readFile(fixture('tiny-lora/adapter_model.safetensors'))
    const headerBytes = 8 + Number(original.readBigUInt64LE(0))
    const file = join(folder, 'mutant.safetensors')
    for (let run = 0; run < 1500; run++) {
      const r = random('mutate', run)
      let bytes = Buffer.from(original)
      const changes = 1 + Math.floor(r.uniform(0) * 3)
      for (let c = 1; c <= changes; c++) {
        const at = Math.floor(r.uniform(10 * c) * (c % 2 === 0 ? 8 : headerBytes))
        const kind = r.uint32(10 * c + 1) % 5
        if (kind === 0) bytes[at] = r.uint32(10 * c + 2) & 255
        else if (kind === 1)
          bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + (r.uint32(10 * c + 2) % 9))])
        else if (kind === 2)
          bytes = Buffer.concat([
            bytes.subarray(0, at),
            Buffer.from('{}[],:"\\9e-0 \n'[r.uint32(10 * c + 2) % 14]!),
            bytes.subarray(at),
          ])
        else if (kind === 3) bytes = bytes.subarray(0, Math.floor(r.uniform(10 * c + 3) * bytes.length))
        else bytes[at]! ^= 1 << (r.uint32(10 * c + 2) % 8)
        if (bytes.length === 0) break
      }
      await writeFile(file, bytes)
      await survive(file)
    }
  })

  test('headers put together at random', async () => {
    const number = fc.oneof(fc.integer({ min: -1, max: 20 }), fc.constantFrom(2 ** 31, 2 ** 53, 2 ** 64, 1e300, 0.5))
    const entry = fc.record(
      {
        dtype: fc.oneof(fc.constantFrom(...(Object.keys(dtypes) as Dtype[])), fc.string()),
        shape: fc.oneof(fc.array(number, { maxLength: 4 }), fc.jsonValue()),
        data_offsets: fc.oneof(fc.array(number, { maxLength: 3 }), fc.jsonValue()),
      },
      { requiredKeys: [] },
    )
    const header = fc.oneof(fc.dictionary(fc.string(), fc.oneof(entry, fc.jsonValue()), { maxKeys: 4 }), fc.jsonValue())
    await fc.assert(
      fc.asyncProperty(header, fc.integer({ min: 0, max: 40 }), async (value, size) => {
        await survive(await make(JSON.stringify(value), new Uint8Array(size)))
      }),
      { numRuns: 1000 },
    )
  })
})
