/** Models whose heads read through prompts, in the verbs after train: explain and export answer as the model does, or refuse. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { saveEncoderClassifier } from '../src/classify/encoder-scorer.ts'
import {
  attentionRollout,
  datasetOf,
  explain,
  exportModel,
  type HeadMethod,
  hierverb,
  integratedGradients,
  lama,
  loadClassifier,
  train,
  transhp,
} from '../src/index.ts'
import { encoderModel, initialWeights, miniConfig } from '../src/models/index.ts'
import { tokenizerFrom } from '../src/text/tokenizer.ts'
import { trainWordPiece } from '../src/text/train-wordpiece.ts'

const words: Record<string, string> = { visa: 'embassy', hotel: 'room', card: 'pin', loan: 'debt' }
const rows = Object.entries(words).flatMap(([topic, word], t) =>
  Array.from({ length: 12 }, (_, i) => ({
    text: `please tell me about the ${word} number ${i}`,
    labels: [[t < 2 ? 'travel' : 'bank', topic]],
  })),
)
let folder = ''
let encoder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-prompts-'))
  encoder = join(folder, 'encoder')
  const tokenizer = await tokenizerFrom(
    trainWordPiece(
      rows.map(({ text }) => text),
      { vocabularySize: 200 },
    ),
  )
  const shape = { layers: 2, hiddenSize: 16, heads: 2, maxLength: 64 }
  const config = miniConfig({ vocabularySize: tokenizer.vocabularySize, padTokenId: tokenizer.padId, ...shape })
  const model = encoderModel(config)
  await mkdir(encoder)
  await saveEncoderClassifier(encoder, { model, weights: initialWeights(model, 1), tokenizer, config: config.source })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function trained(method: HeadMethod): Promise<string> {
  const out = join(folder, method.name)
  const settings = { encoder, epochs: 2, lr: 3e-3, batch: 8, threads: 1 }
  const model = await train(datasetOf(rows), { method, out, dev: datasetOf(rows.slice(0, 8)), ...settings })
  await model.close()
  return out
}

it('a prompt: gradients along the path add up to the score; no ONNX, gguf or transformers form', async () => {
  const out = await trained(hierverb({ read: 'masks' }))
  const model = await loadClassifier(out, { threads: 1 })
  const [found] = await explain(model, ['please tell me about the embassy'], {
    method: integratedGradients({ steps: 256 }),
  })
  const sum = found!.tokens.reduce((total, { value }) => total + value, 0)
  expect(found!.tokens).toHaveLength(6)
  expect(sum).not.toBe(0)
  expect(Math.abs(found!.score.value - found!.score.base! - sum)).toBeLessThan(0.01)
  await expect(explain(model, ['a text'], { method: attentionRollout() })).rejects.toMatchObject({
    code: 'METHOD_ENCODER',
  })
  await model.close()
  for (const format of ['onnx', 'gguf', 'transformers'] as const)
    await expect(exportModel(out, { format, out: join(folder, format) })).rejects.toMatchObject({ code: 'EXPORT_KIND' })
  const { parity } = await exportModel(out, { format: 'safetensors', out: join(folder, 'copy') })
  expect(parity.largestDifference).toBe(0)
}, 60_000)

it.each([transhp(), lama()])(
  '$name: its ONNX file answers as the model does',
  async (method) => {
    const out = await trained(method)
    const { parity } = await exportModel(out, { format: 'onnx', out: join(folder, `${method.name}-onnx`) })
    expect(parity.largestDifference).toBeLessThanOrEqual(parity.tolerance)
  },
  60_000,
)
