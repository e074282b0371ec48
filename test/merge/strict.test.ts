/** `strictMergekit` against what mergekit 0.1.5 wrote: recipes over methods and dtypes, byte by byte. test/fixtures/mergekit-strict/make.py made it. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openSafetensors } from '../../src/checkpoint/safetensors-file.ts'
import { mergeRecipe } from '../../src/merge/merge.ts'
import { parseRecipe } from '../../src/merge/recipe/read-recipe.ts'

const fixtures = fileURLToPath(new URL('../fixtures/mergekit-strict', import.meta.url))
const names = (await readdir(join(fixtures, 'recipes'))).map((name) => name.replace('.yml', '')).sort()

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-strict-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Every tensor as dtype, shape and bytes. */
async function tensorsOf(file: string): Promise<Map<string, { dtype: string; shape: string; bytes: string }>> {
  const opened = await openSafetensors(file)
  const tensors = new Map<string, { dtype: string; shape: string; bytes: string }>()
  for (const [name, { dtype, shape, bytes: size }] of opened.tensors) {
    const bytes = new Uint8Array(size)
    await opened.readInto(name, bytes)
    tensors.set(name, { dtype, shape: shape.join(), bytes: Buffer.from(bytes).toString('hex') })
  }
  await opened.close()
  return tensors
}

it.each(names)('%s equals what mergekit wrote', async (name) => {
  const out = join(folder, name)
  // The recipes name models relative to the fixture's folder.
  const text = await readFile(join(fixtures, 'recipes', `${name}.yml`), 'utf8')
  const recipe = parseRecipe(text, join(fixtures, `${name}.yml`))
  const { plan } = await mergeRecipe(recipe, out, { strictMergekit: true, seed: 5, threads: 1 })
  expect(plan.strict).toBe(true)
  const [ours, theirs] = [
    await tensorsOf(join(out, 'model.safetensors')),
    await tensorsOf(join(fixtures, 'expected', `${name}.safetensors`)),
  ]
  expect([...ours.keys()].sort()).toEqual([...theirs.keys()].sort())
  for (const [tensor, expected] of theirs) expect({ tensor, ...ours.get(tensor)! }).toEqual({ tensor, ...expected })
})

it('covers the methods of the strict mode that are most used, in three dtypes', async () => {
  expect(names.length).toBeGreaterThanOrEqual(12)
  const dtypes = new Set<string>()
  for (const name of names)
    for (const { dtype } of (await tensorsOf(join(fixtures, 'expected', `${name}.safetensors`))).values())
      dtypes.add(dtype)
  expect([...dtypes].sort()).toEqual(['BF16', 'F16', 'F32'])
})
