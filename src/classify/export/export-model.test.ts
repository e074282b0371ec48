import { createHash } from 'node:crypto'
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { env, pipeline } from '@huggingface/transformers'
import { describe, expect, it } from 'vitest'
import { faultOf, temporaryFolder } from '../../../test/temporary-folder.ts'
import { datasetOf } from '../../data/dataset.ts'
import { formatPath } from '../../labels/label-tree.ts'
import { loadTokenizer } from '../../text/tokenizer.ts'
import { loadClassifier } from '../load-classifier.ts'
import { flat } from '../methods/flat.ts'
import { perNode } from '../methods/per-node.ts'
import { predict } from '../predict.ts'
import { train } from '../train.ts'
import { exportModel } from './export-model.ts'
import { readGgufTensors } from './gguf-file.ts'
import { ParityCheck } from './parity.ts'
import { sampleTexts } from './sample-texts.ts'
import { ggufName } from './write-gguf.ts'

env.allowRemoteModels = false
const fixture = fileURLToPath(new URL('../../../test/fixtures/export', import.meta.url))
const source = join(fixture, 'source')
const expected = JSON.parse(readFileSync(join(fixture, 'expected.json'), 'utf8'))
const { folder } = temporaryFolder()
const sha256 = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex')

const rows = ['red apple', 'green apple', 'red brick', 'grey brick', 'loud noise', 'quiet noise'].flatMap((text) =>
  Array.from({ length: 6 }, (_, i) => ({ text: `${text} ${i}`, labels: [text.split(' ').reverse()] })),
)

/** A label's score from a pipeline of transformers.js, by label. */
async function pipelineScores(model: string, texts: readonly string[]): Promise<Map<string, number>[]> {
  const classify = await pipeline('text-classification', model, { dtype: 'fp32', local_files_only: true })
  const answers: Map<string, number>[] = []
  for (const text of texts) {
    const scores = (await classify(text, { top_k: null as never })) as { label: string; score: number }[]
    answers.push(new Map(scores.map(({ label, score }) => [label, score])))
  }
  await classify.dispose()
  return answers
}

describe('transformers', () => {
  it('gives the file that PyTorch read, with logits equal to those that it computed', async () => {
    const out = join(folder, 'transformers')
    const { parity } = await exportModel(source, { format: 'transformers', out })
    expect(parity).toMatchObject({ compared: 'logits', count: sampleTexts.length })
    expect(sha256(join(out, 'model.safetensors'))).toBe(expected.transformers.sha256)
    const model = await loadClassifier(out)
    const tokenizer = await loadTokenizer(out)
    for (const [index, text] of sampleTexts.entries()) {
      expect([...tokenizer.encode(text, 48)]).toEqual(expected.ids[index])
      const logits = await model.scorer.score([text])
      for (const [unit, value] of expected.transformers.logits[index].entries())
        expect(logits[unit]).toBeCloseTo(value, 4)
    }
    expect(expected.transformers.label_tree).toEqual(JSON.parse(JSON.stringify(model.tree)))
    const names = [...model.settings.layout.unitNodes].map((id) => formatPath(model.tree.path(id)))
    expect(Object.values(expected.transformers.id2label)).toEqual(names)
    await model.close()
  })
})

describe('onnx', () => {
  it('gives the file that onnxruntime read in Python, and path probabilities in both', async () => {
    const out = join(folder, 'onnx')
    await exportModel(source, { format: 'onnx', out })
    expect(sha256(join(out, 'onnx/model.onnx'))).toBe(expected.onnx.sha256)
    const config = JSON.parse(readFileSync(join(out, 'config.json'), 'utf8'))
    const labels: string[] = Object.values(config.id2label)
    expect(labels).toContain('app')
    const model = await loadClassifier(source)
    const inNode = await pipelineScores(out, sampleTexts)
    const answers = await predict(model, sampleTexts, { topK: labels.length })
    expect(expected.ids.filter((ids: number[]) => ids.length < 48).length).toBeGreaterThan(10)
    for (const [index, { top }] of answers.entries()) {
      expect(top).toHaveLength(labels.length)
      for (const { path, probability } of top) {
        const label = formatPath(path)
        // transformers.js cuts long texts without their last [SEP].
        if (expected.ids[index].length < 48) expect(inNode[index]!.get(label)).toBeCloseTo(probability, 5)
        expect(expected.onnx.scores[index][labels.indexOf(label)]).toBeCloseTo(probability, 5)
      }
    }
    await model.close()
  })

  it.each([
    ['flat', flat(), 'softmax'],
    ['per-node', perNode(), 'sigmoid'],
  ] as const)('of a %s head has its scores', async (name, method, activation) => {
    const trained = join(folder, `trained-${name}`)
    const options = { method, encoder: 'mini', epochs: 1, out: trained, threads: 1 }
    await (await train(datasetOf(rows), options)).close()
    const out = join(folder, `onnx-${name}`)
    await exportModel(trained, { format: 'onnx', out })
    const model = await loadClassifier(trained)
    const { tree, settings } = model
    const [scores] = await pipelineScores(out, ['red apple'])
    const logits = await model.scorer.score(['red apple'])
    const { ending } = model.probabilities(logits)
    for (const [unit, id] of settings.layout.unitNodes.entries()) {
      const value = activation === 'softmax' ? ending[id]! : 1 / (1 + Math.exp(-logits[unit]! / settings.temperature))
      expect(scores!.get(formatPath(tree.path(id)))).toBeCloseTo(value, 5)
    }
    await model.close()
  })

  it('of an encoder without a head gives hidden states', async () => {
    const bare = join(folder, 'bare')
    cpSync(source, bare, { recursive: true })
    const {
      id2label: _,
      label2id: __,
      problem_type: ___,
      ...config
    } = JSON.parse(readFileSync(join(bare, 'config.json'), 'utf8'))
    writeFileSync(join(bare, 'config.json'), JSON.stringify({ ...config, architectures: ['BertModel'] }))
    const out = join(folder, 'bare-onnx')
    const { parity } = await exportModel(bare, { format: 'onnx', out })
    expect(parity.compared).toBe('hidden states')
    const extract = await pipeline('feature-extraction', out, { dtype: 'fp32', local_files_only: true })
    const vector = await extract('book a table', { pooling: 'mean', normalize: true })
    expect(vector.dims).toEqual([1, 32])
    await extract.dispose()
  })

  it('of an ngram model is refused: text cannot be hashed there', async () => {
    const trained = join(folder, 'ngram')
    await (await train(datasetOf(rows), { out: trained })).close()
    const out = join(folder, 'ngram-onnx')
    const fault = await faultOf(() => exportModel(trained, { format: 'onnx', out }))
    expect(fault).toMatchObject({ code: 'EXPORT_KIND', help: expect.stringContaining('hashed') })
    expect(existsSync(out)).toBe(false)
    await exportModel(trained, { format: 'safetensors', out })
    expect(sha256(join(out, 'model.safetensors'))).toBe(sha256(join(trained, 'model.safetensors')))
  })
})

describe('gguf', () => {
  it('holds every tensor under the name of llama.cpp', async () => {
    for (const ggufType of ['F32', 'F16'] as const) {
      const out = join(folder, `gguf-${ggufType}`)
      const { parity } = await exportModel(source, { format: 'gguf', out, ggufType })
      const tensors = readGgufTensors(new Uint8Array(readFileSync(join(out, 'model.gguf'))))
      expect(parity).toEqual({ compared: 'tensors', count: tensors.length, largestDifference: 0, tolerance: 0 })
      expect(tensors.map(({ name }) => name)).toEqual(
        expect.arrayContaining(['token_embd.weight', 'blk.1.ffn_down.bias', 'cls.weight', 'cls.output.bias']),
      )
      expect(tensors.find(({ name }) => name === 'blk.0.ffn_up.weight')).toMatchObject({
        shape: [64, 32],
        type: ggufType,
      })
    }
    expect(ggufName('bert.encoder.layer.3.attention.output.LayerNorm.weight')).toBe('blk.3.attn_output_norm.weight')
  })
})

describe('an export', () => {
  it('replaces only what it may, and leaves nothing behind when it fails', async () => {
    const out = join(folder, 'again')
    await exportModel(source, { format: 'onnx', out })
    expect((await faultOf(() => exportModel(source, { format: 'onnx', out }))).code).toBe('OUT_EXISTS')
    await exportModel(source, { format: 'transformers', out, force: true })
    expect(existsSync(join(out, 'onnx'))).toBe(false)
    expect(JSON.parse(readFileSync(join(out, 'espalier.json'), 'utf8'))).toMatchObject({ format: 'transformers' })
    const names = readdirSync(folder).filter((name) => name.startsWith('.'))
    expect(names).toEqual([])
  })

  it('fails loudly where values differ, or are no numbers', async () => {
    const parity = new ParityCheck('logits', 1e-5)
    parity.compare('a', [1, 2], [1, 2 + 1e-6])
    expect(parity.result()).toMatchObject({ count: 1, tolerance: 1e-5 })
    for (const received of [[1, 2.1], [1], [1, Number.NaN]])
      expect((await faultOf(() => parity.compare('b', [1, 2], received))).code).toBe('EXPORT_DIFFERS')
  })
})
