import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { datasetOf } from '../../data/dataset.ts'
import { encoderModel, initialWeights, miniConfig } from '../../models/index.ts'
import { tokenizerFrom } from '../../text/tokenizer.ts'
import { trainWordPiece } from '../../text/train-wordpiece.ts'
import { saveEncoderClassifier } from '../encoder-scorer.ts'
import { evaluate } from '../evaluate.ts'
import { loadClassifier } from '../load-classifier.ts'
import { predict } from '../predict.ts'
import { train } from '../train.ts'
import { hierverb, lama, lhMix, transhp } from './index.ts'

const words: Record<string, string[]> = {
  visa: ['visa', 'embassy'],
  hotel: ['room', 'bed'],
  card: ['pin', 'card'],
  loan: ['credit', 'debt'],
}
const parents: Record<string, string> = { visa: 'travel', hotel: 'travel', card: 'bank', loan: 'bank' }
const filler = 'i would like to ask you about this'.split(' ')

function rows(perTopic: number, offset = 0) {
  return Object.entries(words).flatMap(([topic, own]) =>
    Array.from({ length: perTopic }, (_, i) => {
      const n = i + offset
      const text = [...filler]
      text.splice(n % 8, 0, own[n % 2]!)
      return { text: `${text.join(' ')} ${n}`, labels: [[parents[topic]!, topic]] }
    }),
  )
}

/** Rows with one or two topics. */
function severalRows(count: number, offset = 0) {
  const topics = Object.keys(words)
  return Array.from({ length: count }, (_, i) => {
    const n = i + offset
    const own = n % 3 === 0 ? [topics[n % 4]!, topics[(n + 1) % 4]!] : [topics[n % 4]!]
    const text = [...filler, ...own.map((topic) => words[topic]![n % 2]!), String(n)].join(' ')
    return { text, labels: own.map((topic) => [parents[topic]!, topic]) }
  })
}

let folder = ''
/** A small encoder with fresh weights, as a checkpoint. */
let encoder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-levels-'))
  encoder = join(folder, 'encoder')
  const texts = [...rows(40), ...severalRows(40)].map(({ text }) => text)
  const tokenizer = await tokenizerFrom(trainWordPiece(texts, { vocabularySize: 300 }))
  const shape = { layers: 2, hiddenSize: 32, heads: 2, maxLength: 64 }
  const config = miniConfig({ vocabularySize: tokenizer.vocabularySize, padTokenId: tokenizer.padId, ...shape })
  const model = encoderModel(config)
  await mkdir(encoder)
  await saveEncoderClassifier(encoder, { model, weights: initialWeights(model, 1), tokenizer, config: config.source })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const kinds = { hierverb: 'levels', 'lh-mix': 'levels', transhp: 'layer-prompts', lama: 'pooled-attention' }

/** Fresh weights learn faster than pretrained ones should. */
const fast = { lr: 3e-3, batch: 8, threads: 1 }

describe.each([hierverb({ read: 'masks' }), lhMix(), transhp(), lama()])('$name', (method) => {
  it('learns on an encoder, is the same after saving and loading, and decodes in every way', async () => {
    const out = join(folder, method.name)
    const model = await train(datasetOf(rows(40)), {
      method,
      encoder,
      out,
      dev: datasetOf(rows(4, 500)),
      ...fast,
      epochs: 12,
    })
    const test = datasetOf(rows(6, 1000))
    for (const name of ['leaf-up', 'joint-path', 'top-down', 'per-level-argmax'] as const)
      expect((await evaluate(model, test, { decoder: { name } })).metrics.exactPath).toBeGreaterThan(0.9)
    const loaded = await loadClassifier(out, { threads: 1 })
    const texts = rows(3, 2000).map(({ text }) => text)
    expect(await predict(loaded, texts)).toEqual(await predict(model, texts))
    const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'))
    expect(config.espalier_slots.kind).toBe(kinds[method.name as keyof typeof kinds])
    await model.close()
    await loaded.close()
  }, 90_000)

  it('learns rows with several labels', async () => {
    const model = await train(datasetOf(severalRows(160)), {
      method,
      encoder,
      dev: datasetOf(severalRows(24, 500)),
      ...fast,
      epochs: 12,
    })
    const { metrics } = await evaluate(model, datasetOf(severalRows(24, 1000)))
    expect(metrics.microF1).toBeGreaterThan(0.85)
    await model.close()
  }, 90_000)

  it('resumes to the same weights', async () => {
    const options = { method, encoder, dev: datasetOf(rows(2, 500)), epochs: 2, threads: 1, batch: 8 }
    const [whole, cut] = [join(folder, `${method.name}-whole`), join(folder, `${method.name}-cut`)]
    await (await train(datasetOf(rows(8)), { ...options, out: whole })).close()
    const abort = new AbortController()
    await expect(
      train(datasetOf(rows(8)), {
        ...options,
        out: cut,
        signal: abort.signal,
        onProgress: ({ step, done }) => {
          if (step === 'train' && done >= 8) abort.abort()
        },
      }),
    ).rejects.toMatchObject({ code: 'INTERRUPTED' })
    await (await train(datasetOf(rows(8)), { ...options, out: cut, resume: true })).close()
    const weights = (out: string) => readFile(join(out, 'model.safetensors'))
    expect((await weights(whole)).equals(await weights(cut))).toBe(true)
  }, 90_000)

  it('refuses the ngram encoder', async () => {
    await expect(train(datasetOf(rows(4)), { method })).rejects.toMatchObject({ code: 'METHOD_ENCODER' })
  })
})

it('transhp refuses a tree of one level, and more blocks than layers', async () => {
  const single = rows(4).map(({ text, labels }) => ({ text, labels: [[labels[0]![1]!]] }))
  await expect(train(datasetOf(single), { method: transhp(), encoder })).rejects.toMatchObject({
    code: 'METHOD_DATA',
  })
  await expect(train(datasetOf(rows(4)), { method: transhp({ blocks: [9] }), encoder })).rejects.toMatchObject({
    code: 'METHOD_ENCODER',
  })
})
