/** What alignment reads of folders: the vectors that an encoder gives to its head, and the head. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Checkpoint, openCheckpoint } from '../checkpoint/checkpoint.ts'
import { openSafetensors } from '../checkpoint/safetensors-file.ts'
import { type EncoderConfig, encoderModel, loadWeights, openEncoder, readEncoderConfig } from '../models/index.ts'
import { toFloat32 } from '../tensor/dtypes.ts'
import { type Matrix, matrix } from '../tensor/linear-algebra/index.ts'
import { loadTokenizer } from '../text/tokenizer.ts'
import { InputError } from '../util/errors.ts'
import { readJson } from '../util/json.ts'
import type { RunOptions } from '../util/progress.ts'
import type { Normalisation } from './distill-head.ts'
import type { LinearHead } from './procrustes.ts'

const defaultMaxLength = 128

/** An encoder that gives vectors. */
export interface VectorSource {
  readonly config: EncoderConfig
  /** texts x width: the input of the last linear map. */
  vectors(texts: readonly string[], maxLength: number, run?: RunOptions): Promise<Matrix>
  close(): Promise<void>
}

/** Opens the encoder of a folder, up to where its head begins. */
export async function openVectors(
  folder: string,
  options: RunOptions & { threads?: number } = {},
): Promise<VectorSource> {
  const checkpoint = await openCheckpoint(folder, options)
  try {
    const config = readEncoderConfig(checkpoint.config, join(folder, 'config.json'))
    if (config.family === 'roberta')
      throw new InputError('HEADS_DEEP', 'A RoBERTa head has a layer of its own in front of its last linear map', {
        where: { file: folder },
        help: 'align models of the BERT or DistilBERT family',
      })
    const model = encoderModel(config, { units: 1 })
    const parameters = model.parameters.filter(({ part }) => part !== 'classifier')
    const weights = await loadWeights({ ...model, parameters }, checkpoint, options)
    const tokenizer = await loadTokenizer(folder)
    const runtime = await openEncoder(model, weights, 'pooled', { ...options, threads: options.threads ?? 1 })
    return {
      config,
      async vectors(texts, maxLength, { signal } = {}) {
        const tokens = texts.map((text) => tokenizer.encode(text, Math.min(maxLength, config.maxLength)))
        const rows = await runtime.run(tokens, { batchSize: 64, ...(signal ? { signal } : {}) })
        const result = matrix(rows.length, config.hiddenSize)
        for (const [i, row] of rows.entries()) result.data.set(row, i * config.hiddenSize)
        return result
      },
      close: () => runtime.close(),
    }
  } finally {
    await checkpoint.close()
  }
}

const headNames = { weight: /(^|\.)(classifier|score)\.weight$/, bias: /(^|\.)(classifier|score)\.bias$/ }

export interface TaskHead {
  readonly head: LinearHead
  /** The names of its tensors where it came from. */
  readonly names: { readonly weight: string; readonly bias: string }
  readonly normalisation: Normalisation
  /** Tokens per text that the task was trained with. */
  readonly maxLength: number
}

/** The head of a task of a multi-task model. */
export async function readTaskHead(folder: string, task: string): Promise<TaskHead> {
  const target = join(folder, 'heads', task)
  const file = await openSafetensors(join(target, 'head.safetensors'))
  try {
    const names = nameTensors([...file.tensors.keys()], target)
    const read = async (name: string) => {
      const { bytes, dtype, shape } = file.tensors.get(name)!
      const data = new Uint8Array(bytes)
      await file.readInto(name, data)
      return { shape, values: Float64Array.from(toFloat32(data, dtype)) }
    }
    const [weight, bias] = [await read(names.weight), await read(names.bias)]
    const head = { weight: matrix(weight.shape[0]!, weight.shape[1]!, weight.values), bias: bias.values }
    return { head, names, ...(await settingsOf(target, head.bias.length)) }
  } finally {
    await file.close()
  }
}

/** The head of a classifier's own checkpoint. */
export async function readOwnHead(folder: string): Promise<LinearHead> {
  const checkpoint: Checkpoint = await openCheckpoint(folder)
  try {
    const own = [...checkpoint.tensors.keys()].filter(
      (name) => headNames.weight.test(name) || headNames.bias.test(name),
    )
    const names = nameTensors(own, folder)
    const [rows, columns] = checkpoint.tensors.get(names.weight)!.shape as [number, number]
    const weight = matrix(rows, columns, Float64Array.from(await checkpoint.readFloat32(names.weight)))
    return { weight, bias: Float64Array.from(await checkpoint.readFloat32(names.bias)) }
  } finally {
    await checkpoint.close()
  }
}

function nameTensors(all: readonly string[], folder: string): TaskHead['names'] {
  const weight = all.find((name) => headNames.weight.test(name))
  const bias = all.find((name) => headNames.bias.test(name))
  if (weight !== undefined && bias !== undefined && all.length === 2) return { weight, bias }
  throw new InputError(
    'HEADS_DEEP',
    `Expected a head of one linear map, received tensors ${all.join(', ') || 'none'}`,
    {
      where: { file: folder },
      help: 'align models of the BERT or DistilBERT family',
    },
  )
}

async function settingsOf(folder: string, units: number): Promise<Pick<TaskHead, 'normalisation' | 'maxLength'>> {
  const file = join(folder, 'classifier.json')
  if (!(await stat(file).catch(() => undefined)))
    return { normalisation: { activation: 'softmax', groups: [{ start: 0, end: units }] }, maxLength: defaultMaxLength }
  const { layout, maxLength = defaultMaxLength } = (await readJson(file)) as {
    layout: Normalisation
    maxLength?: number
  }
  return { normalisation: layout, maxLength }
}
