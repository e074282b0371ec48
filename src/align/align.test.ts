import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { evaluate } from '../classify/evaluate.ts'
import { loadTasks } from '../classify/load-tasks.ts'
import { pretrain } from '../classify/pretrain.ts'
import { train } from '../classify/train.ts'
import { datasetOf } from '../data/dataset.ts'
import { merge } from '../merge/merge.ts'
import { linear } from '../merge/methods/linear.ts'
import { recordedTasks } from '../serve/studio/merge-record.ts'
import { align } from './align.ts'
import { ftClassifier } from './methods/ft-classifier.ts'

const colours = ['red', 'green', 'blue', 'black']
const animals = ['cat', 'dog', 'bird']
const texts = Array.from({ length: 160 }, (_, i) => `the ${colours[i % 4]} ${animals[i % 3]} sleeps in room ${i % 7}`)
const rows = {
  colour: texts.map((text, i) => ({ text, labels: [[colours[i % 4]!]] })),
  animal: texts.map((text, i) => ({ text, labels: [[animals[i % 3]!]] })),
}

let folder: string
const at = (name: string) => join(folder, name)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-align-'))
  const shape = { layers: 1, hiddenSize: 32, vocabularySize: 120, maxLength: 16, epochs: 2 }
  await pretrain(datasetOf(texts.map((text) => ({ text }))), { ...shape, out: at('base') })
  const options = { encoder: at('base'), epochs: 25, lr: 5e-3, threads: 1, maxLength: 16 }
  for (const [name, part] of Object.entries(rows))
    await (await train(datasetOf(part), { ...options, out: at(name) })).close()
  await merge([at('colour'), at('animal')], { method: linear(), out: at('merged'), threads: 1 })
}, 120_000)
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('align', () => {
  it('writes the model with fitted heads, which agree with the experts more than before, and leaves the rest alone', async () => {
    const data = { colour: datasetOf(rows.colour) }
    const { tasks } = await align(at('merged'), data, { method: ftClassifier({ shots: 8 }), out: at('aligned') })
    expect(tasks.length).toBe(1)
    expect(tasks[0]!.texts).toBe(32)
    expect(tasks[0]!.otherTexts).toBe(128)
    expect(tasks[0]!.agreementAfter!).toBeGreaterThanOrEqual(tasks[0]!.agreementBefore!)
    expect(tasks[0]!.distanceRotated).toBeLessThan(tasks[0]!.distance)
    const same = (name: string) => Promise.all(['merged', 'aligned'].map((model) => readFile(at(`${model}/${name}`))))
    for (const name of ['model.safetensors', 'heads/animal/head.safetensors', 'heads/colour/classifier.json']) {
      const [before, after] = await same(name)
      expect(before!.equals(after!)).toBe(true)
    }
    const [before, after] = await same('heads/colour/head.safetensors')
    expect(before!.equals(after!)).toBe(false)
    const model = await loadTasks(at('aligned'))
    expect(model.classifier('colour').tree.size).toBe(4)
    await model.close()
  })

  it('scores expert, merged and aligned model on the other rows, and writes it where the studio looks', async () => {
    const data = { colour: datasetOf(rows.colour), animal: datasetOf(rows.animal) }
    const { tasks } = await align(at('merged'), data, { method: ftClassifier({ shots: 8 }), out: at('scored') })
    const model = await loadTasks(at('scored'))
    const record = JSON.parse(await readFile(at('scored/espalier.json'), 'utf8'))
    expect(record.verb).toBe('merge')
    expect(record.inputs.length).toBe(2)
    for (const { task, scores } of tasks) {
      expect(Object.keys(scores!)).toEqual(['specialist', 'merged', 'aligned'])
      expect(scores!.specialist.accuracy).toBeGreaterThan(0.9)
      expect(scores!.aligned.ece!).toBeGreaterThanOrEqual(0)
      expect(record.tasks[task].accuracy).toEqual({
        specialist: scores!.specialist.accuracy,
        merged: scores!.merged.accuracy,
        aligned: scores!.aligned.accuracy,
      })
    }
    expect(recordedTasks(record).length).toBe(4)
    await model.close()
  })

  it('scores what evaluate scores, and hierarchical F1 where there is a tree', async () => {
    const deep = rows.colour.map(({ text, labels: [[name]] }) => ({ text, labels: [['seen', name!]] }))
    const options = { encoder: at('base'), epochs: 6, lr: 5e-3, threads: 1, maxLength: 16 }
    await (await train(datasetOf(deep), { ...options, out: at('deep') })).close()
    await merge([at('deep'), at('animal')], { method: linear(), out: at('merged-deep'), threads: 1 })
    const test = datasetOf(deep)
    const data = { deep: test }
    const { tasks } = await align(at('merged-deep'), data, { test: data, out: at('aligned-deep') })
    const scores = tasks[0]!.scores!
    for (const [folder, found] of [
      [at('merged-deep'), scores.merged],
      [at('aligned-deep'), scores.aligned],
    ] as const) {
      const model = await loadTasks(folder)
      const { metrics } = await evaluate(model.classifier('deep'), test)
      expect(found.accuracy).toBeCloseTo(metrics.exactPath, 10)
      expect(found.hierarchicalF1!).toBeCloseTo(metrics.hierarchical.f1, 10)
      expect(found.ece!).toBeCloseTo(metrics.ece!, 4)
      await model.close()
    }
    const other = { ...data, animal: test }
    await expect(align(at('merged-deep'), data, { test: other, out: at('never') })).rejects.toMatchObject({
      code: 'TASK_UNKNOWN',
    })
  })

  it('gives equal bytes for equal seeds, other ones for other texts', async () => {
    const data = { colour: datasetOf(rows.colour) }
    const bytes = async (name: string, seed: number) => {
      await align(at('merged'), data, { method: ftClassifier({ shots: 2 }), seed, out: at(name) })
      return readFile(at(`${name}/heads/colour/head.safetensors`))
    }
    const first = await bytes('s0', 0)
    expect(first.equals(await bytes('s0-again', 0))).toBe(true)
    expect(first.equals(await bytes('s1', 1))).toBe(false)
  })

  it('changes no answer where the encoder is the expert itself', async () => {
    const models = [
      { model: at('colour'), weight: 1 },
      { model: at('animal'), weight: 0 },
    ]
    await merge(models, { method: linear(), out: at('one'), threads: 1 })
    const data = { colour: datasetOf(rows.colour) }
    const experts = { colour: at('colour') }
    for (const solver of ['train', 'rotation', 'both'] as const) {
      const method = ftClassifier({ shots: 4, solver })
      const { tasks } = await align(at('one'), data, { method, experts, out: at(`one-${solver}`) })
      expect(tasks[0]).toMatchObject({ agreementBefore: 1, agreementAfter: 1 })
      expect(tasks[0]!.distance).toBeLessThan(1e-6)
    }
  })

  it('says which task, which expert and which option is wrong', async () => {
    const data = (task: string) => ({ [task]: datasetOf(rows.colour) })
    const out = at('never')
    await expect(align(at('merged'), data('color'), { out })).rejects.toMatchObject({ code: 'TASK_UNKNOWN' })
    await expect(align(at('base'), data('colour'), { out })).rejects.toMatchObject({ code: 'MODEL_FORMAT' })
    const experts = { colour: at('nowhere') }
    await expect(align(at('merged'), data('colour'), { out, experts })).rejects.toMatchObject({
      code: 'EXPERT_MISSING',
    })
    await expect(align(at('merged'), data('colour'), { out, experts: { colour: at('animal') } })).rejects.toMatchObject(
      { code: 'EXPERT_OTHER' },
    )
    expect(() => ftClassifier({ shots: 0 })).toThrow(expect.objectContaining({ code: 'METHOD_OPTION' }))
  })
})
