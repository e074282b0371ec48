import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openCheckpoint } from '../checkpoint/checkpoint.ts'
import { datasetOf } from '../data/dataset.ts'
import { pretrain } from './pretrain.ts'
import { train } from './train.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-pretrain-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

// A language with a grammar: the verb is told by the subject, the object by the verb.
const sentences = Array.from({ length: 600 }, (_, i) => {
  const [who, does, what] = [
    ['the cat', 'drinks', 'milk'],
    ['the dog', 'chews', 'bones'],
    ['the bird', 'sings', 'songs'],
  ][i % 3]!
  return `${who} ${does} ${what} at ${['noon', 'night', 'dawn', 'dusk'][i % 4]}`
})
const options = {
  layers: 1,
  hiddenSize: 32,
  vocabularySize: 120,
  maxLength: 16,
  epochs: 20,
  learningRate: 3e-3,
  devShare: 0.1,
}

describe('pretrain', () => {
  it('learns to guess masked words, writes an encoder that train takes, and gives the same bytes when interrupted', async () => {
    const whole = await pretrain(datasetOf(sentences.map((text) => ({ text }))), { ...options, out: join(folder, 'a') })
    const dev = whole.history.flatMap(({ dev }) => (dev ? [dev['loss']!] : []))
    expect(dev.length).toBe(20)
    // Guessing at random among about 40 tokens costs 3.7 nats; the grammar leaves the time of day (1.4) to chance.
    expect(dev.at(-1)!).toBeLessThan(1.2)
    expect(dev.at(-1)!).toBeLessThan(dev[0]! * 0.6)

    const controller = new AbortController()
    const onProgress = ({ done }: { done: number }) => done > 0 && controller.abort()
    const data = datasetOf(sentences.map((text) => ({ text })))
    const out = join(folder, 'b')
    await expect(pretrain(data, { ...options, out, signal: controller.signal, onProgress })).rejects.toMatchObject({
      code: 'INTERRUPTED',
    })
    await pretrain(data, { ...options, out, resume: true })
    const bytes = (name: string) => readFile(join(folder, name, 'model.safetensors'))
    expect((await bytes('b')).equals(await bytes('a'))).toBe(true)

    const rows = sentences.slice(0, 60).map((text) => ({ text, labels: [[text.split(' ')[1]!]] }))
    const model = await train(datasetOf(rows), { encoder: join(folder, 'a'), epochs: 1, threads: 1, seed: 1 })
    expect(model.scorer.units).toBe(3)
    await model.close()
    const checkpoint = await openCheckpoint(join(folder, 'a'))
    expect(checkpoint.tensors.has('bert.pooler.dense.weight')).toBe(true)
    await checkpoint.close()
  }, 60_000)

  it('refuses data without texts and options out of range', async () => {
    await expect(pretrain(datasetOf([]), { out: join(folder, 'c') })).rejects.toMatchObject({ code: 'DATA_EMPTY' })
    const data = datasetOf([{ text: 'a b c' }])
    await expect(pretrain(data, { out: join(folder, 'c'), maxLength: 1000 })).rejects.toMatchObject({
      code: 'OPTION_RANGE',
    })
    await expect(pretrain(data, { out: join(folder, 'c'), maskShare: 1 })).rejects.toMatchObject({
      code: 'OPTION_RANGE',
    })
  })
})
