import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { encoderModel } from './architectures.ts'
import { openEncoder } from './encoder-runtime.ts'
import { gruConfig } from './gru.ts'

interface Fixture {
  config: { vocabularySize: number; hiddenSize: number; layers: number; units: number }
  ids: number[][]
  weights: Record<string, number[]>
  hidden: number[][]
  logits: number[][]
}
const fixture: Fixture = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../test/fixtures/gru/torch-gru.json'), 'utf8'),
)

test('states and logits are those of torch.nn.GRU with the same weights', async () => {
  const { units, ...sizes } = fixture.config
  const model = encoderModel(gruConfig({ ...sizes, dropout: 0 }), { units })
  const weights = new Map(Object.entries(fixture.weights).map(([name, values]) => [name, Float32Array.from(values)]))
  expect([...weights.keys()].sort()).toEqual(model.parameters.map(({ name }) => name).sort())
  for (const output of ['hidden', 'logits'] as const) {
    const encoder = await openEncoder(model, weights, output)
    const found = await encoder.run(fixture.ids)
    await encoder.close()
    for (const [row, expected] of fixture[output].entries()) {
      expect(found[row]).toHaveLength(expected.length)
      for (const [i, value] of expected.entries()) expect(found[row]![i]).toBeCloseTo(value, 5)
    }
  }
})

test('an odd width is refused', () => {
  expect(() => gruConfig({ vocabularySize: 10, hiddenSize: 7 })).toThrow(/even hidden_size/)
})
