/**
 * The `xr-linear` model: a tree of sparse linear rankers over hashed n-grams, searched with a beam (Prabhu et al., Parabel, 2018; Yu et al., PECOS,
 * 2022). Its weights stay in the file; a search reads those of the nodes on its way.
 */
import type { Checkpoint } from '../checkpoint/checkpoint.ts'
import { Arena } from '../tensor/kernels/arena.ts'
import { NgramFeaturizer } from '../text/ngram-featurizer.ts'
import type { NgramOptions } from '../text/ngram-hasher.ts'
import { InputError } from '../util/errors.ts'
import { chunkOffsets, chunksInFile, weightsTensor, type XrChunkSizes, type XrChunks } from './xr-chunks.ts'
import { RankSearch } from './xr-search.ts'
import { nodeCount, type XrTree } from './xr-tree.ts'

export const xrModelType = 'espalier-xr-linear'

export interface XrParts {
  readonly ngrams: NgramOptions
  /** Nodes that a search keeps on each level. */
  readonly beam: number
  readonly units: number
  /** Hash of each feature, and what its damped count is multiplied by. */
  readonly hashes: Uint32Array
  readonly featureWeights: Float32Array
  readonly tree: XrTree
  /** [children] A child's margin is its sum of value x weight, times its scale, plus its bias. */
  readonly scales: Float32Array
  readonly biases: Float32Array
  readonly sizes: XrChunkSizes
  readonly chunks: XrChunks
}

/** The best units of many texts: row r has units[offsets[r]..offsets[r+1]), best first, with the logs of their scores beside. */
export interface RankedList {
  readonly offsets: Uint32Array
  readonly units: Uint32Array
  /** At most 0: the sum over the path of -max(0, 1 - margin)^3. */
  readonly scores: Float32Array
}

export class XrLinearModel {
  readonly parts: XrParts
  readonly #featurizer: NgramFeaturizer
  readonly #search: RankSearch

  private constructor(parts: XrParts, featurizer: NgramFeaturizer) {
    this.parts = parts
    this.#featurizer = featurizer
    this.#search = new RankSearch(parts)
  }

  get units(): number {
    return this.parts.units
  }

  /** Number of stored weights. */
  get parameters(): number {
    return this.parts.sizes.entries.reduce((sum, count) => sum + count, 0)
  }

  static async fromParts(parts: XrParts): Promise<XrLinearModel> {
    const { ngrams, hashes, featureWeights } = parts
    return new XrLinearModel(parts, await NgramFeaturizer.create(new Arena(), ngrams, hashes, featureWeights))
  }

  /**
   * Opens the model of a folder (config.json, model.safetensors); the weights stay on disk.
   * @throws InputError `XR_CONFIG`, `XR_TENSORS` if the files are not those of an xr-linear model.
   */
  static async load(folder: string): Promise<XrLinearModel> {
    const { openCheckpoint } = await import('../checkpoint/checkpoint.ts')
    const checkpoint = await openCheckpoint(folder)
    try {
      return await XrLinearModel.fromParts(await readXrParts(checkpoint))
    } finally {
      await checkpoint.close()
    }
  }

  /** Writes config.json and model.safetensors into an existing folder. */
  async save(folder: string): Promise<void> {
    const { writeSafetensors } = await import('../checkpoint/write-safetensors.ts')
    const { writeFileAtomic } = await import('../util/atomic.ts')
    const { ngrams, beam, units, hashes, featureWeights, tree, scales, biases, sizes, chunks } = this.parts
    const nodes = nodeCount(tree)
    const config = { model_type: xrModelType, ngrams, beam, features: hashes.length, nodes, units }
    await writeFileAtomic(`${folder}/config.json`, `${JSON.stringify(config, undefined, 2)}\n`)
    const u32 = (name: string, data: Uint32Array) => ({ name, dtype: 'U32' as const, shape: [data.length], data })
    const f32 = (name: string, data: Float32Array) => ({ name, dtype: 'F32' as const, shape: [data.length], data })
    async function* all(): AsyncGenerator<Uint8Array> {
      for (let node = 0; node < nodes; node++) yield chunks.bytes(node)
    }
    await writeSafetensors(`${folder}/model.safetensors`, [
      u32('features.hashes', hashes),
      f32('features.weights', featureWeights),
      u32('tree.children', tree.childStart),
      u32('tree.targets', tree.targets),
      f32('children.scales', scales),
      f32('children.biases', biases),
      u32('nodes.features', sizes.features),
      u32('nodes.entries', sizes.entries),
      { name: weightsTensor, dtype: 'U8', shape: [chunkOffsets(tree, sizes).at(-1)!], data: all },
    ])
  }

  /**
   * The `k` best units of each text.
   * @param beam nodes kept on each level; default: the model's. A wider one is slower and rarely better.
   */
  rank(texts: readonly string[], k: number, beam = this.parts.beam): RankedList {
    const offsets = new Uint32Array(texts.length + 1)
    const units = new Uint32Array(texts.length * k)
    const scores = new Float32Array(texts.length * k)
    const { arena } = this.#featurizer.hasher
    let used = 0
    for (const [row, text] of texts.entries()) {
      const kept = this.#featurizer.features(text)
      const { columns, values } = this.#featurizer.hasher.scratch
      used += this.#search.run(kept, arena.u32(columns, kept), arena.f32(values, kept), k, beam, units, scores, used)
      offsets[row + 1] = used
    }
    return { offsets, units: units.subarray(0, used), scores: scores.subarray(0, used) }
  }

  /** Closes the file. */
  close(): void {
    this.parts.chunks.close()
  }
}

async function readXrParts(checkpoint: Checkpoint): Promise<XrParts> {
  const { config, folder } = checkpoint
  if (config['model_type'] !== xrModelType)
    throw new InputError(
      'XR_CONFIG',
      `Expected model_type "${xrModelType}" in config.json, received ${JSON.stringify(config['model_type'])}`,
      { where: { file: folder } },
    )
  const ngrams = config['ngrams'] as NgramOptions | undefined
  const { beam, units } = config as { beam?: number; units?: number }
  const whole = (value: unknown, least: number) => Number.isInteger(value) && (value as number) >= least
  if (!(whole(ngrams?.minCharacters, 1) && whole(ngrams?.maxCharacters, 0) && whole(beam, 1) && whole(units, 1)))
    throw new InputError('XR_CONFIG', 'Expected "ngrams", "beam" and "units" in config.json', {
      where: { file: folder },
    })
  const read = async (name: string, dtype: string): Promise<ArrayBuffer> => {
    const info = checkpoint.tensors.get(name)
    if (info?.dtype !== dtype)
      throw fault(folder, name, `Expected a tensor of type ${dtype}, received ${info ? info.dtype : 'none'}`)
    return new Uint8Array(await checkpoint.read(name)).buffer
  }
  const u32 = async (name: string) => new Uint32Array(await read(name, 'U32'))
  const f32 = async (name: string) => new Float32Array(await read(name, 'F32'))
  const parts = {
    ngrams: ngrams!,
    beam: beam!,
    units: units!,
    hashes: await u32('features.hashes'),
    featureWeights: await f32('features.weights'),
    tree: { childStart: await u32('tree.children'), targets: await u32('tree.targets') },
    scales: await f32('children.scales'),
    biases: await f32('children.biases'),
    sizes: { features: await u32('nodes.features'), entries: await u32('nodes.entries') },
  }
  check(parts, folder)
  const info = checkpoint.tensors.get(weightsTensor)
  const expected = chunkOffsets(parts.tree, parts.sizes).at(-1)!
  if (info?.dtype !== 'U8' || info.bytes !== expected)
    throw fault(folder, weightsTensor, `Expected ${expected} bytes, received ${info?.bytes ?? 'none'}`)
  const { file, offset } = info.place!
  return { ...parts, chunks: chunksInFile(file, offset, parts.tree, parts.sizes, parts.hashes.length) }
}

const fault = (file: string, tensor: string, message: string): InputError =>
  new InputError('XR_TENSORS', message, {
    where: { file, tensor },
    help: 'the file is damaged: train the model again or fetch it again',
  })

function check(parts: Omit<XrParts, 'chunks'>, folder: string): void {
  const { childStart, targets } = parts.tree
  const nodes = childStart.length - 1
  const same = (tensor: string, received: number, expected: number) => {
    if (received !== expected) throw fault(folder, tensor, `Expected ${expected} values, received ${received}`)
  }
  same('features.weights', parts.featureWeights.length, parts.hashes.length)
  same('children.scales', parts.scales.length, targets.length)
  same('children.biases', parts.biases.length, targets.length)
  same('nodes.features', parts.sizes.features.length, nodes)
  same('nodes.entries', parts.sizes.entries.length, nodes)
  const sound =
    nodes >= 1 &&
    childStart[0] === 0 &&
    childStart.at(-1) === targets.length &&
    childStart.every((start, i) => i === 0 || start > childStart[i - 1]!)
  if (!sound) throw fault(folder, 'tree.children', `Expected ascending numbers from 0 to ${targets.length}`)
  for (let node = 0; node < nodes; node++) {
    for (let child = childStart[node]!; child < childStart[node + 1]!; child++) {
      const target = targets[child]!
      if ((target < nodes && target <= node) || target >= nodes + parts.units)
        throw fault(
          folder,
          'tree.targets',
          `Node ${node} has the child ${target}, expected a later node or one of ${parts.units} units`,
        )
    }
  }
}
