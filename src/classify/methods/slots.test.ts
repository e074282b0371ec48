import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { datasetOf } from '../../data/dataset.ts'
import { evaluate } from '../evaluate.ts'
import { loadClassifier } from '../load-classifier.ts'
import { predict } from '../predict.ts'
import { train } from '../train.ts'
import { caml, laat } from './index.ts'

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

describe.each([caml(), laat({ size: 16 })])('$name', (method) => {
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
    expect(config.espalier_slots.kind).toBe('label-attention')
    expect(config.architectures[0]).not.toMatch(/SequenceClassification/)
    await model.close()
    await loaded.close()
  }, 60_000)

  it('refuses the ngram encoder, saying what to do', async () => {
    await expect(train(datasetOf(rows(4)), { method })).rejects.toMatchObject({ code: 'METHOD_ENCODER' })
  })
})
