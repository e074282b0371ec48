/** The work of the verb pretrain: vocabulary, token rows, training, and the folder of the encoder. */
import { copyFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeCheckpointInto } from '../checkpoint/write-checkpoint.ts'
import { writeSafetensors } from '../checkpoint/write-safetensors.ts'
import type { Dataset } from '../data/dataset.ts'
import { encoderModel, initialWeight, miniConfig } from '../models/index.ts'
import { permutation, random } from '../tensor/random.ts'
import { tokenizerFrom } from '../text/tokenizer.ts'
import { trainWordPiece } from '../text/train-wordpiece.ts'
import { packTokens } from '../train/batches.ts'
import { type MlmOptions, mlmDefaults } from '../train/mlm-job.ts'
import { trainMaskedLanguageModel } from '../train/train-mlm.ts'
import { checkOutputFolder, recordFile, writeFolderAtomic } from '../util/atomic.ts'
import { InputError, throwIfAborted } from '../util/errors.ts'
import { sha256OfJson } from '../util/hash.ts'
import { version } from '../util/version.ts'
import type { PretrainOptions, PretrainResult } from './pretrain.ts'
import { dropIfEmpty, openWorkFolder, trainLogFile } from './work-folder.ts'

/** The file of the language model's own head, beside the encoder. */
export const maskedHeadFile = 'mlm-head.safetensors'

/** Longest text that the encoder will take, whatever it was pretrained on. */
const positions = 128

/** See `pretrain`. */
export async function runPretrain(data: Dataset, options: PretrainOptions): Promise<PretrainResult> {
  const { out, vocabularySize = 8000, layers = 4, hiddenSize = 256, maxLength = 64, devShare = 0.02 } = options
  if (!(devShare >= 0 && devShare < 1))
    throw new InputError('OPTION_RANGE', `Expected devShare from 0 to below 1, received ${devShare}`, {
      where: { key: 'devShare' },
    })
  if (!(Number.isInteger(maxLength) && maxLength >= 3 && maxLength <= positions))
    throw new InputError('OPTION_RANGE', `Expected maxLength from 3 to ${positions}, received ${maxLength}`, {
      where: { key: 'maxLength' },
    })
  await checkOutputFolder(out, options.force)
  const texts: string[] = []
  for await (const { text } of data) {
    throwIfAborted(options.signal)
    texts.push(text)
  }
  if (texts.length === 0)
    throw new InputError('DATA_EMPTY', 'There is no text to train on', { where: { file: data.files[0] } })
  const settings: MlmOptions = Object.fromEntries(
    Object.entries(mlmDefaults).map(([key, fallback]) => [key, options[key as keyof PretrainOptions] ?? fallback]),
  ) as never
  const shape = { vocabularySize, layers, hiddenSize, maxLength, devShare }
  const { threads: _, saveMinutes: __, ...asked } = settings
  const fingerprint = sha256OfJson({ version, texts, shape, asked })
  const work = await openWorkFolder(out, fingerprint, options)
  const json = trainWordPiece(texts, { vocabularySize })
  const tokenizer = await tokenizerFrom(json)
  const { maskId, frame, padId } = tokenizer
  if (maskId === undefined) throw new TypeError('The trained vocabulary has a mask token')
  const config = miniConfig({
    vocabularySize: tokenizer.vocabularySize,
    padTokenId: padId,
    layers,
    hiddenSize,
    maxLength: positions,
  })
  const order = permutation(texts.length, random(settings.seed, 'pretrain dev'))
  const held = Math.min(texts.length - 1, Math.round(devShare * texts.length))
  const tokens = (rows: Uint32Array) =>
    packTokens(Array.from(rows.slice().sort(), (row) => tokenizer.encode(texts[row]!, maxLength)))
  const job = {
    config,
    maskId,
    special: [...new Set([...frame.prefix, ...frame.suffix, padId])],
    train: tokens(order.subarray(held)),
    dev: tokens(order.subarray(0, held)),
    options: settings,
    workFolder: work,
    resume: options.resume ?? false,
  }
  const { weights, history, steps } = await trainMaskedLanguageModel(job, options).catch(async (error: unknown) => {
    await dropIfEmpty(work)
    throw error
  })
  // The encoder as a classifier starts from it: without units there would be no pooler.
  const model = encoderModel(config, { units: 1 })
  const entries = model.parameters
    .filter(({ part }) => part !== 'classifier')
    .map((spec) => ({
      name: spec.name,
      dtype: 'F32' as const,
      shape: [...spec.shape],
      data: weights.get(spec.name) ?? initialWeight(model, spec, settings.seed),
    }))
  const head = [...weights].filter(([name]) => name.startsWith('cls.'))
  const parameters = [...weights.values()].reduce((sum, { length }) => sum + length, 0)
  await writeFolderAtomic(out, { force: options.force ?? false }, async (folder) => {
    const files = { 'tokenizer.json': `${JSON.stringify(json)}\n` }
    const metadata = { format: 'pt' }
    await writeCheckpointInto(
      folder,
      { config: { ...config.source, architectures: ['BertModel'] }, tensors: entries, files, metadata },
      { checkFinite: true },
    )
    await writeSafetensors(
      join(folder, maskedHeadFile),
      head.map(([name, data]) => ({
        name,
        dtype: 'F32' as const,
        shape: name.endsWith('dense.weight') ? [hiddenSize, hiddenSize] : [data.length],
        data,
      })),
    )
    await copyFile(join(work, trainLogFile), join(folder, trainLogFile))
    const record = {
      espalier: version,
      verb: 'pretrain',
      ...(options.command === undefined ? {} : { command: options.command }),
      options: { ...shape, ...asked },
      seed: settings.seed,
      texts: { count: texts.length, sha256: sha256OfJson(texts) },
      parameters,
      training: { steps, devLoss: history.findLast(({ dev }) => dev)?.dev?.['loss'] },
    }
    await writeFile(join(folder, recordFile), `${JSON.stringify(record, null, 2)}\n`)
  })
  await rm(work, { recursive: true, force: true })
  return { folder: out, history, parameters, texts: texts.length, steps }
}
