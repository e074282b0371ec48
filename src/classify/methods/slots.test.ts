import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { datasetOf } from '../../data/dataset.ts'
import { LabelTree } from '../../labels/label-tree.ts'
import { miniConfig } from '../../models/index.ts'
import { evaluate } from '../evaluate.ts'
import { exportModel } from '../export/export-model.ts'
import { loadClassifier } from '../load-classifier.ts'
import { predict } from '../predict.ts'
import { train } from '../train.ts'
import { caml, laat, plant } from './index.ts'

const words: Record<string, string[]> = { visa: ['visa', 'embassy'], hotel: ['room', 'bed'], card: ['pin', 'card'] }
const parents: Record<string, string> = { visa: 'travel', hotel: 'travel', card: 'bank' }

/** The word that decides stands at another place in every text. */
function rows(perTopic: number, offset = 0) {
  return Object.entries(words).flatMap(([topic, own]) =>
    Array.from({ length: perTopic }, (_, i) => {
      const n = i + offset
      const text = 'i would like to ask you about this'.split(' ')
      text.splice(n % 8, 0, own[n % 2]!)
      return { text: `${text.join(' ')} ${n}`, labels: [[parents[topic]!, topic]] }
    }),
  )
}

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-slots-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const methods = [caml(), laat({ size: 16 }), plant({ ranker: true, factors: 16, rankerEpochs: 5, mix: 'learned' })]
describe.each(methods)('$name', (method) => {
  it('learns on an encoder, and is the same after saving and loading', async () => {
    const out = join(folder, method.name)
    const data = datasetOf(rows(24))
    const model = await train(data, {
      method,
      encoder: 'mini',
      out,
      dev: datasetOf(rows(4, 500)),
      epochs: 8,
      threads: 1,
    })
    const test = datasetOf(rows(6, 1000))
    expect((await evaluate(model, test)).metrics.exactPath).toBeGreaterThan(0.9)
    const loaded = await loadClassifier(out, { threads: 1 })
    const texts = rows(3, 2000).map(({ text }) => text)
    expect(await predict(loaded, texts)).toEqual(await predict(model, texts))
    const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'))
    expect(config.espalier_slots.kind).toBe(method.name === 'plant' ? 'planted-attention' : 'label-attention')
    expect(config.architectures[0]).not.toMatch(/SequenceClassification/)
    await model.close()
    await loaded.close()
  }, 60_000)

  it('refuses the ngram encoder, saying what to do', async () => {
    await expect(train(datasetOf(rows(4)), { method })).rejects.toMatchObject({ code: 'METHOD_ENCODER' })
  })
})

describe('plant', () => {
  it('is exported with the same probabilities', async () => {
    const out = join(folder, 'onnx')
    const { parity } = await exportModel(join(folder, 'plant'), { format: 'onnx', out })
    expect(parity.largestDifference).toBeLessThan(1e-5)
  }, 60_000)

  it('refuses what it cannot do', async () => {
    expect(() => plant({ table: false, linear: false })).toThrow(expect.objectContaining({ code: 'METHOD_OPTION' }))
    const tree = LabelTree.fromPaths([['a'], ['b']])
    const layout = { activation: 'softmax', unitNodes: new Int32Array(100_000), groups: [] } as const
    const config = miniConfig({ vocabularySize: 30_000 })
    expect(() => plant().slots!.slots(tree, layout, config)).toThrow(expect.objectContaining({ code: 'METHOD_DATA' }))
    expect(plant({ table: false, ranker: true }).slots!.slots(tree, layout, config)).toMatchObject({
      parts: ['ranker', 'linear'],
    })
  })
})
