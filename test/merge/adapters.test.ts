/** Adapters merged as adapters: applied to the base they give what merging the models gives. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/checkpoint.ts'
import { openLora } from '../../src/checkpoint/lora-adapter.ts'
import { merge, mergeAdapters } from '../../src/merge/merge.ts'
import { dareTies, linear, magmax, passthrough, taskArithmetic, ties } from '../../src/merge/methods/index.ts'
import { toFloat64 } from '../../src/tensor/dtypes.ts'
import type { EspalierError } from '../../src/util/errors.ts'
import { document, espalier, failure } from '../cli/espalier.ts'
import { type SmallAdapter, writeSmallAdapter, writeSmallModel } from './checkpoints.ts'

let folder: string
let base: string
const at = (name: string) => join(folder, name)
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-adapters-'))
  base = await writeSmallModel(at('base'), { dtype: 'F64' })
  await writeSmallAdapter(at('a'), { seed: 1 })
  await writeSmallAdapter(at('b'), { seed: 2, rank: 3, alpha: 6 })
  await writeSmallAdapter(at('c'), { seed: 3 })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function valuesOf(path: string): Promise<Map<string, number[]>> {
  const checkpoint = await openCheckpoint(path)
  const values = new Map<string, number[]>()
  for (const [name, { dtype }] of checkpoint.tensors)
    values.set(name, Array.from(toFloat64(await checkpoint.read(name), dtype)))
  await checkpoint.close()
  return values
}
let count = 0
/** The base with an adapter applied, as a checkpoint. */
async function applied(adapter: string): Promise<Map<string, number[]>> {
  const out = at(`applied-${count++}`)
  await merge([`${base}+${adapter}`], { method: passthrough(), out, dtype: 'F64' })
  return valuesOf(out)
}
function close(received: Map<string, number[]>, expected: Map<string, number[]>, within: number): void {
  expect([...received.keys()].sort()).toEqual([...expected.keys()].sort())
  for (const [name, values] of expected)
    for (const [i, x] of values.entries()) expect(Math.abs(received.get(name)![i]! - x), name).toBeLessThan(within)
}
const fault = (work: Promise<unknown>): Promise<EspalierError> =>
  work.then(
    () => {
      throw new Error('expected a fault')
    },
    (error: EspalierError) => error,
  )

describe('a sum of adapters', () => {
  it('is exact: ranks add up, and applied it is the weighted sum of the applied models', async () => {
    const sum = await mergeAdapters(
      [
        { adapter: at('a'), weight: 0.7 },
        { adapter: at('b'), weight: -0.4 },
      ],
      {
        method: taskArithmetic({ lambda: 0.5 }),
        out: at('sum'),
      },
    )
    expect(sum).toMatchObject({ combine: 'cat', rank: 5, modules: 4, error: 0 })
    const [none, a, b] = [await valuesOf(base), await applied(at('a')), await applied(at('b'))]
    const expected = new Map(
      [...none].map(([name, values]) => [
        name,
        values.map((x, i) => x + 0.5 * (0.7 * (a.get(name)![i]! - x) - 0.4 * (b.get(name)![i]! - x))),
      ]),
    )
    // To the rounding of the factors to float32.
    close(await applied(at('sum')), expected, 2e-7)
  })

  it('of linear is the average', async () => {
    await mergeAdapters([at('a'), at('b')], { method: linear(), out: at('mean') })
    const out = at('mean-of-models')
    await merge([`${base}+${at('a')}`, `${base}+${at('b')}`], { method: linear(), out, dtype: 'F64' })
    close(await applied(at('mean')), await valuesOf(out), 2e-7)
  })

  it('takes weights by layer, and modules that only one adapter has', async () => {
    await writeSmallAdapter(at('short'), { seed: 4, layers: 1 })
    const half = { filter: 'layer.1.', value: 0 }
    const out = at('layered')
    await mergeAdapters([{ adapter: at('a'), weight: [half, { value: 1 }] }, at('short')], {
      method: taskArithmetic(),
      out,
    })
    const [merged, a, short, none] = [
      await applied(out),
      await applied(at('a')),
      await applied(at('short')),
      await valuesOf(base),
    ]
    const name = (layer: number) => `bert.encoder.layer.${layer}.output.dense.weight`
    for (const [i, x] of none.get(name(0))!.entries())
      expect(merged.get(name(0))![i]).toBeCloseTo(a.get(name(0))![i]! + short.get(name(0))![i]! - x, 6)
    expect(merged.get(name(1))).toEqual(none.get(name(1)))
  })
})

describe('other methods', () => {
  it('work on the updates, and are exact at full rank', async () => {
    for (const method of [ties({ density: 0.5 }), magmax(), dareTies({ density: 0.6 })]) {
      const out = at(`full-${method.name}`)
      const { combine, error } = await mergeAdapters([at('a'), at('b')], { method, out, rank: 8, seed: 3 })
      expect([combine, error < 1e-6]).toEqual(['svd', true])
      if (method.name === 'dare-ties') continue // its random numbers are keyed by the models' names
      const models = at(`models-${method.name}`)
      await merge([`${base}+${at('a')}`, `${base}+${at('b')}`], { base, method, out: models, dtype: 'F64', seed: 3 })
      close(await applied(out), await valuesOf(models), 1e-5)
    }
  })

  it('are cut to the largest rank of the adapters, and say what that loses', async () => {
    const { rank, error } = await mergeAdapters([at('a'), at('b')], { method: ties({ density: 0.5 }), out: at('cut') })
    expect(rank).toBe(3)
    expect(error).toBeGreaterThan(0.01)
    const exact = await mergeAdapters([at('a'), at('b')], { method: linear(), out: at('five'), rank: 5 })
    expect(exact).toMatchObject({ combine: 'svd', rank: 5 })
    expect(exact.error).toBeLessThan(1e-6)
  })

  it('can work on the factors, as PEFT does', async () => {
    const options = { method: taskArithmetic(), combine: 'factors', out: at('factors') } as const
    await mergeAdapters([at('a'), at('c')], options)
    const halves = async (path: string) => {
      const adapter = await openLora(path)
      const checkpoint = await readTensors(path)
      await adapter.close()
      return checkpoint
    }
    const [a, c, merged] = [await halves(at('a')), await halves(at('c')), await halves(at('factors'))]
    // alpha / rank is 2 for both: each half takes its root.
    for (const [name, values] of merged)
      for (const [i, x] of values.entries())
        expect(x).toBeCloseTo(Math.SQRT2 * (a.get(name)![i]! + c.get(name)![i]!), 6)
    expect((await fault(mergeAdapters([at('a'), at('b')], { ...options, out: at('no') }))).code).toBe('ADAPTER_MERGE')
  })
})

async function readTensors(path: string): Promise<Map<string, Float64Array>> {
  const bytes = await readFile(join(path, 'adapter_model.safetensors'))
  const length = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString())
  delete header.__metadata__
  return new Map(
    Object.entries(header as Record<string, { data_offsets: [number, number] }>).map(([name, { data_offsets }]) => {
      const [from, to] = data_offsets
      return [name, toFloat64(Uint8Array.from(bytes.subarray(8 + length + from, 8 + length + to)), 'F32')]
    }),
  )
}

describe('a recipe of adapters', () => {
  const recipe = async (text: string) => {
    const file = at(`recipe-${count++}.yml`)
    await writeFile(file, text)
    return file
  }
  const models =
    'models:\n  - model: a\n    parameters: { weight: 0.7 }\n  - model: b\n    parameters: { weight: 0.3 }\n'

  it('gives what the call gives, on the command line too', async () => {
    const call = [
      { adapter: at('a'), weight: 0.7 },
      { adapter: at('b'), weight: 0.3 },
    ]
    await mergeAdapters(call, { method: ties({ density: 0.5 }), rank: 4, out: at('called') })
    const file = await recipe(
      `merge_method: ties\nbase_model: base\n${models}parameters: { density: 0.5 }\nadapter: { combine: svd, rank: 4 }\n`,
    )
    const result = await document(['merge', file, at('typed')])
    expect(result).toMatchObject({ folder: at('typed'), combine: 'svd', rank: 4, modules: 4 })
    const weights = (name: string) => readFile(join(at(name), 'adapter_model.safetensors'))
    expect((await weights('typed')).equals(await weights('called'))).toBe(true)
    expect(JSON.parse(await readFile(join(at('typed'), 'adapter_config.json'), 'utf8'))).toMatchObject({
      base_model_name_or_path: 'base',
      r: 4,
      lora_alpha: 4,
    })
    const linear = await espalier(['merge', await recipe(`merge_method: linear\n${models}`), at('printed')])
    expect(linear.status).toBe(0)
    expect(linear.stdout).toMatch(/merged +4 modules, cat, rank 5/)
  })

  it('refuses what belongs to models', async () => {
    const mixed = `merge_method: linear\n${models}  - model: base\n`
    expect((await failure(['merge', await recipe(mixed), at('never')])).help).toContain('either all models')
    const file = await recipe(`merge_method: linear\n${models}`)
    expect((await failure(['merge', file, '--plan'])).code).toBe('USAGE')
    const plain = `merge_method: linear\nmodels:\n  - model: base\nadapter: { rank: 4 }\n`
    expect((await failure(['merge', await recipe(plain), at('never')])).code).toBe('RECIPE')
  })
})

describe('what does not fit', () => {
  const adapter = (name: string, options: SmallAdapter) => writeSmallAdapter(at(name), options)
  it('is refused, and nothing is written', async () => {
    const never = { method: linear(), out: at('never') }
    const code = async (...args: Parameters<typeof mergeAdapters>) => (await fault(mergeAdapters(...args))).code
    const wide = await adapter('wide', { width: 12 })
    expect(await code([at('a'), wide], never)).toBe('ADAPTER_MERGE')
    expect(await code([at('a')], { ...never, method: ties(), combine: 'cat' })).toBe('ADAPTER_MERGE')
    expect(await code([at('a')], { ...never, combine: 'cat', rank: 3 })).toBe('ADAPTER_MERGE')
    expect(await code([at('a')], { ...never, rank: 0 })).toBe('OPTION_RANGE')
    expect(await code([], never)).toBe('MERGE_INPUT')
    expect(await code([base], never)).toBe('ADAPTER_MISSING')
    const dora = await adapter('dora', { config: { use_dora: true } })
    expect(await code([at('a'), dora], never)).toBe('ADAPTER_UNSUPPORTED')
    expect(await readdir(folder)).not.toContain('never')
  })
})
