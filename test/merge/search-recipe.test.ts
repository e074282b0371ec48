/** Searching the coefficients of a recipe: what is tried, what is found, what is refused before the first merge. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/checkpoint.ts'
import { mergeRecipe, planSearch, searchRecipe } from '../../src/merge/merge.ts'
import { toFloat64 } from '../../src/tensor/dtypes.ts'
import type { EspalierError } from '../../src/util/errors.ts'
import { writeSmallModel } from './checkpoints.ts'

let folder: string
let recipe: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-search-'))
  for (const [seed, name] of ['base', 'a', 'b'].entries()) await writeSmallModel(join(folder, name), { seed })
  recipe = await write(
    'recipe.yml',
    '# kept\nmerge_method: task_arithmetic\nbase_model: base\nmodels:\n  - model: a\n  - model: b\n',
  )
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function write(name: string, text: string): Promise<string> {
  await writeFile(join(folder, name), text)
  return join(folder, name)
}
async function valuesOf(path: string): Promise<number[]> {
  const checkpoint = await openCheckpoint(path)
  const values: number[] = []
  for (const [name, { dtype }] of checkpoint.tensors) values.push(...toFloat64(await checkpoint.read(name), dtype))
  await checkpoint.close()
  return values
}
const fault = (work: Promise<unknown>): Promise<EspalierError> =>
  work.then(
    () => {
      throw new Error('expected a fault')
    },
    (error: EspalierError) => error,
  )
/** How near a merge is to a wanted one. */
async function nearTo(wanted: string) {
  const target = await valuesOf(wanted)
  return async (path: string) => -(await valuesOf(path)).reduce((sum, x, i) => sum + (x - target[i]!) ** 2, 0)
}

describe('a grid', () => {
  it('tries all combinations and writes the best, the recipe as written among them', async () => {
    const wanted = join(folder, 'wanted')
    const text = await readFile(recipe, 'utf8')
    await mergeRecipe(await write('wanted.yml', `${text}parameters: { lambda: 0.5, normalize: true }\n`), wanted)
    const out = join(folder, 'grid')
    const seen: number[] = []
    const { candidates, best, before, after, ...found } = await searchRecipe(recipe, out, {
      grid: { lambda: [0.3, 0.5, 1], normalize: [false, true] },
      score: await nearTo(wanted),
      onProgress: ({ step, done, total }) => step === 'search' && seen.push(done / total!),
    })
    expect(candidates.map(({ settings }) => settings)).toEqual([
      {},
      ...[0.3, 0.5, 1].flatMap((lambda) => [false, true].map((normalize) => ({ lambda, normalize }))),
    ])
    expect(best.settings).toEqual({ lambda: 0.5, normalize: true })
    expect(before).toBe(candidates[0]!.score)
    expect(after).toBeCloseTo(0, 12)
    expect(seen.at(-1)).toBe(1)
    expect(await readFile(join(out, 'model.safetensors'))).toEqual(await readFile(join(wanted, 'model.safetensors')))
    expect(found.recipe).toMatch(/^# kept\n/)
    const record = JSON.parse(await readFile(join(out, 'espalier.json'), 'utf8'))
    expect(record).toMatchObject({ recipe: found.recipe, search: { kind: 'grid', merges: 7, written: text } })
    expect((await readdir(folder)).filter((name) => name.startsWith('.'))).toEqual([])
    const again = join(folder, 'again')
    await mergeRecipe(await write('found.yml', found.recipe), again)
    expect(await valuesOf(again)).toEqual(await valuesOf(out))
  })

  it('keeps the recipe as written if nothing is better', async () => {
    const { best } = await searchRecipe(recipe, join(folder, 'kept'), { grid: { lambda: [2, 3] }, score: () => 1 })
    expect(best.settings).toEqual({})
  })

  it('refuses what cannot be tried, before the first merge', async () => {
    const never = { score: () => Promise.reject(new Error('never called')) }
    const refused = async (grid: Record<string, (number | boolean)[]>, file = recipe) =>
      (await fault(searchRecipe(file, join(folder, 'no'), { ...never, grid }))).code
    expect(await refused({ lamda: [1] })).toBe('METHOD_OPTION')
    expect(await refused({ lambda: [1, true] })).toBe('METHOD_OPTION')
    expect(await refused({ lambda: [] })).toBe('OPTION_VALUE')
    const own = await write(
      'own.yml',
      (await readFile(recipe, 'utf8')).replace('- model: b', '- { model: b, parameters: { weight: 2 } }'),
    )
    expect(await refused({ weight: [1, 2] }, own)).toBe('RECIPE')
    const failing = fault(searchRecipe(recipe, join(folder, 'no'), { grid: { lambda: [1] }, score: () => Number.NaN }))
    expect((await failing).code).toBe('NOT_FINITE')
    expect((await readdir(folder)).filter((name) => name.startsWith('.') || name === 'no')).toEqual([])
  })
})

describe('a search of weights', () => {
  it('gives each model a weight in each group of layers, better than before by the score', async () => {
    const text = (weight: number) => `    parameters: { weight: ${weight} }\n`
    const wanted = join(folder, 'weighted')
    const lines = (await readFile(recipe, 'utf8')).replace('  - model: a\n', `  - model: a\n${text(0.6)}`)
    await mergeRecipe(await write('weighted.yml', `${lines}${text(0.4)}`), wanted)
    const out = join(folder, 'searched')
    const score = await nearTo(wanted)
    const settings = { evaluations: 20, seed: 1, threads: 1 }
    expect(await planSearch(recipe, settings)).toEqual({
      kind: 'cma-es',
      merges: 2 + 20,
      numbers: 8,
      groups: ['embeddings', 'encoder.layer.0.', 'encoder.layer.1.', 'after the layers'],
    })
    const { before, after, candidates, recipe: found } = await searchRecipe(recipe, out, { ...settings, score })
    expect(after).toBeGreaterThan(before)
    expect(candidates.length).toBe(2)
    expect(await score(out)).toBe(after)
    expect(found.match(/filter: encoder\.layer\.[01]\./g)?.length).toBe(4)
  })

  it('can give each model one weight, and search densities of methods that have them', async () => {
    const ties = await write('ties.yml', (await readFile(recipe, 'utf8')).replace('task_arithmetic', 'ties'))
    const space = { groups: 'model', densities: true, evaluations: 8 } as const
    expect(await planSearch(ties, space)).toMatchObject({ numbers: 4, groups: ['all'] })
    let calls = 0
    const { recipe: found } = await searchRecipe(ties, join(folder, 'one'), { ...space, score: () => calls++ })
    expect(found.match(/^ {6}(weight|density): [-\d.e]+$/gm)?.length).toBe(4)
    expect((await fault(planSearch(recipe, space))).code).toBe('METHOD_OPTION')
  })

  it('needs whole models and a method with weights', async () => {
    const slices = 'merge_method: linear\nslices:\n  - sources:\n      - { model: a, layer_range: [0, 2] }\n'
    expect((await fault(planSearch(await write('slices.yml', slices), {}))).code).toBe('RECIPE')
    const magmax = await write('magmax.yml', (await readFile(recipe, 'utf8')).replace('task_arithmetic', 'magmax'))
    expect((await fault(planSearch(magmax, {}))).code).toBe('METHOD_OPTION')
    expect((await fault(planSearch(recipe, { evaluations: 9 }))).code).toBe('OPTION_RANGE')
  })
})
