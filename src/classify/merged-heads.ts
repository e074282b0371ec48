/** The heads that a merge kept, one per task (`heads/NAME/`): classifiers that share one encoder, whose weights are held once. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { openCheckpoint } from '../checkpoint/checkpoint.ts'
import { openSafetensors } from '../checkpoint/safetensors-file.ts'
import { encoderModel, loadWeights, readEncoderConfig, type TensorSource } from '../models/index.ts'
import { toFloat32 } from '../tensor/dtypes.ts'
import { loadTokenizer } from '../text/tokenizer.ts'
import { readJson } from '../util/json.ts'
import { Classifier } from './classifier.ts'
import { defaultMaxLength, encoderScorer } from './encoder-scorer.ts'
import { type LoadOptions, plainCheckpoint } from './load-classifier.ts'

/** Names of the heads of a merged model; empty for other folders. */
export async function headNames(folder: string): Promise<string[]> {
  const entries = await readdir(join(folder, 'heads'), { withFileTypes: true }).catch(() => [])
  return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).sort()
}

/**
 * Opens heads of a merged model by name.
 * @throws InputError as `loadClassifier` does.
 */
export async function openHeads(
  folder: string,
  names: readonly string[],
  options: LoadOptions = {},
): Promise<Map<string, Classifier>> {
  const checkpoint = await openCheckpoint(folder, options)
  const held = new Map<string, Promise<Float32Array>>()
  const shared = (name: string) => {
    const known = held.get(name) ?? checkpoint.readFloat32(name)
    held.set(name, known)
    return known
  }
  try {
    const tokenizer = await loadTokenizer(folder)
    const heads = new Map<string, Classifier>()
    for (const name of names) {
      const target = join(folder, 'heads', name)
      const config = { ...checkpoint.config, ...((await readJson(join(target, 'head.json'))) as object) }
      const { tree, settings } = plainCheckpoint(config, join(target, 'head.json'))
      const encoder = readEncoderConfig(config, join(folder, 'config.json'))
      const model = encoderModel(encoder, { units: settings.layout.unitNodes.length })
      const file = await openSafetensors(join(target, 'head.safetensors'))
      const source: TensorSource = {
        folder: target,
        tensors: new Map([...checkpoint.tensors, ...file.tensors]),
        async readFloat32(tensor) {
          const own = file.tensors.get(tensor)
          if (!own) return shared(tensor)
          const bytes = new Uint8Array(own.bytes)
          await file.readInto(tensor, bytes)
          return toFloat32(bytes, own.dtype)
        },
      }
      try {
        const weights = await loadWeights(model, source, options)
        const maxLength = Math.min(defaultMaxLength, encoder.maxLength)
        const parts = { model, weights, tokenizer, maxLength, config, threads: options.threads ?? 1 }
        heads.set(name, new Classifier(tree, settings, await encoderScorer(parts, options), {}))
      } finally {
        await file.close()
      }
    }
    return heads
  } finally {
    await checkpoint.close()
  }
}
