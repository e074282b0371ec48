import { cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { inspectPath } from './inspect.ts'
import { writeCheckpoint } from './write-checkpoint.ts'

const fixtures = new URL('../../test/fixtures/checkpoints/', import.meta.url)
const fixture = (name: string) => new URL(name, fixtures).pathname

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-inspect-'))
})
afterAll(() => rm(folder, { recursive: true }))

test('a classifier in shards', async () => {
  const found = await inspectPath(fixture('tiny-bert-sharded'), { rows: 3 })
  const single = await inspectPath(fixture('tiny-bert'))
  expect(found).toMatchObject({
    kind: 'checkpoint',
    tensors: 41,
    model: {
      architecture: 'BertForSequenceClassification',
      modelType: 'bert',
      layers: 2,
      labels: ['no', 'maybe', 'yes'],
      companions: [],
    },
    metadata: { format: 'pt' },
  })
  expect(found.model).not.toHaveProperty('tiedEmbeddings')
  expect(found.files.length).toBe(2)
  expect(found.files.reduce((sum, { tensors }) => sum + tensors, 0)).toBe(41)
  expect(found.files[0]!.bytes).toBe((await stat(fixture('tiny-bert-sharded/model-00001-of-00002.safetensors'))).size)
  expect(found.rows.length).toBe(3)
  expect(found.rows[0]!.file).toBe('model-00001-of-00002.safetensors')
  expect([found.parameters, found.bytes]).toEqual([single.parameters, single.bytes])
  expect(found.bytes).toBe(4 * found.parameters)
  expect(found.dtypes).toEqual([{ dtype: 'F32', tensors: 41, parameters: found.parameters, bytes: found.bytes }])
  const index = JSON.parse(await readFile(fixture('tiny-bert-sharded/model.safetensors.index.json'), 'utf8'))
  expect(found.bytes).toBe(index.metadata.total_size)
})

test('a file, with all its dtypes', async () => {
  const found = await inspectPath(fixture('dtypes.safetensors'))
  expect(found.kind).toBe('safetensors')
  expect(found.model).toBeUndefined()
  expect(found.dtypes[0]!.dtype).toBe('F64')
  expect(found.dtypes.length).toBe(19)
  expect(found.rows.length).toBe(20)
})

test('an adapter', async () => {
  const found = await inspectPath(fixture('tiny-lora-rs'))
  expect(found).toMatchObject({
    kind: 'adapter',
    adapter: {
      baseModel: 'tiny-bert',
      rank: 4,
      ranks: [2, 4],
      alpha: 5,
      rankStabilised: true,
      targetModules: ['query', 'dense'],
      modules: 9,
      replacedTensors: 11,
    },
  })
  expect(found.adapter!.scales).toEqual([2.5, 5 / Math.SQRT2, 4.5])
})

test('tied embeddings of a language model', async () => {
  const config = { model_type: 'llama', architectures: ['LlamaForCausalLM'] }
  const tensor = (name: string) => ({ name, dtype: 'BF16' as const, shape: [2, 2], data: new Uint16Array(4) })
  const names = ['model.embed_tokens.weight', 'model.layers.0.mlp.up_proj.weight', 'model.layers.11.mlp.up_proj.weight']
  await writeCheckpoint(join(folder, 'tied'), { config, tensors: names.map(tensor), files: { 'tokenizer.json': '{}' } })
  expect((await inspectPath(join(folder, 'tied'))).model).toEqual({
    architecture: 'LlamaForCausalLM',
    modelType: 'llama',
    layers: 12,
    tiedEmbeddings: true,
    companions: ['tokenizer.json'],
  })
  await writeCheckpoint(join(folder, 'untied'), { config, tensors: [...names, 'lm_head.weight'].map(tensor) })
  expect((await inspectPath(join(folder, 'untied'))).model?.tiedEmbeddings).toBe(false)
})

test('faults are those of opening', async () => {
  await expect(inspectPath(join(folder, 'none'))).rejects.toMatchObject({ code: 'ENOENT' })
  await cp(fixture('tiny-bert'), join(folder, 'cut'), { recursive: true })
  const file = join(folder, 'cut', 'model.safetensors')
  await writeFile(file, (await readFile(file)).subarray(0, 8000))
  await expect(inspectPath(join(folder, 'cut'))).rejects.toMatchObject({
    code: 'SAFETENSORS_TRUNCATED',
    where: { file },
  })
})
