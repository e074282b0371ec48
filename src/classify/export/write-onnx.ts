/** An ONNX folder as transformers.js and optimum lay it out: config.json, the tokenizer, labels.json and onnx/model.onnx. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encodeOnnx, Graph, loadRuntime, program, type Tensor } from '../../graph/index.ts'
import { openEncoder } from '../../models/index.ts'
import { InputError, throwIfAborted } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { treeFile } from '../classifier.ts'
import type { EncoderParts, ExportSource } from './open-source.ts'
import { type Parity, ParityCheck } from './parity.ts'
import { pathScores } from './path-scores.ts'
import { writeTokenizer } from './write-tokenizer.ts'

/** A protobuf message ends below 2 GiB. */
const largestFile = 2 ** 31 - 1
const modelFile = join('onnx', 'model.onnx')

/** @throws InputError `EXPORT_SIZE`; RunError `EXPORT_DIFFERS` */
export async function writeOnnx(
  folder: string,
  source: ExportSource,
  encoder: EncoderParts,
  texts: readonly string[],
  run: RunOptions,
): Promise<Parity> {
  const { classifier, config } = source
  const { model, weights, tokenizer, maxLength } = encoder
  const scores = classifier ? pathScores(classifier) : undefined
  const bytes = Array.from(weights.values()).reduce((sum, { byteLength }) => sum + byteLength, 0)
  if (bytes > largestFile)
    throw new InputError(
      'EXPORT_SIZE',
      `An ONNX file holds at most 2 GiB, the weights take ${(bytes / 2 ** 30).toFixed(1)}`,
    )
  const graph = new Graph()
  const built = model.build(graph, { tokens: 'ids', hidden: !scores })
  const outputs: Record<string, Tensor> = scores
    ? { logits: scores.build(graph, built.logits!) }
    : { last_hidden_state: built.hidden! }
  await mkdir(join(folder, 'onnx'))
  await writeFile(join(folder, modelFile), encodeOnnx(graph, program(graph, outputs), weights))
  const named = scores
    ? {
        id2label: Object.fromEntries(scores.labels.map((name, index) => [String(index), name])),
        label2id: Object.fromEntries(scores.labels.map((name, index) => [name, index])),
        problem_type: `${scores.activation === 'sigmoid' ? 'multi' : 'single'}_label_classification`,
        label_tree: classifier!.tree.toJSON(),
      }
    : {}
  await writeFile(join(folder, 'config.json'), `${JSON.stringify({ ...config, ...named }, null, 2)}\n`)
  if (classifier) await writeFile(join(folder, treeFile), `${JSON.stringify(classifier.tree, null, 1)}\n`)
  await writeTokenizer(folder, tokenizer, maxLength)
  return check(folder, source, encoder, texts, run)
}

async function check(
  folder: string,
  { classifier }: ExportSource,
  { model, weights, tokenizer, maxLength }: EncoderParts,
  texts: readonly string[],
  run: RunOptions,
): Promise<Parity> {
  const { ort } = await loadRuntime()
  const session = await ort.InferenceSession.create(await readFile(join(folder, modelFile)))
  const parity = new ParityCheck(classifier ? 'probabilities' : 'hidden states', classifier ? 1e-5 : 1e-4)
  const hidden = classifier ? undefined : await openEncoder(model, weights, 'hidden', run)
  try {
    for (const text of texts) {
      throwIfAborted(run.signal)
      const ids = tokenizer.encode(text, maxLength)
      const int64 = (values: ArrayLike<number>) =>
        new ort.Tensor('int64', BigInt64Array.from(Array.from(values, BigInt)), [1, values.length])
      const outputs = await session.run({ input_ids: int64(ids), attention_mask: int64(ids.map(() => 1)) })
      if (!classifier) {
        const [expected] = await hidden!.run([ids])
        parity.compare(text, expected!, outputs['last_hidden_state']!.data as Float32Array)
        continue
      }
      const scores = pathScores(classifier)
      const logits = await classifier.scorer.score([text])
      const received = outputs['logits']!.data as Float32Array
      parity.compare(
        text,
        scores.expected(logits, classifier.probabilities(logits)),
        activated(received, scores.activation),
      )
    }
  } finally {
    await session.release()
    await hidden?.close()
  }
  return parity.result()
}

/** What a reader of the file does with its output. */
function activated(scores: Float32Array, activation: 'softmax' | 'sigmoid'): number[] {
  if (activation === 'sigmoid') return Array.from(scores, (score) => 1 / (1 + Math.exp(-score)))
  const most = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const shares = Array.from(scores, (score) => Math.exp(score - most))
  const sum = shares.reduce((a, b) => a + b, 0)
  return shares.map((share) => share / sum)
}
