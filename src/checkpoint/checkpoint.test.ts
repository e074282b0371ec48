import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openCheckpoint } from './checkpoint.ts'

const fixtures = new URL('../../test/fixtures/checkpoints/', import.meta.url)
const fixture = (name: string) => new URL(name, fixtures).pathname

let root = ''
let folder = ''
let counter = 0
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'espalier-'))
})
beforeEach(async () => {
  folder = join(root, String(counter++))
  await mkdir(folder)
})
afterAll(() => rm(root, { recursive: true }))

describe('a folder that transformers saved', () => {
  test('one file and shards hold the same', async () => {
    const single = await openCheckpoint(fixture('tiny-bert'))
    const sharded = await openCheckpoint(fixture('tiny-bert-sharded'))
    expect(single.config['model_type']).toBe('bert')
    expect(single.files.length).toBe(1)
    expect(sharded.files.length).toBe(2)
    expect([...sharded.tensors.keys()].sort()).toEqual([...single.tensors.keys()].sort())
    for (const name of single.tensors.keys()) expect(await sharded.read(name)).toEqual(await single.read(name))
    await Promise.all([single.close(), sharded.close()])
  })

  test('values, rows and parts', async () => {
    const model = await openCheckpoint(fixture('tiny-bert/model.safetensors'))
    const name = 'bert.embeddings.word_embeddings.weight'
    const all = await model.readFloat32(name)
    expect(all.length).toBe(320)
    expect(await model.readRows(name, 3, 5)).toEqual(new Uint8Array(all.slice(24, 40).buffer))
    expect((await model.readRows(name, 7, 7)).length).toBe(0)
    await expect(model.readRows(name, 0, 41)).rejects.toThrow(RangeError)
    const target = new Uint8Array(8)
    await model.readInto(name, target, 32)
    expect(new Float32Array(target.buffer)).toEqual(all.slice(8, 10))
    await expect(model.read('bert.embeddings.word_embeddings.weigth')).rejects.toMatchObject({ code: 'TENSOR_UNKNOWN' })
    await model.close()
  })
})

describe('shards', () => {
  const index = 'model.safetensors.index.json'
  const first = 'model-00001-of-00002.safetensors'
  beforeEach(async () => {
    await cp(fixture('tiny-bert-sharded'), folder, { recursive: true })
  })
  const edit = async (change: (map: Record<string, string>, whole: Record<string, unknown>) => unknown) => {
    const whole = JSON.parse(await readFile(join(folder, index), 'utf8'))
    await writeFile(join(folder, index), JSON.stringify(change(whole.weight_map, whole) ?? whole))
  }
  const fault = async () => {
    const error = await openCheckpoint(folder).then(
      () => undefined,
      (error: unknown) => error,
    )
    expect(error).toMatchObject({ where: { file: join(folder, index) } })
    return error
  }

  test('a missing shard', async () => {
    await rm(join(folder, first))
    expect(await fault()).toMatchObject({ code: 'SHARD_MISSING', data: { missing: [first] } })
  })

  test('a tensor listed in the wrong shard, or in none', async () => {
    await edit((map) => {
      const name = Object.keys(map).find((key) => map[key] === first)!
      map[name] = 'model-00002-of-00002.safetensors'
    })
    expect(await fault()).toMatchObject({
      code: 'SHARD_MISMATCH',
      message: expect.stringContaining(`it is in ${first}`),
    })
    await edit((map) => {
      map['ghost'] = first
    })
    expect(await fault()).toMatchObject({ code: 'SHARD_MISMATCH' })
  })

  test('a tensor in two shards', async () => {
    await cp(join(folder, first), join(folder, 'extra.safetensors'))
    await edit((map) => {
      const name = Object.keys(map).find((key) => map[key] === first)!
      map[name] = 'extra.safetensors'
    })
    expect(await fault()).toMatchObject({ code: 'SHARD_MISMATCH', message: expect.stringContaining('Two shards') })
  })

  test.each([
    '../model.safetensors',
    '/etc/model.safetensors',
    'a/b.safetensors',
    'a\\b.safetensors',
    'C:x.safetensors',
    'weights.bin',
    '',
    '.safetensors\0.safetensors',
  ])('a path out of the folder: %j', async (path) => {
    await edit((map) => {
      map[Object.keys(map)[0]!] = path
    })
    expect(await fault()).toMatchObject({ code: 'SHARD_INDEX' })
  })

  test.each([
    '{"weight_map":{"a":"x.safetensors","a":"y.safetensors"}}',
    '{"weight_map":{"a":"x.safetensors"},"weight_map":{}}',
    '{"weight_map":{}}',
    '{"metadata":{}}',
    '[]',
    '{"weight_map":{"a":1}}',
    `{"metadata":${'['.repeat(1_000_000)}`,
    '{"metadata":{"a":[1,-2.5e3,true,null,"x",{}]},"weight_map":',
    '',
  ])('a malformed index: %#', async (text) => {
    await writeFile(join(folder, index), text)
    expect(await fault()).toMatchObject({ code: 'SHARD_INDEX' })
  })

  test('a broken shard is named', async () => {
    await writeFile(join(folder, first), (await readFile(join(folder, first))).subarray(0, 3000))
    await expect(openCheckpoint(folder)).rejects.toMatchObject({
      code: 'SAFETENSORS_TRUNCATED',
      where: { file: join(folder, first) },
    })
  })
})

describe('folders without safetensors', () => {
  test.each([
    ['pytorch_model.bin', /pickle/, /safetensors\.torch/],
    ['model.pt', /pickle/, /pytorch|torch\.load\('model\.pt'/],
    ['model.ckpt', /pickle/, /weights_only=True/],
    ['model.q4.gguf', /GGUF/, /original/],
    ['tf_model.h5', /TensorFlow/, /from_tf/],
    ['flax_model.msgpack', /Flax/, /from_flax/],
    ['model.onnx', /ONNX/, /exported/],
  ])('%s is refused with the way to convert it', async (name, message, help) => {
    await writeFile(join(folder, name), 'x')
    for (const path of [folder, join(folder, name)])
      await expect(openCheckpoint(path)).rejects.toMatchObject({
        code: 'CHECKPOINT_FORMAT',
        message: expect.stringMatching(message),
        help: expect.stringMatching(help),
        where: { file: join(folder, name) },
      })
  })

  test('empty, ambiguous, adapter, missing', async () => {
    await expect(openCheckpoint(folder)).rejects.toMatchObject({ code: 'CHECKPOINT_MISSING', where: { file: folder } })
    await expect(openCheckpoint(join(folder, 'none'))).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(openCheckpoint(fixture('tiny-lora'))).rejects.toMatchObject({ code: 'CHECKPOINT_IS_ADAPTER' })
    await writeFile(join(folder, 'training_args.bin'), 'x')
    await expect(openCheckpoint(folder)).rejects.toMatchObject({ code: 'CHECKPOINT_MISSING' })
    for (const name of ['a', 'b']) await cp(fixture('tiny-bert/model.safetensors'), join(folder, `${name}.safetensors`))
    await expect(openCheckpoint(folder)).rejects.toMatchObject({ code: 'CHECKPOINT_AMBIGUOUS' })
    const named = await openCheckpoint(join(folder, 'a.safetensors'))
    expect(named.config).toEqual({})
    await named.close()
  })

  test('config.json: malformed, and not an object', async () => {
    await cp(fixture('tiny-bert'), folder, { recursive: true })
    await writeFile(join(folder, 'config.json'), '{"a": }')
    await expect(openCheckpoint(folder)).rejects.toMatchObject({ code: 'JSON_MALFORMED', where: { line: 1 } })
    await writeFile(join(folder, 'config.json'), '[]')
    await expect(openCheckpoint(folder)).rejects.toMatchObject({ code: 'CONFIG_MALFORMED' })
  })
})
