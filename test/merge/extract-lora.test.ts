import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/checkpoint.ts'
import { applyLora } from '../../src/checkpoint/lora.ts'
import { openLora } from '../../src/checkpoint/lora-adapter.ts'
import { type TensorEntry, writeSafetensors } from '../../src/checkpoint/write-safetensors.ts'
import { extractLora } from '../../src/merge/extract/extract-lora.ts'
import { planExtractLora } from '../../src/merge/extract/plan-extract.ts'
import { mergeRecipe } from '../../src/merge/merge.ts'
import { parseRecipe } from '../../src/merge/recipe/read-recipe.ts'
import { toFloat64 } from '../../src/tensor/dtypes.ts'
import { random } from '../../src/tensor/random.ts'
import { document, espalier, failure, repository } from '../cli/espalier.ts'
import { temporaryFolder } from '../temporary-folder.ts'

const { folder } = temporaryFolder()
const base = join(repository, 'test/fixtures/checkpoints/tiny-bert')
const tuned = join(folder, 'tuned')
const lowRank = join(folder, 'low-rank')

/** The base with something added to every tensor that `change` gives values for. */
async function fineTune(out: string, change: (name: string, shape: number[]) => Float64Array | undefined) {
  cpSync(base, out, { recursive: true })
  const model = await openCheckpoint(base)
  const entries: TensorEntry[] = []
  for (const [name, { shape, dtype }] of model.tensors) {
    if (dtype !== 'F32') {
      entries.push({ name, dtype, shape: [...shape], data: await model.read(name) })
      continue
    }
    const values = await model.readFloat32(name)
    const added = change(name, [...shape])
    if (added) for (let i = 0; i < values.length; i++) values[i]! += added[i]!
    entries.push({ name, dtype: 'F32', shape: [...shape], data: values })
  }
  await model.close()
  await writeSafetensors(join(out, 'model.safetensors'), entries)
}

const normals = (count: number, name: string) => {
  const r = random('extract test', name)
  return Float64Array.from({ length: count }, (_, i) => 0.02 * r.normal(i))
}

beforeAll(async () => {
  await fineTune(tuned, (name, shape) =>
    normals(
      shape.reduce((a, b) => a * b, 1),
      name,
    ),
  )
  await fineTune(lowRank, (name, [rows, columns]) => {
    if (columns === undefined) return undefined
    const [u, v] = [normals(rows! * 2, `${name} u`), normals(columns * 2, `${name} v`)]
    return Float64Array.from({ length: rows! * columns }, (_, i) => {
      const [row, column] = [Math.floor(i / columns), i % columns]
      return u[2 * row]! * v[2 * column]! + u[2 * row + 1]! * v[2 * column + 1]!
    })
  })
})

/** Relative distance of base + adapter from the model, over the tensors named by the pattern. */
async function distance(adapterFolder: string, modelFolder: string, pattern = /./): Promise<number> {
  const view = applyLora(await openCheckpoint(base), await openLora(adapterFolder))
  const [model, origin] = [await openCheckpoint(modelFolder), await openCheckpoint(base)]
  let [lost, total] = [0, 0]
  for (const [name, { dtype }] of origin.tensors) {
    if (dtype !== 'F32' || !pattern.test(name)) continue
    const [given, wanted, from] = [
      await view.readFloat32(name),
      await model.readFloat32(name),
      await origin.readFloat32(name),
    ]
    for (let i = 0; i < given.length; i++) {
      lost += (given[i]! - wanted[i]!) ** 2
      total += (wanted[i]! - from[i]!) ** 2
    }
  }
  await Promise.all([view, model, origin].map((checkpoint) => checkpoint.close()))
  return Math.sqrt(lost / total)
}

describe('extractLora', () => {
  it('gives a change of low rank back', async () => {
    const out = join(folder, 'exact')
    const result = await extractLora({ base, model: lowRank, out, rank: 2 })
    expect(result.error).toBeLessThan(1e-5)
    expect(result.rank).toBe(2)
    // float32 weights: the sum is rounded.
    expect(await distance(out, lowRank)).toBeLessThan(1e-4)
  })

  it('reports the error that base + adapter has, which falls with the rank', async () => {
    let before = 1
    for (const rank of [1, 4, 8]) {
      const out = join(folder, `rank-${rank}`)
      const result = await extractLora({ base, model: tuned, out, rank, vectors: true })
      expect(result.error).toBeLessThan(before)
      expect(await distance(out, tuned)).toBeCloseTo(result.error, 3)
      before = result.error
    }
  })

  it('carries heads and, with vectors, biases and norms exactly', async () => {
    const out = join(folder, 'vectors')
    await extractLora({ base, model: tuned, out, rank: 1, vectors: true })
    expect(await distance(out, tuned, /bias$|LayerNorm/)).toBe(0)
    expect(await distance(out, tuned, /^classifier/)).toBe(0)
    const plain = join(folder, 'no-vectors')
    await extractLora({ base, model: tuned, out: plain, rank: 1 })
    expect(await distance(plain, tuned, /^bert.*(bias$|LayerNorm)/)).toBe(1)
  })

  it('takes the least rank that holds a share of the squares', async () => {
    const out = join(folder, 'variance')
    const { tensors } = await extractLora({ base, model: tuned, out, variance: 0.7 })
    const factored = tensors.filter(({ rank }) => rank !== undefined)
    for (const { error } of factored) expect(error ** 2).toBeLessThanOrEqual(0.3 + 1e-6)
    expect(new Set(factored.map(({ rank }) => rank)).size).toBeGreaterThan(1)
    expect(await distance(out, tuned, /query\.weight/)).toBeLessThan(Math.sqrt(0.3) + 1e-3)
  })

  it('works as MODEL+ADAPTER in a recipe', async () => {
    const [adapter, out] = [join(folder, 'for-recipe'), join(folder, 'applied')]
    await extractLora({ base, model: lowRank, out: adapter, rank: 2 })
    const recipe = parseRecipe(`models: [{model: ${base}+${adapter}}]\nmerge_method: passthrough\n`, 'recipe.yml')
    await mergeRecipe(recipe, out)
    const [merged, model] = [await openCheckpoint(out), await openCheckpoint(lowRank)]
    for (const name of ['bert.encoder.layer.0.attention.self.query.weight', 'bert.embeddings.word_embeddings.weight']) {
      const [given, wanted] = [await merged.readFloat32(name), await model.readFloat32(name)]
      for (let i = 0; i < wanted.length; i++) expect(given[i]).toBeCloseTo(wanted[i]!, 6)
    }
    await Promise.all([merged.close(), model.close()])
  })

  it('does not depend on threads', async () => {
    const bytes = []
    for (const threads of [1, 2]) {
      const out = join(folder, `threads-${threads}`)
      await extractLora({ base, model: tuned, out, rank: 3, threads })
      bytes.push(readFileSync(join(out, 'adapter_model.safetensors')))
    }
    expect(bytes[0]!.equals(bytes[1]!)).toBe(true)
  })

  it('plans from headers', async () => {
    const plan = await planExtractLora({ base, model: tuned, rank: 4, embeddings: false })
    const actions = new Map(plan.tensors.map(({ name, action }) => [name, action]))
    expect(actions.get('bert.embeddings.word_embeddings.weight')).toBe('leave')
    expect(actions.get('bert.encoder.layer.0.attention.self.query.weight')).toBe('factor')
    expect(actions.get('bert.encoder.layer.0.attention.self.query.bias')).toBe('leave')
    expect(actions.get('classifier.weight')).toBe('save')
  })

  it('names what does not fit', async () => {
    const fault = (promise: Promise<unknown>) => promise.then(() => undefined).catch((error: unknown) => error)
    const out = join(folder, 'refused')
    expect(await fault(extractLora({ base, model: base, out }))).toMatchObject({ code: 'EXTRACT_EQUAL' })
    expect(await fault(extractLora({ base, model: tuned, out, rank: 0 }))).toMatchObject({ code: 'OPTION_VALUE' })
    expect(await fault(extractLora({ base, model: tuned, out, rank: 1, variance: 0.5 }))).toMatchObject({
      code: 'OPTION_VALUE',
    })
    const other = join(folder, 'other')
    await fineTune(other, () => undefined)
    const model = await openCheckpoint(other)
    const entries: TensorEntry[] = []
    for (const [name, { shape, dtype }] of model.tensors)
      entries.push(
        name.endsWith('query.weight')
          ? { name, dtype: 'F32', shape: [1, 2], data: Float32Array.of(1, 2) }
          : { name, dtype, shape: [...shape], data: await model.read(name) },
      )
    await model.close()
    await writeSafetensors(join(other, 'model.safetensors'), entries)
    expect(await fault(extractLora({ base, model: other, out }))).toMatchObject({ code: 'EXTRACT_MODELS' })
    expect(await fault(extractLora({ base, model: tuned, out: base }))).toMatchObject({ code: 'OUT_EXISTS' })
  })
})

describe('beside PEFT', () => {
  const fixture = (name: string) => join(repository, 'test/fixtures/extract-lora', name)

  it('PEFT makes of base and adapter what we make of it', async () => {
    const view = applyLora(await openCheckpoint(base), await openLora(fixture('adapter')))
    const merged = await openCheckpoint(fixture('merged.safetensors'))
    for (const [name, { dtype }] of merged.tensors) {
      const [given, wanted] = [await view.readFloat32(name), toFloat64(await merged.read(name), dtype)]
      expect(given.length).toBe(wanted.length)
      for (let i = 0; i < wanted.length; i++) expect(Math.abs(given[i]! - wanted[i]!), name).toBeLessThan(1e-6)
    }
    await Promise.all([view.close(), merged.close()])
  })

  it('extracts the adapter that PEFT read', async () => {
    const out = join(folder, 'again')
    await extractLora({ base, model: fixture('tuned'), out, rank: 3, vectors: true })
    const [given, wanted] = [out, fixture('adapter')].map((path) =>
      openCheckpoint(join(path, 'adapter_model.safetensors')),
    )
    const [ours, theirs] = [await given!, await wanted!]
    expect([...ours.tensors.keys()]).toEqual([...theirs.tensors.keys()])
    for (const name of theirs.tensors.keys()) {
      const [a, b] = [await ours.readFloat32(name), await theirs.readFloat32(name)]
      for (let i = 0; i < b.length; i++) expect(a[i], name).toBeCloseTo(b[i]!, 5)
    }
    await Promise.all([ours.close(), theirs.close()])
  })
})

describe('espalier extract-lora', () => {
  it('plans, extracts and says what is lost', async () => {
    cpSync(base, join(folder, 'base'), { recursive: true })
    const [cwd, models] = [{ cwd: folder }, ['base', 'tuned']]
    const plan = await espalier(['extract-lora', ...models, '--rank', '4', '--plan'], cwd)
    expect(plan.status).toBe(0)
    expect(plan.stdout).toMatch(/^factored +\d+ tensors/m)
    const { stdout, status, stderr } = await espalier(['extract-lora', ...models, 'adapter', '--rank', '4'], cwd)
    expect(status, stderr).toBe(0)
    expect(stdout).toMatch(/^error +\d+(\.\d+)? % of the difference is lost/m)
    for (const line of (plan.stdout + stdout).split('\n')) expect(line.length).toBeLessThanOrEqual(80)
    const again = await document(['extract-lora', ...models, 'adapter', '--rank', '4', '--force'], cwd)
    expect(again).toMatchObject({ folder: 'adapter', rank: 4 })
    expect(await failure(['extract-lora', ...models], cwd)).toMatchObject({ code: 'USAGE' })
    expect(await failure(['extract-lora', ...models, 'x', '--rank', '0'], cwd)).toMatchObject({ code: 'OPTION_VALUE' })
  })
})
