/** The arrays of an ngram model, and how they stand in a checkpoint: weights by feature, 8 bits each, only those that are not zero. */
import type { Checkpoint } from '../checkpoint/checkpoint.ts'
import type { NgramOptions } from '../text/ngram-hasher.ts'
import { InputError } from '../util/errors.ts'

export const ngramModelType = 'espalier-ngram'

export interface NgramParts {
  readonly ngrams: NgramOptions
  /** Hash of each feature, and what its damped count is multiplied by. */
  readonly hashes: Uint32Array
  readonly featureWeights: Float32Array
  /** Feature f weighs in the problems problems[offsets[f]..offsets[f+1]) with weights beside. */
  readonly offsets: Uint32Array
  readonly problems: Uint8Array | Uint16Array | Uint32Array
  readonly weights: Int8Array
  /** A problem's margin is its sum of value x weight, times its scale, plus its bias. */
  readonly scales: Float32Array
  readonly biases: Float32Array
  /** A unit's logit is its shift plus the sum of factor x margin over unitProblems[unitOffsets[u]..unitOffsets[u+1]). */
  readonly unitOffsets: Uint32Array
  readonly unitProblems: Uint32Array
  readonly unitFactors: Float32Array
  readonly unitShifts: Float32Array
}

export interface NamedTensor {
  name: string
  dtype: 'U8' | 'U16' | 'U32' | 'I8' | 'F32'
  shape: number[]
  data: ArrayBufferView
}

export function ngramConfig(parts: NgramParts): Record<string, unknown> {
  return {
    model_type: ngramModelType,
    ngrams: parts.ngrams,
    features: parts.hashes.length,
    problems: parts.scales.length,
    units: parts.unitShifts.length,
  }
}

export function ngramTensors(parts: NgramParts): NamedTensor[] {
  const f32 = (name: string, data: Float32Array): NamedTensor => ({ name, dtype: 'F32', shape: [data.length], data })
  const u32 = (name: string, data: Uint32Array): NamedTensor => ({ name, dtype: 'U32', shape: [data.length], data })
  const { problems } = parts
  const width = ({ 1: 'U8', 2: 'U16', 4: 'U32' } as const)[problems.BYTES_PER_ELEMENT as 1 | 2 | 4]
  return [
    u32('features.hashes', parts.hashes),
    f32('features.weights', parts.featureWeights),
    u32('weights.offsets', parts.offsets),
    { name: 'weights.problems', dtype: width, shape: [problems.length], data: problems },
    { name: 'weights.values', dtype: 'I8', shape: [parts.weights.length], data: parts.weights },
    f32('problems.scales', parts.scales),
    f32('problems.biases', parts.biases),
    u32('units.offsets', parts.unitOffsets),
    u32('units.problems', parts.unitProblems),
    f32('units.factors', parts.unitFactors),
    f32('units.shifts', parts.unitShifts),
  ]
}

/** Reads and checks the arrays. Throws InputError `NGRAM_CONFIG` or `NGRAM_TENSORS`: a damaged file must not become a wrong answer. */
export async function readNgramParts(
  checkpoint: Pick<Checkpoint, 'folder' | 'config' | 'tensors' | 'read'>,
): Promise<NgramParts> {
  const { config, folder } = checkpoint
  if (config['model_type'] !== ngramModelType) {
    throw new InputError(
      'NGRAM_CONFIG',
      `Expected model_type "${ngramModelType}" in config.json, received ${JSON.stringify(config['model_type'])}`,
      { where: { file: folder } },
    )
  }
  const ngrams = config['ngrams'] as Partial<NgramOptions> | undefined
  const { minCharacters = 0, maxCharacters = 0 } = ngrams ?? {}
  if (!(minCharacters >= 1 && maxCharacters >= minCharacters && maxCharacters <= 16))
    throw new InputError('NGRAM_CONFIG', 'Expected "ngrams" with minCharacters and maxCharacters in config.json', {
      where: { file: folder },
    })
  const read = async (name: string, ...dtypes: string[]): Promise<{ dtype: string; buffer: ArrayBuffer }> => {
    const info = checkpoint.tensors.get(name)
    if (!info || !dtypes.includes(info.dtype))
      throw new InputError(
        'NGRAM_TENSORS',
        `Expected a tensor of type ${dtypes.join(' or ')}, received ${info ? info.dtype : 'none'}`,
        {
          where: { file: folder, tensor: name },
        },
      )
    return { dtype: info.dtype, buffer: new Uint8Array(await checkpoint.read(name)).buffer }
  }
  const u32 = async (name: string) => new Uint32Array((await read(name, 'U32')).buffer)
  const f32 = async (name: string) => new Float32Array((await read(name, 'F32')).buffer)
  const ids = await read('weights.problems', 'U8', 'U16', 'U32')
  const idArray = ids.dtype === 'U8' ? Uint8Array : ids.dtype === 'U16' ? Uint16Array : Uint32Array
  const parts: NgramParts = {
    ngrams: { minCharacters, maxCharacters },
    hashes: await u32('features.hashes'),
    featureWeights: await f32('features.weights'),
    offsets: await u32('weights.offsets'),
    problems: new idArray(ids.buffer),
    weights: new Int8Array((await read('weights.values', 'I8')).buffer),
    scales: await f32('problems.scales'),
    biases: await f32('problems.biases'),
    unitOffsets: await u32('units.offsets'),
    unitProblems: await u32('units.problems'),
    unitFactors: await f32('units.factors'),
    unitShifts: await f32('units.shifts'),
  }
  check(parts, folder)
  return parts
}

/** The arrays fit each other: every index lands inside the array it points into. */
function check(parts: NgramParts, folder: string): void {
  const fail = (tensor: string, message: string): never => {
    throw new InputError('NGRAM_TENSORS', message, {
      where: { file: folder, tensor },
      help: 'the file is damaged: train the model again or fetch it again',
    })
  }
  const sameLength = (tensor: string, received: number, expected: number) => {
    if (received !== expected) fail(tensor, `Expected ${expected} values, received ${received}`)
  }
  const ascending = (tensor: string, offsets: Uint32Array, end: number) => {
    for (let i = 1; i < offsets.length; i++)
      if (offsets[i]! < offsets[i - 1]!) fail(tensor, 'Expected ascending offsets')
    if (offsets[0] !== 0 || offsets.at(-1) !== end) fail(tensor, `Expected offsets from 0 to ${end}`)
  }
  const below = (tensor: string, ids: ArrayLike<number>, limit: number) => {
    for (let i = 0; i < ids.length; i++)
      if (ids[i]! >= limit) fail(tensor, `Expected problems below ${limit}, received ${ids[i]}`)
  }
  const features = parts.hashes.length
  sameLength('features.weights', parts.featureWeights.length, features)
  sameLength('weights.offsets', parts.offsets.length, features + 1)
  sameLength('weights.values', parts.weights.length, parts.problems.length)
  sameLength('problems.biases', parts.biases.length, parts.scales.length)
  sameLength('units.offsets', parts.unitOffsets.length, parts.unitShifts.length + 1)
  sameLength('units.factors', parts.unitFactors.length, parts.unitProblems.length)
  ascending('weights.offsets', parts.offsets, parts.weights.length)
  ascending('units.offsets', parts.unitOffsets, parts.unitProblems.length)
  below('weights.problems', parts.problems, parts.scales.length)
  below('units.problems', parts.unitProblems, parts.scales.length)
}
