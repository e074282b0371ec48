import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { fixtureSource } from '../../test/support/safetensors.ts'
import { encoderModel, loadWeights, openEncoder, readEncoderConfig } from './index.ts'

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

    test('hidden states of transformers, one text at a time', async () => {
      const encoder = await openEncoder(model, await loadWeights(model, fixtureSource(folder)), 'hidden')
      const hidden = await encoder.run(expected.ids, { batchSize: 1 })
      for (const [row, values] of expected.hidden.entries())
        expect(largestDifference(hidden[row]!, values.flat())).toBeLessThan(1e-4)
      await encoder.close()
    })
  })
}
