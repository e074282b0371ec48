import { describe, expect, test } from 'vitest'
import {
  encoderModel,
  initialWeights,
  loadWeights,
  miniConfig,
  readEncoderConfig,
  type TensorSource,
  tokenBatch,
} from './index.ts'

const config = miniConfig({ vocabularySize: 20, layers: 1, hiddenSize: 8, heads: 2, maxLength: 12 })
const model = encoderModel(config, { units: 3 })

/** A checkpoint with the tensors of `model` under other names or in other shapes. */
function source(
  change: (name: string, shape: readonly number[]) => [string, readonly number[]] | undefined,
): TensorSource {
  const tensors = new Map<string, { shape: readonly number[] }>()
  for (const { name, shape } of model.parameters) {
    const changed = change(name, shape)
    if (changed) tensors.set(changed[0], { shape: changed[1] })
  }
  return {
    folder: 'model',
    tensors,
    readFloat32: async (name) =>
      new Float32Array(tensors.get(name)!.shape.reduce((a, b) => a * b, 1)).fill(name.length),
  }
}

async function fault(run: () => unknown) {
  try {
    await run()
  } catch (error) {
    const { code, message, where } = error as { code: string; message: string; where: object }
    return { code, message, where }
  }
  return undefined
}

describe('loading', () => {
  test('finds keys without prefix and with older names', async () => {
    const weights = await loadWeights(
      model,
      source((name, shape) => [name.replace('bert.', '').replace('LayerNorm.weight', 'LayerNorm.gamma'), shape]),
    )
    expect([...weights.keys()]).toEqual(model.parameters.map(({ name }) => name))
    expect(weights.get('bert.embeddings.LayerNorm.weight')![0]).toBe('embeddings.LayerNorm.gamma'.length)
  })

  test('a missing tensor is named', async () => {
    const name = 'bert.encoder.layer.0.output.dense.bias'
    expect(
      await fault(() =>
        loadWeights(
          model,
          source((n, s) => (n === name ? undefined : [n, s])),
        ),
      ),
    ).toEqual({
      code: 'TENSOR_MISSING',
      message: `Tensor ${name} [8] is missing from the checkpoint`,
      where: { file: 'model', tensor: name },
    })
  })

  test('a tensor of another shape is named, with both shapes', async () => {
    const name = 'bert.encoder.layer.0.output.dense.weight'
    expect(
      await fault(() =>
        loadWeights(
          model,
          source((n, s) => [n, n === name ? [8, 8] : s]),
        ),
      ),
    ).toEqual({
      code: 'TENSOR_SHAPE',
      message: 'Expected shape [8, 32], received [8, 8]',
      where: { file: 'model', tensor: name },
    })
  })

  test('a new classifier is drawn, whatever the checkpoint has', async () => {
    const other = source((n, s) =>
      n.startsWith('classifier') ? [n, [2, ...s.slice(1)]] : n.includes('pooler') ? undefined : [n, s],
    )
    expect(await fault(() => loadWeights(model, other))).toMatchObject({ code: 'TENSOR_MISSING' })
    const weights = await loadWeights(model, other, { newClassifier: true, seed: 4 })
    const fresh = initialWeights(model, 4)
    for (const name of ['classifier.weight', 'bert.pooler.dense.weight'])
      expect(weights.get(name)).toEqual(fresh.get(name))
  })
})

describe('fresh weights', () => {
  test('are keyed by seed and name', () => {
    const [a, b, c] = [initialWeights(model, 1), initialWeights(model, 1), initialWeights(model, 2)]
    expect(a).toEqual(b)
    const name = 'bert.encoder.layer.0.attention.self.query.weight'
    expect(a.get(name)).not.toEqual(c.get(name))
    expect(a.get(name)).not.toEqual(a.get(name.replace('query', 'key')))
    expect(a.get('bert.embeddings.LayerNorm.weight')).toEqual(new Float32Array(8).fill(1))
    expect(a.get('classifier.bias')).toEqual(new Float32Array(3))
  })

  test('have the standard deviation of the configuration', () => {
    const wide = encoderModel(miniConfig({ vocabularySize: 500, hiddenSize: 64 }))
    const values = initialWeights(wide, 0).get(wide.tokenTable)!
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length)
    expect(deviation / wide.config.initializerRange).toBeGreaterThan(0.985)
    expect(deviation / wide.config.initializerRange).toBeLessThan(1.015)
  })
})

describe('configurations', () => {
  test.each([
    ['CONFIG_FAMILY', { model_type: 'gpt2' }],
    ['CONFIG_FAMILY', {}],
    ['CONFIG_VALUE', { model_type: 'bert', hidden_size: 'large' }],
    ['CONFIG_VALUE', { model_type: 'bert', num_hidden_layers: 0 }],
    ['CONFIG_VALUE', { model_type: 'roberta', max_position_embeddings: 2 }],
    ['CONFIG_HEADS', { model_type: 'bert', hidden_size: 100, num_attention_heads: 12 }],
    ['CONFIG_ACTIVATION', { model_type: 'bert', hidden_act: 'mish' }],
    ['CONFIG_POSITIONS', { model_type: 'bert', position_embedding_type: 'relative_key' }],
  ])('%s: %j', async (code, json) => {
    expect((await fault(() => readEncoderConfig(json)))?.code).toBe(code)
  })

  test('RoBERTa starts its positions behind the padding index', () => {
    expect(
      readEncoderConfig({ model_type: 'xlm-roberta', max_position_embeddings: 514, pad_token_id: 1 }),
    ).toMatchObject({
      family: 'roberta',
      positionOffset: 2,
      maxLength: 512,
    })
  })
})

test('token ids and lengths that do not fit the encoder are refused', async () => {
  expect((await fault(() => tokenBatch([[1, 20]], model)))?.code).toBe('TOKEN_ID')
  expect((await fault(() => tokenBatch([new Int32Array(13)], model)))?.code).toBe('TOKEN_LENGTH')
  expect(tokenBatch([[1, 2, 3], [4]], model)).toEqual({
    B: 2,
    S: 3,
    ids: Int32Array.of(1, 2, 3, 4, -1, -1),
    mask: Float32Array.of(1, 1, 1, 1, 0, 0),
  })
})
