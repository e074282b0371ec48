import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { datasetOf } from '../data/dataset.ts'
import { evaluate } from './evaluate.ts'
import { loadTasks } from './load-tasks.ts'
import { conditionalSoftmax, flat, perNode } from './methods/index.ts'
import { predict } from './predict.ts'
import { pretrain } from './pretrain.ts'
import { train } from './train.ts'
import { planTrainTasks, trainTasks } from './train-tasks.ts'

const colours = ['red', 'green', 'blue', 'black']
const animals = ['cat', 'dog', 'bird']
const rowsOf = (label: (i: number) => string[], count: number) =>
  Array.from({ length: count }, (_, i) => ({
    text: `the ${colours[i % 4]} ${animals[i % 3]} sleeps in room ${i % 7}`,
    labels: [label(i)],
  }))
const colourRows = rowsOf((i) => ['visible', colours[i % 4]!], 120)
const animalRows = rowsOf((i) => [animals[i % 3]!], 90)
const data = { colour: datasetOf(colourRows), animal: datasetOf(animalRows) }

let folder: string
const at = (name: string) => join(folder, name)
const settings = () => ({ encoder: at('base'), epochs: 20, lr: 3e-3, threads: 1, maxLength: 16 })

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-joint-'))
  const shape = { layers: 1, hiddenSize: 64, vocabularySize: 120, maxLength: 16, epochs: 2 }
  await pretrain(datasetOf(colourRows), { ...shape, out: at('base') })
}, 60_000)
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('trainTasks', () => {
  it('writes one folder whose heads all work on the shared encoder, with their trees and settings', async () => {
    const model = await trainTasks(data, { ...settings(), dev: data, out: at('joint') })
    expect(model.tasks).toEqual(['animal', 'colour'])
    for (const [task, rows] of Object.entries(data))
      expect((await evaluate(model.classifier(task), rows)).metrics.exactPath).toBeGreaterThan(0.95)
    const [answer] = await predict(model.classifier('colour'), ['the blue dog sleeps in room 9'])
    expect(answer!.path).toEqual(['visible', 'blue'])
    const both = await model.predict(['the red bird sleeps in room 1'])
    expect([...both].map(([task, [first]]) => [task, first!.path.at(-1)])).toEqual([
      ['animal', 'bird'],
      ['colour', 'red'],
    ])
    await model.classifier('animal').save(at('alone'))
    await model.close()
    const record = JSON.parse(await readFile(at('joint/espalier.json'), 'utf8'))
    expect(record.heads.colour.rows).toEqual({ train: 120, dev: 120 })
    expect((await readFile(at('joint/train-log.jsonl'), 'utf8')).split('\n').length).toBeGreaterThan(2)
  })

  it('gives the same bytes again, interrupted and resumed or not', async () => {
    const bytes = async (name: string) => {
      const files = ['model.safetensors', 'heads/colour/head.safetensors', 'heads/colour/classifier.json']
      return Promise.all(files.map((file) => readFile(at(`${name}/${file}`), 'hex')))
    }
    const options = { ...settings(), epochs: 3 }
    await (await trainTasks(data, { ...options, out: at('whole') })).close()
    const controller = new AbortController()
    const stopped = trainTasks(data, {
      ...options,
      out: at('again'),
      signal: controller.signal,
      onProgress: ({ step, done }) => step === 'train' && done > 200 && controller.abort(),
    })
    await expect(stopped).rejects.toMatchObject({ code: 'INTERRUPTED' })
    await (await trainTasks(data, { ...options, out: at('again'), resume: true })).close()
    expect(await bytes('again')).toEqual(await bytes('whole'))
  })

  it('with one task learns what train learns', async () => {
    const options = { ...settings(), epochs: 3, method: flat() }
    const joint = await trainTasks({ animal: data.animal }, { ...options, out: at('single') })
    const alone = await train(data.animal, options)
    const texts = animalRows.slice(0, 5).map(({ text }) => text)
    const [a, b] = [await joint.classifier('animal').scorer.score(texts), await alone.scorer.score(texts)]
    for (const [i, logit] of a.entries()) expect(logit).toBeCloseTo(b[i]!, 5)
    expect(joint.classifier('animal').settings).toEqual(alone.settings)
    await joint.close()
    await alone.close()
  })

  it('takes methods of levels and of several labels a row', async () => {
    const several = datasetOf(
      animalRows.map(({ text, labels }, i) => ({ text, labels: [...labels, [colours[i % 4]!]] })),
    )
    const options = { ...settings(), epochs: 1 }
    const levels = await trainTasks(data, { ...options, method: conditionalSoftmax(), out: at('levels') })
    expect(levels.classifier('colour').settings.layout.groups.length).toBeGreaterThan(1)
    await levels.close()
    await expect(trainTasks({ ...data, several }, { ...options, out: at('mixed') })).rejects.toMatchObject({
      code: 'TASKS_MIXED',
    })
    const yesOrNo = await trainTasks({ ...data, several }, { ...options, method: perNode(), out: at('nodes') })
    expect(yesOrNo.classifier('several').settings.multiLabel).toBe(true)
    await yesOrNo.close()
  })

  it('plans all tasks, and says what is wrong with them', async () => {
    const plan = await planTrainTasks(data, { ...settings(), out: at('planned') })
    expect(plan.tasks.map(({ task, rows, labels }) => [task, rows, labels.leaves])).toEqual([
      ['animal', 81, 3],
      ['colour', 108, 4],
    ])
    expect(plan.steps).toBe(20 * Math.ceil(189 / 32))
    const out = at('never')
    await expect(trainTasks({}, { out })).rejects.toMatchObject({ code: 'DATA_EMPTY' })
    await expect(trainTasks({ '../x': data.animal }, { out })).rejects.toMatchObject({ code: 'TASK_NAME' })
    await expect(trainTasks(data, { out, encoder: 'ngram' })).rejects.toMatchObject({ code: 'METHOD_ENCODER' })
    await expect(trainTasks(data, { out, dev: { color: data.colour } })).rejects.toMatchObject({ code: 'TASK_UNKNOWN' })
    await expect(loadTasks(out)).rejects.toMatchObject({ code: 'MODEL_FORMAT' })
  })
})
