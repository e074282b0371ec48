/** Merges of whole checkpoints as users have them: decoders with tied and untied embeddings, decoders with classification heads. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/checkpoint.ts'
import { writeCheckpoint } from '../../src/checkpoint/write-checkpoint.ts'
import { mergeRecipe, planRecipe } from '../../src/merge/merge.ts'
import { mergeTensors } from '../../src/merge/merge-tensors.ts'
import { ties } from '../../src/merge/methods/index.ts'
import { fromFloat64, toFloat64 } from '../../src/tensor/dtypes.ts'
import { random } from '../../src/tensor/random.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-architectures-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const embedding = 'model.embed_tokens.weight'
const output = 'lm_head.weight'

/** A decoder with the names of LLaMA. `seed` 0 is the base that the others are tuned from. */
async function decoder(name: string, seed: number, options: { tied?: boolean; labels?: string[] } = {}) {
  const { tied = false, labels } = options
  const shapes: [string, number[]][] = [
    [embedding, [12, 8]],
    ...[0, 1].flatMap((i): [string, number[]][] => [
      [`model.layers.${i}.self_attn.q_proj.weight`, [8, 8]],
      [`model.layers.${i}.self_attn.k_proj.weight`, [4, 8]],
      [`model.layers.${i}.mlp.gate_proj.weight`, [16, 8]],
      [`model.layers.${i}.mlp.down_proj.weight`, [8, 16]],
      [`model.layers.${i}.input_layernorm.weight`, [8]],
    ]),
    ['model.norm.weight', [8]],
    ...(labels ? ([['score.weight', [labels.length, 8]]] as [string, number[]][]) : []),
    ...(tied || labels ? [] : ([[output, [12, 8]]] as [string, number[]][])),
  ]
  const path = join(folder, name)
  await writeCheckpoint(path, {
    config: {
      model_type: 'llama',
      architectures: [labels ? 'LlamaForSequenceClassification' : 'LlamaForCausalLM'],
      num_hidden_layers: 2,
      vocab_size: 12,
      tie_word_embeddings: tied,
      ...(labels ? { id2label: Object.fromEntries(labels.map((label, i) => [i, label])) } : {}),
    },
    tensors: shapes.map(([tensor, shape]) => {
      const [origin, change] = [random('origin', tensor), random('change', seed, tensor)]
      const values = Float64Array.from({ length: shape.reduce((product, n) => product * n, 1) }, (_, i) =>
        Math.fround(origin.normal(i) + (seed === 0 ? 0 : 0.1 * change.normal(i))),
      )
      return { name: tensor, dtype: 'F32' as const, shape, data: fromFloat64(values, 'F32') }
    }),
  })
  return path
}

async function valuesOf(path: string): Promise<Map<string, number[]>> {
  const checkpoint = await openCheckpoint(path)
  const values = new Map<string, number[]>()
  for (const [name, { dtype }] of checkpoint.tensors)
    values.set(name, Array.from(toFloat64(await checkpoint.read(name), dtype)))
  await checkpoint.close()
  return values
}

let count = 0
async function mergeText(text: string): Promise<{ values: Map<string, number[]>; out: string }> {
  const file = join(folder, `recipe-${count}.yml`)
  const out = join(folder, `out-${count++}`)
  await writeFile(file, text)
  await mergeRecipe(file, out)
  return { values: await valuesOf(out), out }
}

const mean = (a: number[], b: number[]) => a.map((x, i) => Math.fround(0.5 * x + 0.5 * b[i]!))

describe('tied embeddings', () => {
  it('stay tied where all models tie them', async () => {
    const [a, b] = [await decoder('tied-a', 1, { tied: true }), await decoder('tied-b', 2, { tied: true })]
    const { values, out } = await mergeText(`merge_method: linear\nmodels: [{model: ${a}}, {model: ${b}}]\n`)
    const [va, vb] = [await valuesOf(a), await valuesOf(b)]
    expect(values.has(output)).toBe(false)
    expect(values.get(embedding)).toEqual(mean(va.get(embedding)!, vb.get(embedding)!))
    expect(JSON.parse(await readFile(join(out, 'config.json'), 'utf8')).tie_word_embeddings).toBe(true)
  })

  it('take part as the output embedding of a model that has one', async () => {
    const [a, b] = [await decoder('untied', 1), await decoder('tied', 2, { tied: true })]
    const text = `merge_method: linear\nmodels: [{model: ${a}}, {model: ${b}}]\n`
    const { values, out } = await mergeText(text)
    const [va, vb] = [await valuesOf(a), await valuesOf(b)]
    expect(values.get(output)).toEqual(mean(va.get(output)!, vb.get(embedding)!))
    expect(values.get(embedding)).toEqual(mean(va.get(embedding)!, vb.get(embedding)!))
    expect(JSON.parse(await readFile(join(out, 'config.json'), 'utf8')).tie_word_embeddings).toBe(false)
    const file = join(folder, 'tied.yml')
    await writeFile(file, text)
    expect((await planRecipe(file)).conflicts).toMatchObject([{ severity: 'note', code: 'TIED', model: b }])
  })
})

describe('decoders', () => {
  it('merge tensor by tensor as the method says', async () => {
    const [base, a, b] = [await decoder('base', 0), await decoder('x', 3), await decoder('y', 4)]
    const { values } = await mergeText(
      `merge_method: ties\nbase_model: ${base}\nmodels: [{model: ${a}}, {model: ${b}}]\nparameters: {density: 0.4}\ndtype: float64\n`,
    )
    const [v0, va, vb] = await Promise.all([base, a, b].map(valuesOf))
    for (const [name, merged] of values) {
      const method = ties({ density: 0.4 })
      const models = [va!.get(name)!, vb!.get(name)!]
      expect(merged, name).toEqual(Array.from(await mergeTensors({ method, base: v0!.get(name)!, models })))
    }
    expect(values.size).toBe(v0!.size)
  })

  it('refuse NaN also where tensors are only copied, naming the model', async () => {
    const path = await decoder('damaged', 5)
    const checkpoint = await openCheckpoint(path)
    const { place } = checkpoint.tensors.get('model.layers.1.mlp.gate_proj.weight')!
    await checkpoint.close()
    const bytes = await readFile(place!.file)
    bytes.writeFloatLE(Number.NaN, place!.offset + 4 * 77)
    await writeFile(place!.file, bytes)
    const stack = `merge_method: passthrough\nslices:\n  - sources: [{model: ${path}, layer_range: [0, 2]}]\n  - sources: [{model: ${path}, layer_range: [0, 2]}]\n`
    await expect(mergeText(stack)).rejects.toMatchObject({
      code: 'NOT_FINITE',
      exitCode: 2,
      data: { model: path, element: 77 },
    })
  })
})

describe('classification heads of decoders', () => {
  const labels = [
    ['joy', 'fear', 'anger'],
    ['fear', 'calm'],
  ]
  let made = 0
  const models = async () => {
    made++
    const [a, b] = [
      await decoder(`${made}/head-a`, 6, { labels: labels[0]! }),
      await decoder(`${made}/head-b`, 7, { labels: labels[1]! }),
    ]
    const text = (head: string) => `merge_method: linear\nmodels: [{model: ${a}}, {model: ${b}}]\nhead: ${head}\n`
    return { b, text, va: await valuesOf(a), vb: await valuesOf(b) }
  }

  it('are kept, one per task', async () => {
    const { text, va, vb } = await models()
    const { values, out } = await mergeText(text('keep-per-task'))
    expect(values.has('score.weight')).toBe(false)
    expect(values.get(embedding)).toEqual(mean(va.get(embedding)!, vb.get(embedding)!))
    expect((await readdir(join(out, 'heads'))).sort()).toEqual(['head-a', 'head-b'])
    for (const [name, expected] of [['head-a', va] as const, ['head-b', vb] as const])
      expect((await valuesOf(join(out, 'heads', name, 'head.safetensors'))).get('score.weight')).toEqual(
        expected.get('score.weight'),
      )
  })

  it('are taken from one model', async () => {
    const { b, text, vb } = await models()
    const { values, out } = await mergeText(text(`from ${b}`))
    expect(values.get('score.weight')).toEqual(vb.get('score.weight'))
    expect(Object.values(JSON.parse(await readFile(join(out, 'config.json'), 'utf8')).id2label)).toEqual(labels[1])
  })

  it('are joined by label name', async () => {
    const { text, va, vb } = await models()
    const { values, out } = await mergeText(text('merge-by-label-name'))
    const row = (v: Map<string, number[]>, i: number) => v.get('score.weight')!.slice(8 * i, 8 * i + 8)
    expect(row(values, 0)).toEqual(row(va, 0))
    expect(row(values, 1)).toEqual(row(va, 1).map((x, i) => Math.fround((x + row(vb, 0)[i]!) / 2)))
    expect(row(values, 2)).toEqual(row(va, 2))
    expect(row(values, 3)).toEqual(row(vb, 1))
    const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'))
    expect(Object.values(config.id2label)).toEqual(['joy', 'fear', 'anger', 'calm'])
  })
})
