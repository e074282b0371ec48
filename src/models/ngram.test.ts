import { describe, expect, test } from 'vitest'
import { type NgramParts, ngramConfig, ngramTensors, readNgramParts } from './ngram-parts.ts'

const parts: NgramParts = {
  ngrams: { minCharacters: 2, maxCharacters: 5 },
  hashes: Uint32Array.of(2, 5, 9),
  featureWeights: Float32Array.of(1, 2, 3),
  offsets: Uint32Array.of(0, 1, 1, 3),
  problems: Uint8Array.of(0, 1, 0),
  weights: Int8Array.of(5, -7, 127),
  scales: Float32Array.of(0.1, 0.2),
  biases: Float32Array.of(-1, 1),
  unitOffsets: Uint32Array.of(0, 1, 2),
  unitProblems: Uint32Array.of(0, 1),
  unitFactors: Float32Array.of(4, 4),
  unitShifts: Float32Array.of(0, 0),
}

/** A checkpoint in memory. */
function checkpointOf(model: NgramParts, config: Record<string, unknown> = ngramConfig(model)) {
  const tensors = ngramTensors(model)
  return {
    folder: 'model',
    config,
    tensors: new Map(
      tensors.map(({ name, dtype, shape, data }) => [name, { name, dtype, shape, bytes: data.byteLength }]),
    ),
    read: async (name: string) => {
      const { data } = tensors.find((tensor) => tensor.name === name)!
      return new Uint8Array(data.buffer.slice(0) as ArrayBuffer)
    },
  }
}

describe('the arrays of a model in a checkpoint', () => {
  test('come back as they were', async () => {
    expect(await readNgramParts(checkpointOf(parts))).toEqual(parts)
    for (const problems of [Uint16Array.of(0, 1, 0), Uint32Array.of(0, 1, 0)])
      expect((await readNgramParts(checkpointOf({ ...parts, problems }))).problems).toEqual(problems)
  })

  test.each([
    ['another kind of model', { model_type: 'bert' }],
    ['no n-gram options', { model_type: 'espalier-ngram' }],
    ['n-gram options out of range', { model_type: 'espalier-ngram', ngrams: { minCharacters: 3, maxCharacters: 2 } }],
  ])('%s is refused', async (_, config) => {
    await expect(readNgramParts(checkpointOf(parts, config))).rejects.toMatchObject({ code: 'NGRAM_CONFIG' })
  })

  test.each<[string, Partial<NgramParts>]>([
    ['a problem that is not there', { problems: Uint8Array.of(0, 2, 0) }],
    ['offsets that go back', { offsets: Uint32Array.of(0, 2, 1, 3) }],
    ['offsets beyond the end', { offsets: Uint32Array.of(0, 1, 1, 4) }],
    ['too few weights', { weights: Int8Array.of(1) }],
    ['features without a weight', { featureWeights: Float32Array.of(1) }],
    ['units of a problem that is not there', { unitProblems: Uint32Array.of(0, 9) }],
    ['units without a shift', { unitShifts: Float32Array.of(0) }],
  ])('%s is refused, with the tensor named', async (_, change) => {
    const error = { code: 'NGRAM_TENSORS', where: { file: 'model', tensor: expect.any(String) } }
    await expect(readNgramParts(checkpointOf({ ...parts, ...change }))).rejects.toMatchObject(error)
  })

  test('a missing tensor is refused', async () => {
    const checkpoint = checkpointOf(parts)
    checkpoint.tensors.delete('problems.scales')
    await expect(readNgramParts(checkpoint)).rejects.toMatchObject({ code: 'NGRAM_TENSORS' })
  })
})
