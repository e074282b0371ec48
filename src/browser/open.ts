/** Opens classifiers and encoders from their files, in the thread that calls. */
import { defaultMaxLength } from '../classify/classifier-config.ts'
import { parseSettings, settingsFile, treeFile } from '../classify/classifier-settings.ts'
import { plainCheckpoint } from '../classify/plain-checkpoint.ts'
import { parseLabelTree } from '../labels/parse-label-tree.ts'
import { encoderModel } from '../models/architectures.ts'
import { readEncoderConfig } from '../models/encoder-config.ts'
import { NgramModel } from '../models/ngram.ts'
import { ngramModelType, readNgramParts } from '../models/ngram-parts.ts'
import { loadWeights, type TensorSource } from '../models/weights.ts'
import { toFloat32 } from '../tensor/dtypes.ts'
import { type Tokenizer, tokenizerFrom } from '../text/tokenizer-json.ts'
import { tokenizerFromVocabulary } from '../text/vocabulary-file.ts'
import { InputError } from '../util/errors.ts'
import { decodeUtf8 } from '../util/parse-json.ts'
import type { RunOptions } from '../util/progress.ts'
import { type BrowserClassifier, browserClassifier } from './browser-classifier.ts'
import {
  type ModelFiles,
  type ModelSource,
  modelFiles,
  needJsonFile,
  readJsonFile,
  readWeights,
} from './model-files.ts'
import { chooseRuntime, type RuntimeOptions } from './runtime-choice.ts'

/** Opens a classifier in this thread. See `loadClassifier`. */
export async function openClassifier(
  source: ModelSource,
  options: RuntimeOptions & RunOptions = {},
): Promise<BrowserClassifier> {
  const files = modelFiles(source, options)
  // Everything that any model has is asked for at once: a cold page waits for the slowest file, not for all in turn.
  const [config, settingsJson, treeJson, weights, record] = await Promise.all([
    needJsonFile(files, 'config.json'),
    readJsonFile(files, settingsFile),
    readJsonFile(files, treeFile),
    readWeights(files),
    readJsonFile(files, 'espalier.json'),
  ])
  const isNgram = config['model_type'] === ngramModelType
  const { tree, settings } =
    settingsJson === undefined || treeJson === undefined
      ? plainCheckpoint(config, `${files.place} config.json`)
      : settled(parseLabelTree(treeJson, `${files.place} ${treeFile}`), settingsJson, files)
  const known = (record ?? {}) as Record<string, unknown>
  if (isNgram) {
    const model = await NgramModel.fromParts(await readNgramParts({ config, ...weights }))
    return browserClassifier(tree, settings, { kind: 'ngram', model }, known)
  }
  const encoder = readEncoderConfig(config, `${files.place} config.json`)
  const model = encoderModel(encoder, { units: settings.layout.unitNodes.length })
  const [tokenizer, values, runtime] = await Promise.all([
    readTokenizer(files),
    loadWeights(model, tensorSource(weights), options),
    chooseRuntime(options),
  ])
  const maxLength = Math.min(settings.maxLength ?? defaultMaxLength, encoder.maxLength)
  const parts = { kind: 'encoder' as const, model, weights: values, tokenizer, maxLength, config, ...runtime }
  return browserClassifier(tree, settings, parts, known, options)
}

function settled(tree: ReturnType<typeof parseLabelTree>, json: unknown, files: ModelFiles) {
  return { tree, settings: parseSettings(json, tree, `${files.place} ${settingsFile}`) }
}

/** Tensors of a file in memory as `loadWeights` reads them. */
export function tensorSource({ folder, tensors, read }: Awaited<ReturnType<typeof readWeights>>): TensorSource {
  return { folder, tensors, readFloat32: async (name) => toFloat32(await read(name), tensors.get(name)!.dtype) }
}

/** The tokenizer of a folder. Throws InputError `TOKENIZER_MISSING` and those of the tokenizer. */
export async function readTokenizer(files: ModelFiles): Promise<Tokenizer> {
  const [json, config] = await Promise.all([
    readJsonFile(files, 'tokenizer.json'),
    readJsonFile(files, 'tokenizer_config.json'),
  ])
  const settings = (config ?? {}) as Record<string, unknown>
  const file = `${files.place} tokenizer.json`
  if (json !== undefined) return tokenizerFrom(json as Record<string, unknown>, settings, file)
  const vocabulary = await files.bytes('vocab.txt')
  if (vocabulary === undefined)
    throw new InputError('TOKENIZER_MISSING', 'The folder holds no tokenizer.json', { where: { file: files.place } })
  const place = `${files.place} vocab.txt`
  return tokenizerFrom(tokenizerFromVocabulary(decodeUtf8(vocabulary, place), place, settings), settings, place)
}
