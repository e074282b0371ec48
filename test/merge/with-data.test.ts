import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { document, espalier, failure } from '../cli/espalier.ts'
import { temporaryFolder } from '../temporary-folder.ts'

const { folder, write } = temporaryFolder()
const at = (name: string) => join(folder, name)

const colours = ['red', 'green', 'blue']
const animals = ['cat', 'dog']
const lines = (label?: (i: number) => string) =>
  Array.from({ length: 90 }, (_, i) =>
    JSON.stringify({
      text: `the ${colours[i % 3]} ${animals[i % 2]} sleeps in room ${i % 7}`,
      ...(label ? { labels: [label(i)] } : {}),
    }),
  ).join('\n')
const recipe = (method: string, parameters = '') =>
  write(
    `${method}.yml`,
    `merge_method: ${method}\nbase_model: base\nmodels:\n  - model: colour\n  - model: animal\n${parameters}`,
  )

beforeAll(async () => {
  for (const name of ['few', 'texts']) mkdirSync(at(name))
  const colour = write(
    'few/colour.jsonl',
    lines((i) => colours[i % 3]!),
  )
  const animal = write(
    'few/animal.jsonl',
    lines((i) => animals[i % 2]!),
  )
  write('texts/colour.jsonl', lines())
  write('texts/animal.jsonl', lines())
  const shape = ['--layers', '1', '--hidden', '32', '--vocabulary', '120', '--max-length', '16', '--epochs', '2']
  await document(['pretrain', colour, '--out', at('base'), ...shape])
  for (const [name, file] of Object.entries({ colour, animal })) {
    const options = ['--encoder', at('base'), '--epochs', '12', '--lr', '0.005', '--threads', '1', '--out', at(name)]
    expect((await espalier(['train', file, ...options])).status).toBe(0)
  }
}, 240_000)

describe('merge --data', () => {
  it('merges by a recipe whose method looks at texts, and says what it took', async () => {
    const file = recipe('regmean', 'parameters:\n  alpha: 0.8\n')
    const plan = await document(['merge', file, '--data', at('texts'), '--plan'])
    expect(plan).toMatchObject({ method: 'regmean', data: [at('texts/colour.jsonl'), at('texts/animal.jsonl')] })
    const merged = await document(['merge', file, at('merged'), '--data', at('texts'), '--rows', '40'])
    expect(merged).toMatchObject({ method: 'regmean', rows: [40, 40], folder: at('merged') })
    expect(JSON.parse(readFileSync(at('merged/espalier.json'), 'utf8'))).toMatchObject({ options: { alpha: 0.8 } })
    const { tasks } = await document(['inspect', at('merged')])
    expect(tasks.map(({ name }: { name: string }) => name)).toEqual(['animal', 'colour'])
    const { exactPath } = await document(['evaluate', at('merged'), at('few/animal.jsonl'), '--task', 'animal'])
    expect(exactPath).toBeGreaterThan(0)
    const { stdout } = await espalier(['merge', recipe('fisher'), at('fisher'), '--data', at('few'), '--rows', '8'])
    expect(stdout).toContain('colour 8, animal 8')
  }, 60_000)

  it('says what does not go together', async () => {
    const merge = (method: string, parameters: string, ...more: string[]) =>
      failure(['merge', recipe(method, parameters), at('never'), ...more])
    const data = ['--data', at('texts')]
    expect(await merge('ties', '', ...data)).toMatchObject({
      code: 'RECIPE',
      message: expect.stringContaining('looks at no data'),
    })
    expect(await merge('regmen', '', ...data)).toMatchObject({
      code: 'METHOD_UNKNOWN',
      help: 'did you mean "regmean"?',
    })
    expect(await merge('regmean', 'parameters:\n  alpha: 3\n', ...data)).toMatchObject({ code: 'METHOD_OPTION' })
    expect(await merge('regmean', '', '--data', at('nowhere'))).toMatchObject({ code: 'ENOENT' })
    expect(await merge('regmean', '', '--data', at('base'))).toMatchObject({ code: 'DATA_EMPTY' })
    expect(await merge('regmean', '', '--rows', '3')).toMatchObject({ code: 'USAGE' })
    expect(await merge('regmean', '')).toMatchObject({
      code: 'METHOD_UNKNOWN',
      help: expect.stringContaining('--data'),
    })
    const labels = 'parameters:\n  labels: given\n'
    expect(await merge('fisher', labels, ...data)).toMatchObject({ exitCode: 2 })
  }, 60_000)
})
