/** What extracting an adapter would do, from the headers of two checkpoints: which weights are factored, which are carried whole, which are left out. */
import { availableParallelism } from 'node:os'
import { type Checkpoint, openCheckpoint } from '../../checkpoint/checkpoint.ts'
import { dtypes } from '../../tensor/dtypes.ts'
import { isMergeDtype } from '../../tensor/merge-kernels.ts'
import { InputError } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { backbonePrefix, isHead, withoutPrefix } from '../plan/tensor-names.ts'

export interface ExtractOptions extends RunOptions {
  /** The model that the differences are taken from: a folder, or `hf:ORG/NAME`. */
  base: string
  /** The fine-tuned model. */
  model: string
  /** Largest rank of a module (default 16, with `variance` as many as needed). */
  rank?: number
  /** Instead of a fixed rank: the fewest directions that hold this share of a difference's squares, above 0, at most 1. */
  variance?: number
  /** Factor embeddings too (default true). */
  embeddings?: boolean
  /** Carry changed biases and norms over whole (default false: they are left out, as LoRA training leaves them). */
  vectors?: boolean
  /** Threads at most (default: the machine's cores). */
  threads?: number
}

export interface ExtractTensor {
  /** The name in the fine-tuned model. */
  readonly name: string
  /** The name in the base; undefined where the base has no such tensor. */
  readonly baseName: string | undefined
  readonly shape: readonly number[]
  /**
   * `factor`: becomes a product of low rank; `turned`: the same for linear layers stored as [in, out]; `embedding`: the same for
   * embeddings; `save`: is carried whole; `leave`: is left to the base.
   */
  readonly action: 'factor' | 'turned' | 'embedding' | 'save' | 'leave'
}

export interface ExtractPlan {
  readonly base: string
  readonly model: string
  readonly rank: number | undefined
  readonly variance: number | undefined
  readonly vectors: boolean
  readonly fanInFanOut: boolean
  readonly tensors: readonly ExtractTensor[]
  readonly readBytes: number
  /** At most. */
  readonly writeBytes: number
  readonly peakBytes: number
  readonly seconds: number
  readonly threads: number
}

const embedding =
  /(^|\.)(word_embeddings|position_embeddings|token_type_embeddings|embed_tokens|embed_positions|wte|wpe|tok_embeddings|embed_in|shared|token_embedding)\.weight$/
/** Families whose linear layers are stored as [in, out]. */
const turnedFamilies = new Set(['gpt2', 'openai-gpt'])

/** Doubles that a factored matrix takes while it is worked on, for each of its elements. */
const copies = 6
/** Matrix elements that a thread factors in a second; measured on one core of a small server. */
const elementsPerSecond = 1.5e6

/**
 * Plans an extraction; only headers are read.
 * @throws InputError `EXTRACT_MODELS` if the models do not fit each other, `OPTION_VALUE`, and those of opening a checkpoint.
 */
export async function planExtractLora(options: ExtractOptions): Promise<ExtractPlan> {
  const { rank, variance } = options
  if (rank !== undefined && variance !== undefined)
    throw new InputError('OPTION_VALUE', 'Expected a rank or a share of variance, received both', {
      where: { key: 'variance' },
      help: 'leave one of them out',
    })
  if (rank !== undefined && !(Number.isInteger(rank) && rank >= 1))
    throw new InputError('OPTION_VALUE', `Expected a rank of at least 1, received ${rank}`, { where: { key: 'rank' } })
  if (variance !== undefined && !(variance > 0 && variance <= 1))
    throw new InputError('OPTION_VALUE', `Expected a share above 0, at most 1, received ${variance}`, {
      where: { key: 'variance' },
    })
  const base = await openCheckpoint(options.base, options)
  try {
    const model = await openCheckpoint(options.model, options)
    try {
      return planOf(base, model, options)
    } finally {
      await model.close()
    }
  } finally {
    await base.close()
  }
}

function planOf(base: Checkpoint, model: Checkpoint, options: ExtractOptions): ExtractPlan {
  const { embeddings = true, vectors = false } = options
  const rank = options.rank ?? (options.variance === undefined ? 16 : undefined)
  const fanInFanOut = turnedFamilies.has(String(model.config['model_type']))
  const basePrefix = backbonePrefix(base.tensors.keys())
  const modelPrefix = backbonePrefix(model.tensors.keys())
  const baseNames = new Map([...base.tensors.keys()].map((name) => [withoutPrefix(name, basePrefix), name]))
  const tensors: ExtractTensor[] = []
  let readBytes = 0
  let writeBytes = 0
  let elements = 0
  let largest = 0
  for (const [name, { shape, dtype, bytes }] of model.tensors) {
    const bare = withoutPrefix(name, modelPrefix)
    const baseName = baseNames.get(bare)
    const head = isHead(bare)
    if (dtypes[dtype].kind !== 'float') continue
    const count = shape.reduce((product, size) => product * size, 1)
    const found = baseName === undefined ? undefined : base.tensors.get(baseName)!
    if (found && !head && found.shape.join() !== shape.join())
      throw misfit(options, name, `${name} has shape [${shape.join(', ')}], in the base [${found.shape.join(', ')}]`)
    if (!isMergeDtype(dtype) || (found && !isMergeDtype(found.dtype)))
      throw misfit(options, name, `${name} has dtype ${dtype}, expected F64, F32, F16 or BF16`)
    const isEmbedding = embedding.test(bare)
    const matrix = shape.length === 2 && name.endsWith('.weight')
    const action: ExtractTensor['action'] =
      head || found === undefined
        ? 'save'
        : matrix && (embeddings || !isEmbedding)
          ? isEmbedding
            ? 'embedding'
            : fanInFanOut
              ? 'turned'
              : 'factor'
          : vectors && shape.length === 1
            ? 'save'
            : 'leave'
    tensors.push({ name, baseName, shape, action })
    readBytes += bytes + (found?.bytes ?? 0)
    if (action === 'save') writeBytes += 4 * count
    if (!isFactored(action)) continue
    writeBytes += 4 * Math.min(rank ?? shape[0]!, ...shape) * (shape[0]! + shape[1]!)
    elements += count
    largest = Math.max(largest, count)
  }
  if (!tensors.some(({ action }) => isFactored(action)))
    throw misfit(options, undefined, 'The models have no matrix in common')
  const threads = Math.max(1, Math.min(options.threads ?? availableParallelism(), tensors.length))
  return {
    base: options.base,
    model: options.model,
    rank,
    variance: options.variance,
    vectors,
    fanInFanOut,
    tensors,
    readBytes,
    writeBytes,
    peakBytes: Math.round(80e6 + threads * (20e6 + largest * copies * 8) + writeBytes),
    seconds: 0.3 + elements / (elementsPerSecond * Math.min(threads, availableParallelism())),
    threads,
  }
}

/** Whether a tensor becomes a product of low rank. */
export const isFactored = (action: ExtractTensor['action']): boolean => action !== 'save' && action !== 'leave'

function misfit({ base, model }: ExtractOptions, tensor: string | undefined, message: string): InputError {
  return new InputError('EXTRACT_MODELS', message, {
    where: { file: model, ...(tensor === undefined ? {} : { tensor }) },
    help: `give the model that was fine-tuned from ${base}`,
  })
}
