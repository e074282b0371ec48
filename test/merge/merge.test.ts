import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/checkpoint.ts'
import { merge, mergeRecipe, planRecipe } from '../../src/merge/merge.ts'
import { dellaLinear, linear, slerp, taskArithmetic, ties } from '../../src/merge/methods/index.ts'
import { toFloat64 } from '../../src/tensor/dtypes.ts'
import type { EspalierError } from '../../src/util/errors.ts'
import { type SmallModel, smallValues, writeSmallModel } from './checkpoints.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-merge-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

let count = 0
const fresh = (name: string) => join(folder, `${name}-${count++}`)
const model = (options: SmallModel = {}) => writeSmallModel(fresh('model'), options)

async function valuesOf(path: string): Promise<Map<string, number[]>> {
  const checkpoint = await openCheckpoint(path)
  const values = new Map<string, number[]>()
  for (const [name, { dtype }] of checkpoint.tensors)
    values.set(name, Array.from(toFloat64(await checkpoint.read(name), dtype)))
  await checkpoint.close()
  return values
}

async function digest(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(join(path, 'model.safetensors')))
    .digest('hex')
}

async function recipe(text: string): Promise<string> {
  const file = `${fresh('recipe')}.yml`
  await writeFile(file, text)
  return file
}

const fault = (work: Promise<unknown>): Promise<EspalierError> =>
  work.then(
    () => {
      throw new Error('expected a fault')
    },
    (error: EspalierError) => error,
  )

describe('merge', () => {
  it('averages checkpoints, rounding once', async () => {
    const [a, b] = [await model({ seed: 1 }), await model({ seed: 2 })]
    const out = fresh('out')
    const result = await merge([{ model: a, weight: 3 }, b], { method: linear(), out })
    expect(result.plan.weights.map(({ least }) => least)).toEqual([0.75, 0.25])
    const [va, vb, merged] = [await valuesOf(a), await valuesOf(b), await valuesOf(out)]
    for (const [name, values] of merged)
      expect(values).toEqual(va.get(name)!.map((x, i) => Math.fround(0.75 * x + 0.25 * vb.get(name)![i]!)))
    expect(merged.size).toBe(va.size)
    expect((await readdir(out)).sort()).toEqual(['config.json', 'espalier.json', 'model.safetensors'])
  })

  it('gives the same bytes whatever the threads and blocks', async () => {
    const base = await model({ width: 96 })
    const models = await Promise.all([1, 2, 3].map((seed) => model({ seed, width: 96 })))
    for (const method of [ties({ density: 0.3, scope: 'model' }), dellaLinear({ density: 0.5 })]) {
      const digests = []
      for (const options of [{ threads: 1 }, { threads: 3 }, { threads: 2, blockLength: 4096 }]) {
        const out = fresh('out')
        await merge(models, { base, method, out, seed: 7, ...options })
        digests.push(await digest(out))
      }
      expect(new Set(digests).size).toBe(1)
    }
  })

  it('writes the asked dtype, shards and index', async () => {
    const base = await model({ dtype: 'BF16' })
    const [a, b] = [await model({ seed: 1, dtype: 'F16' }), await model({ seed: 2, dtype: 'F32' })]
    const out = fresh('out')
    await merge([a, b], { base, method: taskArithmetic({ lambda: 0.5 }), out, dtype: 'F16', maxShardBytes: 500 })
    const checkpoint = await openCheckpoint(out)
    expect(new Set([...checkpoint.tensors.values()].map(({ dtype }) => dtype))).toEqual(new Set(['F16']))
    expect(checkpoint.files.length).toBeGreaterThan(1)
    expect(checkpoint.config['torch_dtype']).toBe('float16')
    await checkpoint.close()
  })

  it('ties over the whole model equals ties over one long vector', async () => {
    const base = await model()
    const models = await Promise.all([1, 2].map((seed) => model({ seed })))
    const out = fresh('out')
    await merge(models, { base, method: ties({ density: 0.2, scope: 'model' }), out })
    const [v0, v1, v2, merged] = await Promise.all([base, ...models, out].map(valuesOf))
    const flat = (values: Map<string, number[]>) => [...values.keys()].sort().flatMap((name) => values.get(name)!)
    const deltas = [v1!, v2!].map((values) => flat(values).map((x, i) => x - flat(v0!)[i]!))
    const kept = deltas.map((delta) => {
      const counts = [...v0!.values()].map((values) => Math.max(1, Math.floor(0.2 * values.length)))
      const k = counts.reduce((sum, n) => sum + n, 0)
      const cut = delta.map((x) => Math.fround(Math.abs(x))).sort((x, y) => y - x)[k - 1]!
      return delta.map((x) => (Math.fround(Math.abs(x)) >= cut ? x : 0))
    })
    const expected = flat(v0!).map((origin, i) => {
      const [x, y] = [kept[0]![i]!, kept[1]![i]!]
      const sign = x + y >= 0 ? 1 : -1
      const agreeing = [x, y].filter((value) => value * sign > 0)
      return Math.fround(origin + (agreeing.length === 0 ? 0 : agreeing.reduce((s, v) => s + v, 0) / agreeing.length))
    })
    expect(flat(merged!)).toEqual(expected)
  })
})

describe('mergeRecipe', () => {
  it('stacks layers', async () => {
    const [a, b] = [
      await model({ kind: 'decoder', seed: 1, layers: 3 }),
      await model({ kind: 'decoder', seed: 2, layers: 3 }),
    ]
    const file = await recipe(`
slices:
  - sources: [{model: ${a}, layer_range: [0, 2]}]
  - sources: [{model: ${b}, layer_range: [1, 3]}]
merge_method: passthrough
`)
    const out = fresh('out')
    await mergeRecipe(file, out)
    const [va, vb, merged] = await Promise.all([a, b, out].map(valuesOf))
    const q = (i: number) => `model.layers.${i}.self_attn.q_proj.weight`
    expect([0, 1, 2, 3].map((i) => merged!.get(q(i)))).toEqual([
      va!.get(q(0)),
      va!.get(q(1)),
      vb!.get(q(1)),
      vb!.get(q(2)),
    ])
    expect(merged!.get('model.embed_tokens.weight')).toEqual(va!.get('model.embed_tokens.weight'))
    expect(merged!.get('lm_head.weight')).toEqual(vb!.get('lm_head.weight'))
    const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'))
    expect(config.num_hidden_layers).toBe(4)
  })

  it('follows gradients and filters', async () => {
    const [a, b] = [await model({ kind: 'decoder', layers: 3 }), await model({ kind: 'decoder', seed: 2, layers: 3 })]
    const file = await recipe(`
models: [{model: ${a}}, {model: ${b}}]
merge_method: nearswap
base_model: ${a}
parameters:
  t:
    - {filter: mlp, value: [100, 100, 1e-9]}
    - {value: 1e-9}
dtype: float64
`)
    const out = fresh('out')
    await mergeRecipe(file, out)
    const [va, vb, merged] = await Promise.all([a, b, out].map(valuesOf))
    const near = (name: string, wanted: Map<string, number[]>) =>
      merged!.get(name)!.every((x, i) => Math.abs(x - wanted.get(name)![i]!) < 1e-6)
    expect(near('model.layers.0.mlp.up_proj.weight', vb!)).toBe(true)
    expect(near('model.layers.2.mlp.up_proj.weight', va!)).toBe(true)
    expect(near('model.layers.0.self_attn.q_proj.weight', va!)).toBe(true)
  })

  it('notes parameters without effect and refuses unknown ones at their place', async () => {
    const [a, b] = [await model(), await model({ seed: 2 })]
    const text = (parameter: string) =>
      `models: [{model: ${a}}, {model: ${b}}]\nmerge_method: linear\nparameters:\n  ${parameter}: true\n`
    const plan = await planRecipe(await recipe(text('int8_mask')))
    expect(plan.conflicts).toMatchObject([{ severity: 'note', code: 'OPTION_UNUSED' }])
    expect(await fault(planRecipe(await recipe(text('normalise'))))).toMatchObject({
      code: 'METHOD_OPTION',
      where: { line: 4, column: 3 },
      help: 'did you mean "normalize"?',
    })
    expect(await fault(planRecipe(await recipe(text('normalize').replace('true', '3'))))).toMatchObject({
      where: { line: 4 },
    })
  })

  it('suggests methods, wants a base, counts models', async () => {
    const [a, b, c] = await Promise.all([0, 2, 3].map((seed) => model({ seed })))
    const text = (method: string, more = '') =>
      recipe(`models: [{model: ${a}}, {model: ${b}}, {model: ${c}}]\nmerge_method: ${method}\n${more}`)
    expect(await fault(planRecipe(await text('dare_tie')))).toMatchObject({
      code: 'METHOD_UNKNOWN',
      help: 'did you mean "dare_ties"?',
    })
    expect(await fault(planRecipe(await text('ties')))).toMatchObject({
      code: 'RECIPE',
      message: 'Method ties needs a base model, the recipe names none',
    })
    expect((await fault(planRecipe(await text('slerp', `base_model: ${a}\nparameters: {t: 0.5}\n`)))).message).toBe(
      'Method slerp takes exactly 1 model beside the base, received 2',
    )
  })
})

describe('conflicts', () => {
  it('names a missing tensor, and settles it as the recipe says', async () => {
    const name = 'bert.encoder.layer.1.output.dense.weight'
    const base = await model()
    const [a, b] = [await model({ seed: 1 }), await model({ seed: 2, omit: [name] })]
    const options = { base, method: taskArithmetic() }
    expect(await fault(merge([a, b], { ...options, out: fresh('out') }))).toMatchObject({
      code: 'MERGE_CONFLICT',
      message: `${name} is missing`,
    })
    const out = fresh('out')
    await merge([a, b], { ...options, missing: 'available', out })
    const [va, merged] = [await valuesOf(a), await valuesOf(out)]
    expect(merged.get(name)!.every((x, i) => Math.abs(x - va.get(name)![i]!) < 1e-6)).toBe(true)
  })

  it('names shapes and vocabularies that differ', async () => {
    const [a, wide, large] = [await model(), await model({ width: 16 }), await model({ vocabulary: 24 })]
    const shape = await fault(merge([a, wide], { method: linear(), out: fresh('out') }))
    expect(shape.data['conflicts']).toMatchObject([{ code: 'VOCABULARY' }, { code: 'SHAPE' }].slice(1))
    expect(await fault(merge([a, large], { method: linear(), out: fresh('out') }))).toMatchObject({
      message: 'bert.embeddings.word_embeddings.weight has 24 rows, others 20: the vocabularies differ',
    })
  })

  it('merges backbones with and without prefix', async () => {
    const base = await model({ bare: true })
    const [a, b] = [await model({ seed: 1 }), await model({ seed: 2 })]
    const out = fresh('out')
    await merge([a, b], { base, method: taskArithmetic({ lambda: 0.5 }), out })
    const merged = await valuesOf(out)
    const [va, vb] = [await valuesOf(a), await valuesOf(b)]
    expect([...merged.keys()].sort()).toEqual([...va.keys()].sort())
    const name = 'bert.pooler.dense.weight'
    expect(merged.get(name)!.every((x, i) => Math.abs(x - (va.get(name)![i]! + vb.get(name)![i]!) / 2) < 1e-6)).toBe(
      true,
    )
    const head = 'classifier.bias'
    expect(merged.get(head)!.every((x, i) => Math.abs(x - (va.get(head)![i]! + vb.get(head)![i]!) / 2) < 1e-6)).toBe(
      true,
    )
  })

  it('refuses NaN, naming model, tensor and element, and overflow of float16', async () => {
    const name = 'bert.pooler.dense.weight'
    const damaged = await model({
      seed: 2,
      alter: (at, values) => (at === name ? values.fill(Number.NaN, 5, 6) : undefined),
    })
    const a = await model({ seed: 1 })
    const out = fresh('out')
    expect(await fault(merge([a, damaged], { method: linear(), out }))).toMatchObject({
      code: 'NOT_FINITE',
      exitCode: 2,
      where: { tensor: name },
      data: { model: damaged, element: 5 },
    })
    expect(await readdir(folder)).not.toContain(out.split('/').at(-1))
    const huge = await model({ alter: (_, values) => values.map((x) => x * 1e6) })
    expect(await fault(merge([a, huge], { method: linear(), dtype: 'F16', out }))).toMatchObject({ code: 'OVERFLOW' })
  })
})

describe('heads', () => {
  const labels = [
    ['red', 'blue', 'green'],
    ['cat', 'dog'],
  ]

  it('keeps heads of different label sets, one per task', async () => {
    const [a, b] = [await model({ seed: 1, labels: labels[0]! }), await model({ seed: 2, labels: labels[1]! })]
    const out = fresh('out')
    const { plan } = await merge([a, b], { method: linear(), out })
    expect(plan.conflicts).toMatchObject([{ severity: 'note', code: 'HEADS_KEPT' }])
    expect([...(await valuesOf(out)).keys()].some((name) => name.startsWith('classifier'))).toBe(false)
    const names = (await readdir(join(out, 'heads'))).sort()
    expect(names.length).toBe(2)
    const head = await valuesOf(join(out, 'heads', names[1]!, 'head.safetensors'))
    expect(head.get('classifier.weight')).toEqual((await valuesOf(b)).get('classifier.weight'))
    const facts = JSON.parse(await readFile(join(out, 'heads', names[1]!, 'head.json'), 'utf8'))
    expect(Object.values(facts.id2label)).toEqual(labels[1])
  })

  it('takes one head, or joins heads by label name', async () => {
    const shared = ['dog', 'blue']
    const [a, b] = [await model({ seed: 1, labels: labels[0]! }), await model({ seed: 2, labels: shared })]
    const [va, vb] = [await valuesOf(a), await valuesOf(b)]
    const from = fresh('out')
    await merge([a, b], { method: linear(), out: from, head: { kind: 'from', model: { model: b } } })
    expect((await valuesOf(from)).get('classifier.bias')).toEqual(vb.get('classifier.bias'))
    const joined = fresh('out')
    await merge([a, b], { method: linear(), out: joined, head: { kind: 'merge-by-label-name' } })
    const [ba, bb] = [va.get('classifier.bias')!, vb.get('classifier.bias')!]
    expect((await valuesOf(joined)).get('classifier.bias')).toEqual([
      ba[0],
      Math.fround((ba[1]! + bb[1]!) / 2),
      ba[2],
      bb[0],
    ])
    const config = JSON.parse(await readFile(join(joined, 'config.json'), 'utf8'))
    expect(Object.values(config.id2label)).toEqual(['red', 'blue', 'green', 'dog'])
  })
})

describe('adapters', () => {
  it('applies a LoRA while reading', async () => {
    const base = await model({ kind: 'decoder' })
    const other = await model({ kind: 'decoder', seed: 2 })
    const lora = fresh('lora')
    const { writeSafetensors } = await import('../../src/checkpoint/write-safetensors.ts')
    const { mkdir } = await import('node:fs/promises')
    await mkdir(lora)
    await writeFile(join(lora, 'adapter_config.json'), JSON.stringify({ peft_type: 'LORA', r: 2, lora_alpha: 6 }))
    const weight = 'model.layers.1.mlp.up_proj.weight'
    const [a, b] = [
      Float32Array.from({ length: 16 }, (_, i) => i / 10),
      Float32Array.from({ length: 48 }, (_, i) => (i % 5) / 7),
    ]
    await writeSafetensors(join(lora, 'adapter_model.safetensors'), [
      { name: 'base_model.model.model.layers.1.mlp.up_proj.lora_A.weight', dtype: 'F32', shape: [2, 8], data: a },
      { name: 'base_model.model.model.layers.1.mlp.up_proj.lora_B.weight', dtype: 'F32', shape: [24, 2], data: b },
    ])
    const out = fresh('out')
    await merge([`${base}+${lora}`], { base: other, method: slerp({ t: 1 }), out, dtype: 'F64' })
    const origin = smallValues({ kind: 'decoder' }).get(weight)!.values.map(Math.fround)
    const expected = Array.from(origin, (x, i) => {
      const [row, column] = [Math.floor(i / 8), i % 8]
      return x + 3 * (b[row * 2]! * a[column]! + b[row * 2 + 1]! * a[8 + column]!)
    })
    const merged = (await valuesOf(out)).get(weight)!
    for (const [i, value] of expected.entries()) expect(merged[i]).toBeCloseTo(value, 12)
  })
})

describe('resuming', () => {
  it('continues an interrupted merge to the same bytes', async () => {
    const base = await model({ width: 64, layers: 6 })
    const models = await Promise.all([1, 2].map((seed) => model({ seed, width: 64, layers: 6 })))
    const options = { base, method: ties({ density: 0.5 }), threads: 1 }
    const whole = fresh('out')
    await merge(models, { ...options, out: whole })
    const out = fresh('out')
    const controller = new AbortController()
    let reports = 0
    const stopped = merge(models, {
      ...options,
      out,
      signal: controller.signal,
      onProgress: () => ++reports === 3 && controller.abort(),
    })
    expect(await fault(stopped)).toMatchObject({ code: 'INTERRUPTED' })
    expect(await readdir(folder)).not.toContain(out.split('/').at(-1))
    const changed = merge(models, { ...options, method: ties({ density: 0.4 }), out, resume: true })
    expect(await fault(changed)).toMatchObject({ code: 'RESUME_MISMATCH' })
    const result = await merge(models, { ...options, out, resume: true })
    expect(result.resumed).toBeGreaterThan(0)
    expect(await digest(out)).toBe(await digest(whole))
    expect((await readdir(folder)).some((name) => name.includes('.partial'))).toBe(false)
  })

  it('refuses to overwrite what it did not write', async () => {
    const a = await model()
    await writeFile(join(folder, 'file'), 'x')
    expect(await fault(merge([a], { method: linear(), out: join(folder, 'file') }))).toMatchObject({
      code: 'OUT_EXISTS',
    })
    expect(await fault(merge([a], { method: linear(), out: a }))).toMatchObject({ code: 'OUT_EXISTS' })
  })
})

describe('vocabularies', () => {
  const tokenizer = (tokens: readonly string[], added: readonly string[] = []) =>
    JSON.stringify({
      model: { type: 'WordPiece', vocab: Object.fromEntries(tokens.map((token, id) => [token, id])) },
      added_tokens: added.map((content, i) => ({ id: tokens.length + i, content, special: true })),
    })
  const name = 'model.embed_tokens.weight'
  const row = (values: Map<string, number[]>, index: number) => values.get(name)!.slice(index * 8, index * 8 + 8)

  async function twoModels() {
    const base = await model({
      kind: 'decoder',
      vocabulary: 4,
      files: { 'tokenizer.json': tokenizer(['a', 'b', 'c', 'd']) },
    })
    const other = await model({
      kind: 'decoder',
      seed: 2,
      vocabulary: 5,
      files: { 'tokenizer.json': tokenizer(['b', 'a', 'e'], ['<x>', 'd']) },
    })
    return { base, other, values: await Promise.all([base, other].map(valuesOf)) }
  }

  it('joins two vocabularies, matching rows by token', async () => {
    const { base, other, values } = await twoModels()
    const [v0, v1] = values as [Map<string, number[]>, Map<string, number[]>]
    const file = await recipe(
      `models: [{model: ${base}}, {model: ${other}}]\nmerge_method: linear\ntokenizer:\n  source: union\n  tokens:\n    <y>: {source: {kind: model_token, model: ${base}, token: c}}\n    d: {source: ${other}, force: true}\n  pad_to_multiple_of: 4\ndtype: float64\n`,
    )
    const out = fresh('out')
    await mergeRecipe(file, out)
    const merged = await valuesOf(out)
    expect(merged.get(name)!.length).toBe(8 * 8)
    const mean = (x: number[], y: number[]) => x.map((value, i) => 0.5 * value + 0.5 * y[i]!)
    expect(row(merged, 0)).toEqual(mean(row(v0, 0), row(v1, 1))) // a
    expect(row(merged, 1)).toEqual(mean(row(v0, 1), row(v1, 0))) // b
    expect(row(merged, 2)).toEqual(row(v0, 2)) // c: only the base has it
    expect(row(merged, 3)).toEqual(row(v1, 4)) // d: forced
    expect(row(merged, 4)).toEqual(row(v1, 2)) // e
    expect(row(merged, 5)).toEqual(row(v1, 3)) // <x>
    expect(row(merged, 6)).toEqual(row(v0, 2)) // <y> is c of the base
    expect(row(merged, 7).every(Number.isFinite)).toBe(true)
    expect(JSON.parse(await readFile(join(out, 'config.json'), 'utf8')).vocab_size).toBe(8)
    const written = JSON.parse(await readFile(join(out, 'tokenizer.json'), 'utf8'))
    expect(written.added_tokens).toMatchObject([
      { id: 4, content: 'e', special: false },
      { id: 5, content: '<x>', special: true },
      { id: 6, content: '<y>' },
    ])
  })

  it('keeps the vocabulary of the base or of a model', async () => {
    const { base, other, values } = await twoModels()
    const text = (source: string) =>
      recipe(
        `models: [{model: ${other}}]\nmerge_method: task_arithmetic\nbase_model: ${base}\ntokenizer_source: ${source}\ndtype: float64\n`,
      )
    const [first, second] = [fresh('out'), fresh('out')]
    await mergeRecipe(await text('base'), first)
    const merged = await valuesOf(first)
    expect(merged.get(name)!.length).toBe(4 * 8)
    const close = (x: number[], y: number[]) => x.every((value, i) => Math.abs(value - y[i]!) < 1e-12)
    expect(close(row(merged, 0), row(values[1]!, 1))).toBe(true)
    expect(close(row(merged, 2), row(values[0]!, 2))).toBe(true)
    await mergeRecipe(await text(other), second)
    expect(close(row(await valuesOf(second), 0), row(values[1]!, 0))).toBe(true)
    expect(await readFile(join(second, 'tokenizer.json'), 'utf8')).toContain('<x>')
  })

  it('sets a chat template', async () => {
    const a = await model({
      kind: 'decoder',
      files: { 'tokenizer_config.json': '{"chat_template": "{{ old }}", "x": 1}' },
    })
    const out = fresh('out')
    await mergeRecipe(await recipe(`models: [{model: ${a}}]\nmerge_method: linear\nchat_template: "{{ new }}"\n`), out)
    expect(await readFile(join(out, 'chat_template.jinja'), 'utf8')).toBe('{{ new }}')
    expect(JSON.parse(await readFile(join(out, 'tokenizer_config.json'), 'utf8'))).toEqual({ x: 1 })
  })
})
