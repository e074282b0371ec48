import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { temporaryFolder } from '../temporary-folder.ts'
import { document, espalier, failure, type Json } from './espalier.ts'

const { folder, write } = temporaryFolder()
const at = (name: string) => join(folder, name)

const colours = ['red', 'green', 'blue']
const animals = ['cat', 'dog']
const lines = (label: (i: number) => string[]) =>
  Array.from({ length: 90 }, (_, i) =>
    JSON.stringify({ text: `the ${colours[i % 3]} ${animals[i % 2]} sleeps in room ${i % 7}`, labels: [label(i)] }),
  ).join('\n')

beforeAll(async () => {
  mkdirSync(at('few'))
  const colour = write(
    'few/colour.jsonl',
    lines((i) => ['visible', colours[i % 3]!]),
  )
  const animal = write(
    'few/animal.jsonl',
    lines((i) => [animals[i % 2]!]),
  )
  const shape = ['--layers', '1', '--hidden', '32', '--vocabulary', '120', '--max-length', '16', '--epochs', '2']
  const base = await document(['pretrain', colour, '--out', at('base'), ...shape])
  expect(base).toMatchObject({ folder: at('base'), texts: 90 })
  for (const [name, file] of Object.entries({ colour, animal })) {
    const options = ['--encoder', at('base'), '--epochs', '12', '--lr', '0.005', '--threads', '1', '--out', at(name)]
    expect((await espalier(['train', file, ...options])).status).toBe(0)
  }
  const recipe = `merge_method: task_arithmetic\nbase_model: ${at('base')}\nmodels:\n  - model: ${at('colour')}\n  - model: ${at('animal')}\nparameters:\n  lambda: 0.5\n`
  const merged = await espalier(['merge', write('recipe.yml', recipe), at('merged'), '--threads', '1'])
  expect(merged.status).toBe(0)
}, 240_000)

describe('joint training', () => {
  const data = () => ['--task', `colour=${at('few/colour.jsonl')}`, '--task', `animal=${at('few/animal.jsonl')}`]

  it('writes a model of several tasks, from one file for each', async () => {
    const train = ['train', ...data(), '--encoder', at('base'), '--epochs', '2', '--threads', '1']
    const plan = await document([...train, '--plan'])
    expect(plan.tasks.map(({ task, rows, devRows }: Json) => [task, rows + devRows])).toEqual([
      ['animal', 90],
      ['colour', 90],
    ])
    const dev = ['--dev', `colour=${at('few/colour.jsonl')}`]
    expect(await document([...train, ...dev, '--out', at('joint')])).toMatchObject({ tasks: ['animal', 'colour'] })
    const { tasks } = await document(['inspect', at('joint')])
    expect(tasks.map(({ name }: Json) => name)).toEqual(['animal', 'colour'])
    const { exactPath } = await document(['evaluate', at('joint'), at('few/animal.jsonl'), '--task', 'animal'])
    expect(exactPath).toBeGreaterThan(0)
    const { stdout } = await espalier([...train, '--plan'])
    expect(stdout).toMatch(/animal: \d+ rows, \d+ dev, 2 labels, flat/)
  })

  it('says which of its files is not of a task', async () => {
    const out = ['--out', at('never')]
    expect(await failure(['train', ...data(), '--dev', 'x.jsonl', ...out])).toMatchObject({
      code: 'USAGE',
      exitCode: 2,
    })
    expect(await failure(['train', 'x.jsonl', ...data(), ...out])).toMatchObject({ code: 'USAGE', exitCode: 2 })
    expect(await failure(['train', ...data(), '--encoder', 'ngram', ...out])).toMatchObject({ code: 'METHOD_ENCODER' })
  })
})

describe('a merge of trained classifiers', () => {
  it('is described as one model of several tasks', async () => {
    const { kind, tasks } = await document(['inspect', at('merged')])
    expect(kind).toBe('tasks')
    expect(tasks).toMatchObject([
      { name: 'animal', outputs: 2, tree: { labels: 2 } },
      { name: 'colour', outputs: 3, tree: { labels: 4 } },
    ])
    const { stdout } = await espalier(['inspect', at('merged')])
    expect(stdout).toMatch(/animal: 2 labels/)
    for (const line of stdout.split('\n')) if (!line.includes(folder)) expect(line.length).toBeLessThanOrEqual(80)
  })

  it('answers with every task, or with the one that is named', async () => {
    const text = 'the red cat sleeps in room 1'
    const all = await document(['predict', at('merged'), text])
    expect(all.tasks).toEqual(['animal', 'colour'])
    const [{ tasks }] = all.predictions
    expect(tasks.colour.path[0]).toBe('visible')
    for (const task of ['animal', 'colour']) {
      const one = await document(['predict', at('merged'), text, '--task', task])
      expect(one.predictions).toEqual([{ text, ...tasks[task] }])
    }
    const { stdout } = await espalier(['predict', at('merged'), text])
    expect(stdout).toMatch(/^"the red cat.*"\n {2}animal {2}\S+ [01]\.\d\d\n {2}colour {2}visible › \S+ [01]\.\d\d\n$/)
    const jsonl = await espalier(['predict', at('merged'), '--jsonl'], { input: `${text}\n${text}\n` })
    expect(
      jsonl.stdout
        .trim()
        .split('\n')
        .map((line) => Object.keys(JSON.parse(line).tasks)),
    ).toEqual([
      ['animal', 'colour'],
      ['animal', 'colour'],
    ])
  })

  it('is evaluated by task', async () => {
    const { exactPath } = await document(['evaluate', at('merged'), at('few/colour.jsonl'), '--task', 'colour'])
    expect(exactPath).toBeGreaterThanOrEqual(0)
    const unnamed = await failure(['evaluate', at('merged'), at('few/colour.jsonl')])
    expect(unnamed).toMatchObject({ code: 'TASK_UNNAMED', exitCode: 2 })
    const unknown = await failure(['predict', at('merged'), 'x', '--task', 'color'])
    expect(unknown).toMatchObject({ code: 'TASK_UNKNOWN', exitCode: 2, help: expect.stringContaining('colour') })
  })

  it('is chosen among several by what they score on labelled texts', async () => {
    const merge = ['merge', at('recipe.yml'), at('chosen'), '--threads', '1']
    const grid = ['--search', at('few'), '--grid', 'lambda=0,0.5', '--metric', 'macroF1']
    const plan = await document([...merge, ...grid, '--plan'])
    expect(plan.search).toMatchObject({ kind: 'grid', merges: 3 })
    const { search, folder: written } = await document([...merge, ...grid])
    expect(written).toBe(at('chosen'))
    expect(search.candidates.map(({ settings }: Json) => settings)).toEqual([{}, { lambda: 0 }, { lambda: 0.5 }])
    // As written lambda is 0.5; of equal scores the first counts.
    expect(search.candidates[0].score).toBe(search.candidates[2].score)
    expect(search.after).toBe(Math.max(...search.candidates.map(({ score }: Json) => score)))
    expect(Object.keys(search.tasks)).toEqual(['animal', 'colour'])
    for (const [task, value] of Object.entries(search.tasks)) {
      const { macroF1 } = await document(['evaluate', at('chosen'), at(`few/${task}.jsonl`), '--task', task])
      expect(macroF1).toBeCloseTo(value as number, 9)
    }
    const weights = ['--method-option', 'evaluations=6', '--method-option', 'groups=model', '--force']
    const { status, stdout } = await espalier([...merge, '--search', at('few'), ...weights])
    expect(status).toBe(0)
    expect(stdout).toMatch(/searched +8 merges by exactPath/)
    for (const line of stdout.split('\n')) if (!line.includes(folder)) expect(line.length).toBeLessThanOrEqual(80)
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([])
    for (const wrong of [
      ['--grid', 'lamda=1'],
      ['--method-option', 'lambda=1'],
      ['--grid', 'lambda=x'],
    ])
      expect((await failure([...merge, '--force', '--search', at('few'), ...wrong])).code).toBe('METHOD_OPTION')
    expect((await failure([...merge, '--force', '--grid', 'lambda=1'])).code).toBe('USAGE')
    expect((await failure([...merge, '--force', '--search', at('nowhere')])).code).toBe('ENOENT')
    const unnamed = await failure([...merge, '--force', '--search', at('few/colour.jsonl')])
    expect(unnamed).toMatchObject({ code: 'TASK_UNNAMED' })
  })

  it('is aligned in the same step as it is merged, on request', async () => {
    const merge = ['merge', at('recipe.yml'), at('both'), '--threads', '1', '--shots', '8']
    expect(await failure(merge)).toMatchObject({ code: 'USAGE' })
    const report = ['--report', at('both.html')]
    const { folder: written, align } = await document([...merge, '--align', at('few'), ...report])
    expect(written).toBe(at('both'))
    const page = readFileSync(at('both.html'), 'utf8')
    for (const part of ['Accuracy', 'Hierarchical F1', 'Calibration error', 'What it cost', 'Layers and models'])
      expect(page).toContain(part)
    const { tasks } = JSON.parse(readFileSync(at('both/espalier.json'), 'utf8'))
    expect(tasks.colour.accuracy).toEqual({
      specialist: align[1].scores.specialist.accuracy,
      merged: align[1].scores.merged.accuracy,
      aligned: align[1].scores.aligned.accuracy,
    })
    expect(await failure([...merge, '--align', at('few'), '--report', 'page.pdf'])).toMatchObject({
      code: 'OPTION_VALUE',
    })
    expect(align.map(({ task }: { task: string }) => task)).toEqual(['animal', 'colour'])
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([])
    await document(['align', at('merged'), at('few'), '--shots', '8', '--out', at('after')])
    const head = (model: string) => readFileSync(at(`${model}/heads/colour/head.safetensors`))
    expect(head('both').equals(head('after'))).toBe(true)
  })

  it('is aligned with a few rows of each task', async () => {
    const args = ['align', at('merged'), at('few'), '--shots', '8', '--out', at('aligned')]
    const { tasks, method } = await document([...args, '--test', at('few'), '--report', at('aligned.html')])
    expect(tasks.map(({ otherTexts }: { otherTexts: number }) => otherTexts)).toEqual([90, 90])
    expect(readFileSync(at('aligned.html'), 'utf8')).toContain('Layers and models')
    expect(method).toMatchObject({ name: 'ft-classifier', options: { shots: 8 } })
    expect(tasks.map(({ task }: { task: string }) => task)).toEqual(['animal', 'colour'])
    expect(existsSync(at('aligned/heads/colour/classifier.json'))).toBe(true)
    const accuracy = async (model: string) =>
      (await document(['evaluate', at(model), at('few/colour.jsonl'), '--task', 'colour'])).exactPath
    expect(await accuracy('aligned')).toBeGreaterThanOrEqual(await accuracy('merged'))
    expect(await failure(args)).toMatchObject({ code: 'OUT_EXISTS' })
    const one = ['align', at('merged'), at('few/colour.jsonl'), '--out', at('other')]
    expect(await failure(one)).toMatchObject({ code: 'USAGE', help: expect.stringContaining('animal, colour') })
    const expert = [...one, '--task', 'colour', '--expert', `colour=${at('nowhere')}`]
    expect(await failure(expert)).toMatchObject({ code: 'EXPERT_MISSING' })
    expect(existsSync(at('other'))).toBe(false)
    const { stdout, status } = await espalier([...args.slice(0, -1), at('printed')])
    expect(status).toBe(0)
    for (const line of stdout.split('\n')) if (!line.includes(folder)) expect(line.length).toBeLessThanOrEqual(80)
  })
}, 120_000)
