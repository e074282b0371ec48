import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { datasetOf } from '../data/dataset.ts'
import { merge } from '../merge/merge.ts'
import { taskArithmetic } from '../merge/methods/task-arithmetic.ts'
import { loadClassifier } from './load-classifier.ts'
import { loadTasks, taskNames } from './load-tasks.ts'
import { predict } from './predict.ts'
import { pretrain } from './pretrain.ts'
import { train } from './train.ts'

const colours = ['red', 'green', 'blue']
const animals = ['cat', 'dog']
const rowsOf = (label: (i: number) => string[]) =>
  Array.from({ length: 90 }, (_, i) => ({
    text: `the ${colours[i % 3]} ${animals[i % 2]} sleeps in room ${i % 7}`,
    labels: [label(i)],
  }))
const colourRows = rowsOf((i) => ['visible', colours[i % 3]!])
const animalRows = rowsOf((i) => [animals[i % 2]!])

let folder: string
const at = (name: string) => join(folder, name)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-tasks-'))
  const shape = { layers: 1, hiddenSize: 32, vocabularySize: 120, maxLength: 16, epochs: 2 }
  await pretrain(datasetOf(colourRows), { ...shape, out: at('base') })
  const options = { encoder: at('base'), epochs: 4, lr: 3e-3, threads: 1, maxLength: 16 }
  for (const [name, rows] of Object.entries({ colour: colourRows, animal: animalRows }))
    await (await train(datasetOf(rows), { ...options, out: at(name) })).close()
  const method = taskArithmetic({ lambda: 0.5 })
  await merge([at('colour'), at('animal')], { base: at('base'), method, out: at('merged'), threads: 1 })
  await merge([at('colour')], { base: at('base'), method, out: at('one'), threads: 1 })
}, 120_000)
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('a merge of trained classifiers', () => {
  it('is one folder whose heads keep their label trees and settings', async () => {
    expect(await taskNames(at('merged'))).toEqual(['animal', 'colour'])
    const model = await loadTasks(at('merged'))
    expect(model.tasks).toEqual(['animal', 'colour'])
    const colour = model.classifier('colour')
    expect(colour.tree.depth).toBe(2)
    expect(colour.settings).toEqual((await loadClassifier(at('colour'))).settings)
    const [answer] = await predict(colour, ['the red cat sleeps in room 1'])
    expect(answer!.path[0]).toBe('visible')
    await model.close()
  })

  it('gives for each task what the stand-alone classifier of encoder and head gives', async () => {
    const model = await loadTasks(at('merged'))
    const texts = animalRows.slice(0, 9).map(({ text }) => text)
    for (const task of model.tasks) {
      const shared = await model.classifier(task).scorer.score(texts)
      await model.classifier(task).save(at(`alone-${task}`))
      const alone = await loadClassifier(at(`alone-${task}`))
      const logits = await alone.scorer.score(texts)
      expect(logits.length).toBe(shared.length)
      for (const [i, value] of logits.entries()) expect(Math.abs(value - shared[i]!)).toBeLessThan(1e-5)
      const { parts } = model.classifier(task).scorer
      if (parts.kind !== 'encoder') throw new Error('an encoder')
      const [first] = await parts.run([parts.tokenizer.encode(texts[0]!, parts.maxLength)])
      for (const [i, value] of first!.entries()) expect(Math.abs(value - shared[i]!)).toBeLessThan(1e-5)
      await alone.close()
    }
    await model.close()
  })

  it('answers all tasks at once as it answers them one by one', async () => {
    const model = await loadTasks(at('merged'))
    const texts = animalRows.slice(0, 5).map(({ text }) => text)
    const all = await model.predict(texts)
    for (const task of model.tasks) expect(all.get(task)).toEqual(await predict(model.classifier(task), texts))
    expect((await model.features(texts))[0]!.length).toBe(32)
    await model.close()
  })

  it('opens some of the heads, and names the nearest one for one that is not there', async () => {
    const model = await loadTasks(at('merged'), { tasks: ['colour'] })
    expect(model.tasks).toEqual(['colour'])
    await model.close()
    await expect(loadTasks(at('merged'), { tasks: ['color'] })).rejects.toMatchObject({
      code: 'TASK_UNKNOWN',
      help: expect.stringContaining('colour'),
    })
    await expect(loadTasks(at('base'))).rejects.toMatchObject({ code: 'MODEL_FORMAT' })
  })

  it('of one task stays a classifier with its tree', async () => {
    expect(existsSync(at('one/heads'))).toBe(false)
    const model = await loadClassifier(at('one'))
    expect(model.tree.depth).toBe(2)
    await model.close()
  })
})
