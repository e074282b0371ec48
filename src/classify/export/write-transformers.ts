/** A folder that `from_pretrained` of transformers opens: config.json with id2label and the tree, safetensors with Hugging Face names, the tokenizer. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openCheckpoint } from '../../checkpoint/checkpoint.ts'
import { writeCheckpointInto } from '../../checkpoint/write-checkpoint.ts'
import { InputError, throwIfAborted } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { loadClassifier } from '../load-classifier.ts'
import type { EncoderParts, ExportSource } from './open-source.ts'
import { type Parity, ParityCheck } from './parity.ts'
import { writeTokenizer } from './write-tokenizer.ts'

/** @throws InputError `EXPORT_KIND` for a head of slots; RunError `EXPORT_DIFFERS` */
export async function writeTransformers(
  folder: string,
  { classifier, config }: ExportSource,
  { model, weights, tokenizer, maxLength }: EncoderParts,
  texts: readonly string[],
  run: RunOptions,
): Promise<Parity> {
  if (classifier) {
    if (model.config.slots !== undefined)
      throw new InputError('EXPORT_KIND', 'transformers has no class for a head that reads the text through slots', {
        help: 'use --format safetensors, or onnx for a head without a prompt',
      })
    await classifier.writeInto(folder)
    const file = join(folder, 'config.json')
    const written = JSON.parse(await readFile(file, 'utf8')) as object
    await writeFile(file, `${JSON.stringify({ ...written, label_tree: classifier.tree.toJSON() }, null, 2)}\n`)
    await writeTokenizer(folder, tokenizer, maxLength)
    return compareLogits(folder, classifier, texts, run)
  }
  const tensors = model.parameters.map(({ name, shape }) => ({
    name: name.replace(/^(bert|roberta|distilbert)\./, ''),
    dtype: 'F32' as const,
    shape: [...shape],
    data: weights.get(name)!,
  }))
  await writeCheckpointInto(folder, { config, tensors, metadata: { format: 'pt' } }, { checkFinite: true })
  await writeTokenizer(folder, tokenizer, maxLength)
  const parity = new ParityCheck('tensors', 0)
  const checkpoint = await openCheckpoint(folder)
  for (const { name, data } of tensors) parity.compare(name, data, await checkpoint.readFloat32(name))
  await checkpoint.close()
  return parity.result()
}

/** Opens a written classifier and compares its logits with the source's. @throws RunError `EXPORT_DIFFERS` */
export async function compareLogits(
  folder: string,
  source: NonNullable<ExportSource['classifier']>,
  texts: readonly string[],
  run: RunOptions,
): Promise<Parity> {
  const written = await loadClassifier(folder, { ...run, threads: 1 })
  const parity = new ParityCheck('logits', 1e-5)
  try {
    for (const text of texts) {
      throwIfAborted(run.signal)
      parity.compare(text, await source.scorer.score([text]), await written.scorer.score([text]))
    }
  } finally {
    await written.close()
  }
  return parity.result()
}
