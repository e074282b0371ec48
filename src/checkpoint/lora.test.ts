import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Dtype, dtypes, fromFloat64, toFloat64 } from '../tensor/dtypes.ts'
import { fillNormal, random } from '../tensor/random.ts'
import { openCheckpoint } from './checkpoint.ts'
import { applyLora } from './lora.ts'
import { openLora } from './lora-adapter.ts'
import { openSafetensors } from './safetensors-file.ts'
import { writeSafetensors } from './write-safetensors.ts'

const fixtures = new URL('../../test/fixtures/checkpoints/', import.meta.url)
const fixture = (name: string) => new URL(name, fixtures).pathname

let root = ''
let folder = ''
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'espalier-lora-'))
})
beforeEach(async () => {
  folder = await mkdtemp(join(root, 'a-'))
})
afterAll(() => rm(root, { recursive: true }))

describe.each(['tiny-lora', 'tiny-lora-rs', 'tiny-lora-embedding'])('%s', (name) => {
  test('is merged as PEFT merges it', async () => {
    const base = await openCheckpoint(fixture('tiny-bert'))
    const model = applyLora(base, await openLora(fixture(name)))
    const merged = await openSafetensors(fixture('tiny-lora-merged.safetensors'))
    let compared = 0
    for (const tensor of base.tensors.keys()) {
      const expected = merged.tensors.get(`${name}/${tensor}`)
      if (!expected) {
        expect(await model.read(tensor), tensor).toEqual(await base.read(tensor))
        continue
      }
      const raw = new Uint8Array(expected.bytes)
      await merged.readInto(`${name}/${tensor}`, raw)
      const theirs = Float32Array.from(toFloat64(raw, 'F64')) // PEFT's float64 merge, rounded once
      const ours = await model.readFloat32(tensor)
      for (const [i, value] of ours.entries())
        expect(Math.abs(value - theirs[i]!), tensor).toBeLessThanOrEqual(Math.abs(theirs[i]!) * 2 ** -23)
      compared++
    }
    expect(compared).toBe([...merged.tensors.keys()].filter((key) => key.startsWith(`${name}/`)).length)
    await merged.close()
    await model.close()
  })

  test('parts of tensors are those of the whole', async () => {
    const model = applyLora(await openCheckpoint(fixture('tiny-bert')), await openLora(fixture(name)))
    for (const [tensor, { bytes }] of model.tensors) {
      const whole = await model.read(tensor)
      const r = random(tensor)
      for (let i = 0; i < 4; i++) {
        const from = Math.floor(r.uniform(2 * i) * bytes)
        const part = new Uint8Array(Math.floor(r.uniform(2 * i + 1) * (bytes - from)))
        await model.readInto(tensor, part, from)
        expect(part, `${tensor} ${from}`).toEqual(new Uint8Array(whole.slice(from, from + part.length)))
      }
    }
    await model.close()
  })
})

test('any base dtype, orientation and weight: float64 sums, rounded once', async () => {
  let run = 0
  const size = fc.integer({ min: 1, max: 6 })
  const dtype = fc.constantFrom<Dtype>('F32', 'F16', 'BF16', 'F64')
  await fc.assert(
    fc.asyncProperty(
      size,
      size,
      size,
      dtype,
      dtype,
      fc.boolean(),
      fc.constantFrom(1, 0.5, -2),
      async (out, input, r, baseType, loraType, turned, weight) => {
        const place = join(folder, String(run++))
        const values = (count: number, key: string, type: Dtype) => {
          const floats = new Float32Array(count)
          fillNormal(floats, random(run, key))
          const bytes = fromFloat64(Float64Array.from(floats), type)
          return { bytes, values: toFloat64(bytes, type) }
        }
        const w = values(out * input, 'w', baseType)
        const a = values(r * input, 'a', loraType)
        const b = values(out * r, 'b', loraType)
        await cp(fixture('tiny-lora'), place, { recursive: true })
        const shape = turned ? [input, out] : [out, input]
        await writeSafetensors(join(place, 'model.safetensors'), [
          { name: 'm.query.weight', dtype: baseType, shape, data: w.bytes },
        ])
        await writeSafetensors(join(place, 'adapter_model.safetensors'), [
          { name: 'base_model.model.m.query.lora_A.weight', dtype: loraType, shape: [r, input], data: a.bytes },
          { name: 'base_model.model.m.query.lora_B.weight', dtype: loraType, shape: [out, r], data: b.bytes },
        ])
        const config = { peft_type: 'LORA', r, lora_alpha: 3, target_modules: ['query'], fan_in_fan_out: turned }
        await writeFile(join(place, 'adapter_config.json'), JSON.stringify(config))
        const model = applyLora(await openCheckpoint(join(place, 'model.safetensors')), await openLora(place), {
          weight,
        })
        const merged = toFloat64(await model.read('m.query.weight'), baseType)
        await model.close()
        for (let o = 0; o < out; o++)
          for (let i = 0; i < input; i++) {
            const at = turned ? i * out + o : o * input + i
            let sum = w.values[at]!
            let magnitude = Math.abs(sum)
            for (let k = 0; k < r; k++) {
              const term = ((weight * 3) / r) * b.values[o * r + k]! * a.values[k * input + i]!
              sum += term
              magnitude += Math.abs(term)
            }
            const unit = { F64: 2 ** -48, F32: 2 ** -23, F16: 2 ** -10, BF16: 2 ** -7 }[baseType as 'F64']
            // Terms may cancel: the order of a float64 sum shows in units of its terms.
            const order = 2 ** -50 * magnitude
            expect(Math.abs(merged[at]! - sum)).toBeLessThanOrEqual(unit * Math.max(Math.abs(sum), 1e-3) + order)
          }
      },
    ),
    { numRuns: 60 },
  )
})

test('model prefixes more or less are bridged', async () => {
  const base = await openCheckpoint(fixture('tiny-bert'))
  for (const rename of [
    (name: string) => name.replace(/^bert\./, ''),
    (name: string) => (name.startsWith('bert.') ? `model.${name}` : name),
  ]) {
    const entries = await Promise.all(
      [...base.tensors.values()].map(async (info) => ({
        ...info,
        name: rename(info.name),
        data: await base.read(info.name),
      })),
    )
    const file = join(folder, 'model.safetensors')
    await writeSafetensors(file, entries)
    const model = applyLora(await openCheckpoint(file), await openLora(fixture('tiny-lora')))
    const direct = applyLora(await openCheckpoint(fixture('tiny-bert')), await openLora(fixture('tiny-lora')))
    const name = 'bert.encoder.layer.1.attention.self.value.weight'
    expect(await model.read(rename(name))).toEqual(await direct.read(name))
    await Promise.all([model.close(), direct.close()])
  }
  await base.close()
})

describe('refused, with the place', () => {
  const edit = async (change: Record<string, unknown>) => {
    await cp(fixture('tiny-lora'), folder, { recursive: true })
    const file = join(folder, 'adapter_config.json')
    await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...change }))
  }

  test.each<[Record<string, unknown>, string, string]>([
    [{ r: 0 }, 'ADAPTER_CONFIG', 'r'],
    [{ r: '8' }, 'ADAPTER_CONFIG', 'r'],
    [{ lora_alpha: null }, 'ADAPTER_CONFIG', 'lora_alpha'],
    [{ rank_pattern: { x: 'y' } }, 'ADAPTER_CONFIG', 'rank_pattern'],
    [{ alpha_pattern: [] }, 'ADAPTER_CONFIG', 'alpha_pattern'],
    [{ target_modules: 5 }, 'ADAPTER_CONFIG', 'target_modules'],
    [{ peft_type: 'IA3' }, 'ADAPTER_UNSUPPORTED', 'peft_type'],
    [{ use_dora: true }, 'ADAPTER_UNSUPPORTED', 'use_dora'],
    [{ layer_replication: [[0, 1]] }, 'ADAPTER_UNSUPPORTED', 'layer_replication'],
  ])('config %j', async (change, code, key) => {
    await edit(change)
    await expect(openLora(folder)).rejects.toMatchObject({
      code,
      where: { file: join(folder, 'adapter_config.json'), key },
    })
  })

  test.each<[string, Record<string, unknown>]>([
    ['another rank', { r: 4 }],
    ['another rank by pattern', { rank_pattern: { 'layer.0.attention.self.query': 2 } }],
    ['other target modules', { target_modules: ['key'] }],
    ['a target pattern that does not fit', { target_modules: '.*key' }],
  ])('%s than the weights have', async (_, change) => {
    await edit(change)
    await expect(openLora(folder)).rejects.toMatchObject({
      code: 'ADAPTER_MISMATCH',
      where: { tensor: expect.stringContaining('lora_A') },
    })
  })

  test('half an update, a variant tensor, an unknown module, another shape', async () => {
    await edit({})
    const file = join(folder, 'adapter_model.safetensors')
    const module = 'base_model.model.bert.encoder.layer.0.attention.self.query'
    const entry = (name: string, shape: number[]) => ({
      name,
      dtype: 'F32' as const,
      shape,
      data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
    })
    await writeSafetensors(file, [entry(`${module}.lora_A.weight`, [3, 8])])
    await expect(openLora(folder)).rejects.toMatchObject({
      code: 'ADAPTER_MISMATCH',
      message: expect.stringContaining('lora_B'),
    })
    await writeSafetensors(file, [entry(`${module}.lora_magnitude_vector`, [8])])
    await expect(openLora(folder)).rejects.toMatchObject({ code: 'ADAPTER_MISMATCH' })
    await writeSafetensors(file, [])
    await expect(openLora(folder)).rejects.toMatchObject({ code: 'ADAPTER_MISMATCH' })
    const base = await openCheckpoint(fixture('tiny-bert'))
    for (const [path, width] of [
      [module.replace('layer.0', 'layer.7'), 8],
      [module, 9],
    ] as const) {
      await writeSafetensors(file, [entry(`${path}.lora_A.weight`, [3, width]), entry(`${path}.lora_B.weight`, [8, 3])])
      const adapter = await openLora(folder)
      const name = `${path.slice('base_model.model.'.length)}.weight`
      expect(() => applyLora(base, adapter)).toThrow(
        expect.objectContaining({ code: 'ADAPTER_MISMATCH', where: { file: folder, tensor: name } }),
      )
      await adapter.close()
    }
    await base.close()
  })

  test('missing files, pickled weights', async () => {
    await expect(openLora(folder)).rejects.toMatchObject({ code: 'ADAPTER_MISSING' })
    await expect(openLora(join(folder, 'none'))).rejects.toMatchObject({ code: 'ENOENT' })
    await edit({})
    await rm(join(folder, 'adapter_model.safetensors'))
    await expect(openLora(folder)).rejects.toMatchObject({ code: 'ADAPTER_MISSING' })
    await writeFile(join(folder, 'adapter_model.bin'), 'x')
    await expect(openLora(folder)).rejects.toMatchObject({ code: 'CHECKPOINT_FORMAT' })
  })
})

test('adapter names and lora_bias in tensor names', async () => {
  const entry = (name: string, shape: number[], fill: number) => ({
    name,
    dtype: 'F32' as const,
    shape,
    data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(fill),
  })
  await writeSafetensors(join(folder, 'adapter_model.safetensors'), [
    entry('base_model.model.m.query.lora_A.default.weight', [1, 2], 2),
    entry('base_model.model.m.query.lora_B.default.weight', [3, 1], 5),
    entry('base_model.model.m.query.lora_B.bias', [3], 7),
    entry('base_model.model.head.modules_to_save.default.weight', [2, 2], 9),
  ])
  await writeFile(
    join(folder, 'adapter_config.json'),
    JSON.stringify({
      peft_type: 'LORA',
      r: 1,
      lora_alpha: 2,
      target_modules: 'm\\..*',
      modules_to_save: ['head'],
      lora_bias: true,
    }),
  )
  await writeSafetensors(join(folder, 'base.safetensors'), [
    entry('m.query.weight', [3, 2], 1),
    entry('m.query.bias', [3], 1),
  ])
  const model = applyLora(await openCheckpoint(join(folder, 'base.safetensors')), await openLora(folder))
  expect([...(await model.readFloat32('m.query.weight'))]).toEqual(Array(6).fill(21))
  expect([...(await model.readFloat32('m.query.bias'))]).toEqual(Array(3).fill(15))
  expect([...(await model.readFloat32('head.weight'))]).toEqual(Array(4).fill(9))
  expect(model.tensors.get('m.query.weight')).toEqual({
    name: 'm.query.weight',
    dtype: 'F32',
    shape: [3, 2],
    bytes: 24,
  })
  expect(dtypes[model.tensors.get('head.weight')!.dtype].bits).toBe(32)
  await model.close()
})
