import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { fixtureSource } from '../../test/support/safetensors.ts'
import { loadRuntime } from '../graph/index.ts'
import { encoderModel, exportEncoder, initialWeights, loadWeights, openEncoder, readEncoderConfig } from './index.ts'

const fixtures = fileURLToPath(new URL('../../test/fixtures/encoders', import.meta.url))

function largestDifference(a: ArrayLike<number>, b: readonly number[]): number {
  expect(a.length).toBe(b.length)
  return b.reduce((largest, value, i) => Math.max(largest, Math.abs(value - a[i]!)), 0)
}

for (const name of ['bert', 'bert-gelu-new', 'roberta', 'distilbert']) {
  describe(name, () => {
    const folder = `${fixtures}/${name}`
    const config = readEncoderConfig(JSON.parse(readFileSync(`${folder}/config.json`, 'utf8')))
    const model = encoderModel(config, { units: 5 })
    const expected: { ids: number[][]; logits: number[][]; hidden: number[][][] } = JSON.parse(
      readFileSync(`${folder}/expected.json`, 'utf8'),
    )

    test('logits of transformers', async () => {
      const encoder = await openEncoder(model, await loadWeights(model, fixtureSource(folder)), 'logits')
      const logits = await encoder.run(expected.ids)
      for (const [row, values] of expected.logits.entries())
        expect(largestDifference(logits[row]!, values)).toBeLessThan(1e-4)
      await encoder.close()
    })

    test('logits of fixed weights, of an exported file and of both runtimes are the same', async () => {
      const weights = await loadWeights(model, fixtureSource(folder))
      const ids = expected.ids[0]!
      for (const options of [{ fixed: true }, { runtime: 'wasm' as const }, { threads: 2 }]) {
        const encoder = await openEncoder(model, weights, 'logits', options)
        const [logits] = await encoder.run([ids])
        expect(largestDifference(logits!, expected.logits[0]!)).toBeLessThan(1e-4)
        await encoder.close()
      }
      const { ort } = await loadRuntime('native')
      const session = await ort.InferenceSession.create(exportEncoder(model, weights, 'logits'))
      const int64 = (values: readonly number[]) =>
        new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length])
      const { logits } = await session.run({ input_ids: int64(ids), attention_mask: int64(ids.map(() => 1)) })
      expect(largestDifference(logits!.data as Float32Array, expected.logits[0]!)).toBeLessThan(1e-4)
      await session.release()
    })

    test('hidden states of transformers, one text at a time', async () => {
      const encoder = await openEncoder(model, await loadWeights(model, fixtureSource(folder)), 'hidden')
      const hidden = await encoder.run(expected.ids, { batchSize: 1 })
      for (const [row, values] of expected.hidden.entries())
        expect(largestDifference(hidden[row]!, values.flat())).toBeLessThan(1e-4)
      await encoder.close()
    })
  })
}

test('mean pooling averages over the tokens of each text', async () => {
  const folder = `${fixtures}/bert`
  const model = encoderModel(readEncoderConfig(JSON.parse(readFileSync(`${folder}/config.json`, 'utf8'))), {
    pooling: 'mean',
  })
  const expected: { ids: number[][]; hidden: number[][][] } = JSON.parse(
    readFileSync(`${folder}/expected.json`, 'utf8'),
  )
  const encoder = await openEncoder(model, await loadWeights(model, fixtureSource(folder)), 'pooled')
  const pooled = await encoder.run(expected.ids)
  for (const [row, states] of expected.hidden.entries()) {
    const mean = states[0]!.map((_, j) => states.reduce((sum, state) => sum + state[j]!, 0) / states.length)
    expect(largestDifference(pooled[row]!, mean)).toBeLessThan(1e-4)
  }
  await encoder.close()
})

test('texts of any length come back in their order, with progress and on request an early end', async () => {
  const folder = `${fixtures}/bert`
  const config = readEncoderConfig({
    ...JSON.parse(readFileSync(`${folder}/config.json`, 'utf8')),
    max_position_embeddings: 600,
  })
  const model = encoderModel(config, { units: 3 })
  const encoder = await openEncoder(model, initialWeights(model, 1), 'logits')
  // From one token to more than fill one run.
  const lengths = [1, 600, 40, 7, 300, 300, 40, 2, 1, 500]
  const texts = lengths.map((length, i) => Int32Array.from({ length }, (_, s) => (i * 13 + s * 7) % 50))
  const done: number[] = []
  const together = await encoder.run(texts, { onProgress: (progress) => done.push(progress.done) })
  for (const [i, text] of texts.entries()) {
    const [alone] = await encoder.run([text])
    expect(largestDifference(together[i]!, [...alone!])).toBeLessThan(1e-6)
  }
  expect(done.at(-1)).toBe(texts.length)
  const controller = new AbortController()
  controller.abort()
  await expect(encoder.run(texts, { signal: controller.signal })).rejects.toMatchObject({ code: 'INTERRUPTED' })
  await encoder.close()
})

test('an encoder without a classifier gives no logits', async () => {
  const model = encoderModel(readEncoderConfig({ model_type: 'bert', hidden_size: 12 }))
  await expect(openEncoder(model, new Map(), 'logits')).rejects.toMatchObject({ code: 'ENCODER_OUTPUT' })
})
