/**
 * docs/merge-methods.md against the methods themselves: a section for each, its options with the ranges and defaults of the schema
 * (`vitest -u` writes those), and recipes that run.
 */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { describeOptions, describeType, type OptionInfo } from '../src/cli/method-options.ts'
import { expertMethods, type MethodFactory, mergeMethods, mergeSteps } from '../src/cli/methods.ts'
import { mergeRecipe } from '../src/merge/merge.ts'
import type { MergeMethodFactory } from '../src/merge/merge-method.ts'
import { espalier } from './cli/espalier.ts'
import { writeSmallAdapter, writeSmallModel, writeSmallMoe } from './merge/checkpoints.ts'

const page = fileURLToPath(new URL('../docs/merge-methods.md', import.meta.url))
const text = await readFile(page, 'utf8')
const recipeMethods = await mergeMethods()
const steps = [...(await expertMethods()), ...(await mergeSteps())]

const snakeCase = (name: string) => name.replaceAll('-', '_').replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
/** As it is written where the method is used: recipes have mergekit's names. */
const titleOf = (method: MethodFactory) =>
  recipeMethods.includes(method) ? snakeCase(method.info.name) : method.info.name

/** Sections by their heading. */
const sections = new Map(
  text
    .split(/^### /m)
    .slice(1)
    .map((section) => {
      const [title, ...rest] = section.split(/^## /m)[0]!.split('\n')
      return [title!, rest.join('\n')] as const
    }),
)
const row = /^\| `(\w+)` \|[^|]*\|[^|]*\|(.*)\|$/gm

/** A row of a table as the schema has it. */
function optionRow(method: MethodFactory, option: OptionInfo, meaning: string): string {
  const own = (method as unknown as Partial<MergeMethodFactory>).definition?.options[option.name]?.scope === 'model'
  const fallback =
    option.required || option.default === undefined ? 'required' : `\`${JSON.stringify(option.default)}\``
  return `| \`${snakeCase(option.name)}\` | ${describeType(option)}${own ? ', of each model' : ''} | ${fallback} |${meaning}|`
}

it('has a section for every method, and for nothing else', () => {
  expect([...sections.keys()].sort()).toEqual([...recipeMethods, ...steps].map(titleOf).sort())
})

it('has the options, ranges and defaults of every schema (vitest -u writes them)', async () => {
  let expected = text
  for (const method of [...recipeMethods, ...steps]) {
    const title = titleOf(method)
    const section = sections.get(title)!
    const options = describeOptions(method.schema)
    const rows = [...section.matchAll(row)]
    expect(rows.map(([, name]) => name!).sort(), `options of ${title}`).toEqual(
      options.map(({ name }) => snakeCase(name)).sort(),
    )
    if (options.length === 0) expect(section).toContain('It has no options.')
    let filled = section
    for (const [line, name, meaning] of rows) {
      expect(meaning!.trim(), `what ${name} of ${title} means`).not.toBe('')
      const option = options.find((candidate) => snakeCase(candidate.name) === name)!
      filled = filled.replace(line, () => optionRow(method, option, meaning!))
    }
    expected = expected.replace(`### ${title}\n${section}`, () => `### ${title}\n${filled}`)
  }
  await expect(expected).toMatchFileSnapshot('../docs/merge-methods.md')
})

it('says in at most three sentences what a method does', () => {
  for (const [title, section] of sections) {
    const [description] = section.trim().split(/\n(?:\||```|It has no)/)
    const sentences = description!
      .replaceAll(/\s+/g, ' ')
      .split(/[.:;!?] (?=[A-Z`])/)
      .filter(Boolean)
    expect(sentences.length, title).toBeLessThanOrEqual(4)
    expect(description!.length, title).toBeGreaterThan(60)
  }
})

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-methods-page-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('recipes', () => {
  it.each(recipeMethods.map((method) => [titleOf(method), method] as const))('of %s runs', async (title, method) => {
    const blocks = [...sections.get(title)!.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, code]) => code!)
    expect(blocks.length).toBe(1)
    const [recipe] = blocks as [string]
    expect(parse(recipe).merge_method).toBe(title)
    const place = join(folder, title)
    await writeModels(place, recipe)
    const file = join(place, 'recipe.yml')
    await writeFile(file, recipe)
    const { plan, bytes } = await mergeRecipe(file, join(place, 'merged'), { threads: 1 })
    expect(plan.method).toBe(method.info.name)
    expect(plan.conflicts).toEqual([])
    expect(bytes).toBeGreaterThan(0)
  })

  it('stand in the sections of methods', () => {
    expect(text.match(/^```yaml$/gm)?.length).toBe(recipeMethods.length)
  })
})

/** Small models at the paths that a recipe names. */
async function writeModels(place: string, recipe: string): Promise<void> {
  const found = new Set<string>()
  JSON.stringify(parse(recipe), (key, value) => {
    if ((key === 'model' || key === 'base_model') && typeof value === 'string') found.add(value)
    return value
  })
  const paths = [...new Set([...found].flatMap((reference) => reference.split('+')))]
  for (const [seed, path] of paths.entries())
    if (path.startsWith('adapters/')) await writeSmallAdapter(join(place, path), { seed, layers: 4 })
    else await writeSmallModel(join(place, path), { seed, layers: 4 })
}

describe('commands', () => {
  const commands = steps.flatMap((method) =>
    [...sections.get(titleOf(method))!.matchAll(/^```sh no-run\nespalier (.*?)\n```$/gms)].map(
      ([, line]) => [titleOf(method), line!] as const,
    ),
  )

  it.each(commands)('of %s: espalier %s', async (title, line) => {
    const place = join(folder, title)
    if (line.includes('--experts')) await writeSmallMoe(join(place, 'models/mixtral'))
    if (line.includes('--match'))
      for (const name of ['a', 'b']) await cp(encoder, join(place, 'models', name), { recursive: true })
    if (line.includes('--search')) {
      const recipe = 'merge_method: task_arithmetic\nbase_model: base\nmodels:\n  - model: a\n'
      for (const [seed, name] of ['base', 'a'].entries()) await writeSmallModel(join(place, 'models', name), { seed })
      await writeFile(join(place, 'models/recipe.yml'), recipe)
    }
    const { status, stderr } = await espalier(line.split(/\s+/), { cwd: place })
    expect(status, stderr).toBe(0)
  })

  it('stand in the sections of steps', () => {
    expect(new Set(commands.map(([title]) => title))).toEqual(new Set(steps.map(titleOf)))
  })
})

const encoder = fileURLToPath(new URL('fixtures/encoders/bert', import.meta.url))
