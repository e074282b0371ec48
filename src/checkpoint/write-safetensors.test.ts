import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Dtype, dtypes, tensorBytes } from '../tensor/dtypes.ts'
import { openCheckpoint } from './checkpoint.ts'
import { openSafetensors } from './safetensors-file.ts'
import { layoutSafetensors } from './safetensors-header.ts'
import { writeCheckpoint } from './write-checkpoint.ts'
import { createSafetensors, type TensorEntry, verifySafetensors, writeSafetensors } from './write-safetensors.ts'

const fixtures = new URL('../../test/fixtures/checkpoints/', import.meta.url)
const fixture = (name: string) => new URL(name, fixtures).pathname

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-'))
})
afterAll(() => rm(folder, { recursive: true }))

const tensorArbitrary = fc
  .record({
    name: fc
      .oneof(fc.string({ maxLength: 12 }), fc.string({ unit: 'grapheme', maxLength: 6 }))
      .filter((name) => name !== '__metadata__'),
    dtype: fc.constantFrom(...(Object.keys(dtypes) as Dtype[])),
    shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }),
  })
  .filter(({ dtype, shape }) => tensorBytes(dtype, shape) !== undefined)
  .chain((spec) =>
    fc
      .uint8Array({ minLength: tensorBytes(spec.dtype, spec.shape)!, maxLength: tensorBytes(spec.dtype, spec.shape)! })
      .map((data): TensorEntry & { data: Uint8Array } => ({ ...spec, data })),
  )
const tensorsArbitrary = fc.uniqueArray(tensorArbitrary, { selector: ({ name }) => name, maxLength: 12 })

describe('one file', () => {
  test('what is written is read, for any dtypes, shapes, names and metadata', async () => {
    const file = join(folder, 'round.safetensors')
    const metadata = fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 })
    await fc.assert(
      fc.asyncProperty(tensorsArbitrary, metadata, async (entries, notes) => {
        await writeSafetensors(file, entries, notes)
        const read = await openSafetensors(file)
        expect(read.tensors.size).toBe(entries.length)
        expect({ ...read.metadata }).toEqual({ ...notes })
        for (const { name, dtype, shape, data } of entries) {
          expect(read.tensors.get(name)).toMatchObject({ dtype, shape })
          const bytes = new Uint8Array(data.length)
          await read.readInto(name, bytes)
          expect(bytes).toEqual(data)
        }
        await read.close()
      }),
      { numRuns: 200 },
    )
  })

  test.each(['dtypes.safetensors', 'tiny-bert/model.safetensors', 'tiny-lora-rs/adapter_model.safetensors'])(
    '%s is written with the very bytes of the reference implementation',
    async (name) => {
      const source = await openSafetensors(fixture(name))
      const entries = [...source.tensors.values()].reverse().map(
        (info): TensorEntry => ({
          ...info,
          data: async () => {
            const bytes = new Uint8Array(info.bytes)
            await source.readInto(info.name, bytes)
            return bytes
          },
        }),
      )
      const file = join(folder, 'copy.safetensors')
      await writeSafetensors(file, entries, { ...source.metadata })
      expect((await readFile(file)).equals(await readFile(fixture(name)))).toBe(true)
      await source.close()
    },
  )

  test('data in parts, lazy data, async entries, progress', async () => {
    const file = join(folder, 'parts.safetensors')
    async function* entries(): AsyncGenerator<TensorEntry> {
      yield { name: 'a', dtype: 'F32', shape: [4], data: () => Float32Array.of(1, 2, 3, 4) }
      yield {
        name: 'b',
        dtype: 'U8',
        shape: [3],
        data: async function* () {
          yield Uint8Array.of(7)
          yield Uint8Array.of(8, 9)
        },
      }
    }
    const seen: number[] = []
    await writeSafetensors(file, entries(), undefined, { onProgress: ({ done }) => seen.push(done) })
    const read = await openSafetensors(file)
    expect(read.metadata).toEqual({ format: 'pt' })
    const b = new Uint8Array(3)
    await read.readInto('b', b)
    expect([...b]).toEqual([7, 8, 9])
    expect(seen.at(-1)).toBe(read.fileBytes)
    await read.close()
  })

  test('in place: any order, several writers', async () => {
    const file = join(folder, 'place.safetensors')
    const layout = layoutSafetensors([
      { name: 'a', dtype: 'U8', shape: [1000] },
      { name: 'b', dtype: 'F32', shape: [1000] },
    ])
    const writer = await createSafetensors(file, layout)
    const a = Uint8Array.from({ length: 1000 }, (_, i) => i)
    const b = new Uint8Array(Float32Array.from({ length: 1000 }, (_, i) => i).buffer)
    await Promise.all([
      writer.write('a', a.subarray(600), 600),
      writer.write('b', b.subarray(0, 1500)),
      writer.write('a', a.subarray(0, 600)),
      writer.write('b', b.subarray(1500), 1500),
    ])
    await expect(writer.write('a', a, 1)).rejects.toThrow(RangeError)
    await writer.close()
    await verifySafetensors(file, layout, { checkFinite: true })
    const whole = await readFile(file)
    expect(whole.subarray(layout.tensors[0]!.offset, layout.tensors[0]!.offset + 4000).equals(b)).toBe(true)
    expect(whole.subarray(-1000).equals(a)).toBe(true)
    await expect(createSafetensors(file, layout)).rejects.toThrow() // never over an existing file
  })

  test('a failure leaves the old file and no temporary', async () => {
    const place = await mkdtemp(join(folder, 'fail-'))
    const file = join(place, 'model.safetensors')
    await writeSafetensors(file, [{ name: 'w', dtype: 'U8', shape: [1], data: Uint8Array.of(5) }])
    const before = await readFile(file)
    const spec = { name: 'w', dtype: 'F32' as const, shape: [2] }
    const attempts: [() => Promise<void>, object][] = [
      [() => writeSafetensors(file, [{ ...spec, data: new Float32Array(3) }]), { name: 'RangeError' }],
      [() => writeSafetensors(file, [{ ...spec, data: new Float32Array(1) }]), { name: 'RangeError' }],
      [() => writeSafetensors(file, [{ ...spec, data: () => Promise.reject(new Error('lost')) }]), { message: 'lost' }],
      [
        () =>
          writeSafetensors(
            file,
            [spec, spec].map((s) => ({ ...s, data: new Float32Array(2) })),
          ),
        { code: 'SAFETENSORS_TENSOR' },
      ],
      [
        () => writeSafetensors(file, [{ ...spec, data: Float32Array.of(1, Number.NaN) }], {}, { checkFinite: true }),
        { code: 'NOT_FINITE' },
      ],
      [
        () => writeSafetensors(file, [{ ...spec, data: new Float32Array(2) }], {}, { signal: AbortSignal.abort() }),
        { code: 'INTERRUPTED' },
      ],
    ]
    for (const [attempt, expected] of attempts) await expect(attempt()).rejects.toMatchObject(expected)
    await expect(writeSafetensors(join(place, 'none', 'x.safetensors'), [])).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await readdir(place)).toEqual(['model.safetensors'])
    expect((await readFile(file)).equals(before)).toBe(true)
  })
})

describe('folders', () => {
  test('any tensors, any shard size: what is written is read', async () => {
    let run = 0
    await fc.assert(
      fc.asyncProperty(tensorsArbitrary, fc.integer({ min: 1, max: 400 }), async (entries, maxShardBytes) => {
        const out = join(folder, `sharded-${run++}`)
        const config = { model_type: 'bert', hidden_size: 8 }
        await writeCheckpoint(out, { config, tensors: entries, maxShardBytes })
        const read = await openCheckpoint(out)
        expect([...read.tensors.keys()].sort()).toEqual(entries.map(({ name }) => name).sort())
        expect(read.config).toEqual(config)
        for (const { name, dtype, shape, data } of entries) {
          expect(read.tensors.get(name)).toMatchObject({ dtype, shape })
          expect(new Uint8Array(await read.read(name))).toEqual(data)
        }
        const shards = read.files.length
        expect((await readdir(out)).includes('model.safetensors')).toBe(shards === 1)
        await read.close()
        await rm(out, { recursive: true })
      }),
      { numRuns: 100 },
    )
  })

  test('companion files are carried over, given files win', async () => {
    const source = await mkdtemp(join(folder, 'source-'))
    const { writeFile } = await import('node:fs/promises')
    for (const name of ['tokenizer.json', 'vocab.txt', 'optimizer.pt', 'notes.txt', 'generation_config.json'])
      await writeFile(join(source, name), `old ${name}`)
    const out = join(folder, 'companions')
    await writeCheckpoint(out, {
      config: {},
      tensors: [],
      copyFrom: source,
      files: { 'vocab.txt': 'new', 'labels.json': '{}' },
    })
    expect((await readdir(out)).sort()).toEqual([
      'config.json',
      'generation_config.json',
      'labels.json',
      'model.safetensors',
      'tokenizer.json',
      'vocab.txt',
    ])
    expect(await readFile(join(out, 'vocab.txt'), 'utf8')).toBe('new')
  })
})
