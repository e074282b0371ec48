/**
 * How the models of a merge agree, layer by layer: task vectors (what each model adds to the base) compared in sign and in direction, as in
 * Yadav et al., TIES-Merging, 2023. Tensors are read in blocks, so that memory does not grow with the models.
 */
import { type Checkpoint, openCheckpoint } from '../../checkpoint/checkpoint.ts'
import { backbonePrefix, layerOf, withoutPrefix } from '../../merge/plan/tensor-names.ts'
import { toFloat32 } from '../../tensor/dtypes.ts'
import { InputError, throwIfAborted } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import type { MergeMap } from './api.ts'
import type { MergeSource } from './merge-record.ts'

export interface MergeMapJob {
  sources: MergeSource[]
}

/** Elements of each model that are held at once. */
const blockLength = 1 << 20
const floats = new Set(['F64', 'F32', 'F16', 'BF16'])

/** Sums over one layer, per model. */
interface LayerSums {
  parameters: number
  base: number
  /** Squared norms of the task vectors, and of the sum of the others. */
  own: Float64Array
  others: Float64Array
  /** Products of a task vector with the sum of the others. */
  product: Float64Array
  changed: Float64Array
  against: Float64Array
}

export async function mergeMap({ sources }: MergeMapJob, options: RunOptions): Promise<Omit<MergeMap, 'tasks'>> {
  const start = performance.now()
  const base = sources.find((source) => source.base)
  const models = sources.filter((source) => !source.base)
  if (models.length < 2)
    throw new InputError(
      'STUDIO_MERGE',
      `Expected a merge of at least two models beside the base, the record names ${models.length}`,
      {
        help: 'there is nothing to compare',
      },
    )
  const missing = sources.filter(({ found }) => !found)
  if (missing.length > 0)
    throw new InputError(
      'STUDIO_MERGE',
      `Models of the merge are not there any more: ${missing.map(({ folder }) => folder).join(', ')}`,
      {
        help: 'put them back where they were when they were merged',
      },
    )
  const opened: Opened[] = []
  try {
    for (const { folder } of [...(base ? [base] : []), ...models])
      opened.push(openNames(await openCheckpoint(folder, options)))
    const layers = await sumLayers(opened, base !== undefined, options)
    const from = base ? 'the base' : 'the mean of the models'
    const table = (value: (sums: LayerSums, model: number) => number): (number | null)[][] =>
      layers.map(([, sums]) => models.map((_, m) => (sums.own[m] === 0 ? null : value(sums, m))))
    const norms = table((sums, m) => Math.sqrt(sums.own[m]! / (sums.base || 1)))
    return {
      models: models.map(({ label }) => label),
      layers: layers.map(([name, { parameters }]) => ({ name, parameters })),
      measures: [
        {
          key: 'conflict',
          name: 'sign conflict',
          meaning: `share of the weights which the model moves against the sum of all models; differences from ${from}`,
          least: 0,
          most: 0.5,
          values: table((sums, m) => sums.against[m]! / sums.changed[m]!),
        },
        {
          key: 'cosine',
          name: 'cosine',
          meaning: `cosine of the model's difference from ${from} with the sum of the others'`,
          least: -1,
          most: 1,
          values: table((sums, m) => sums.product[m]! / Math.sqrt(sums.own[m]! * (sums.others[m]! || 1))),
        },
        {
          key: 'change',
          name: 'size of the change',
          meaning: `length of the model's difference from ${from}, as a share of the length of the weights there`,
          least: 0,
          most: Math.max(1e-12, ...norms.flat().map((value) => value ?? 0)),
          values: norms,
        },
      ],
      seconds: (performance.now() - start) / 1000,
    }
  } finally {
    await Promise.all(opened.map(({ checkpoint }) => checkpoint.close()))
  }
}

interface Opened {
  checkpoint: Checkpoint
  /** The checkpoint's name of a tensor, by its name without the backbone's prefix. */
  names: Map<string, string>
}

function openNames(checkpoint: Checkpoint): Opened {
  const prefix = backbonePrefix(checkpoint.tensors.keys())
  return {
    checkpoint,
    names: new Map([...checkpoint.tensors.keys()].map((name) => [withoutPrefix(name, prefix), name])),
  }
}

/** Layers in their order: what stands before the first, the layers, what stands behind. */
async function sumLayers(
  opened: readonly Opened[],
  hasBase: boolean,
  options: RunOptions,
): Promise<[string, LayerSums][]> {
  const [first] = opened
  const layers = new Map<string, LayerSums>()
  const models = opened.length - (hasBase ? 1 : 0)
  const shared = [...first!.names].filter(([name, own]) => {
    const info = first!.checkpoint.tensors.get(own)!
    return opened.every(({ checkpoint, names }) => {
      const other = checkpoint.tensors.get(names.get(name) ?? '')
      return other && floats.has(other.dtype) && other.shape.join() === info.shape.join()
    })
  })
  for (const [index, [name, own]] of shared.entries()) {
    throwIfAborted(options.signal)
    options.onProgress?.({ step: 'compare tensors', done: index, total: shared.length, unit: 'tensors' })
    const layer = groupOf(name)
    const sums = layers.get(layer) ?? emptySums(models)
    layers.set(layer, sums)
    const { shape } = first!.checkpoint.tensors.get(own)!
    const rows = shape[0] ?? 1
    const columns = shape.slice(1).reduce((product, size) => product * size, 1)
    const step = Math.max(1, Math.floor(blockLength / columns))
    for (let from = 0; from < rows; from += step) {
      const to = Math.min(rows, from + step)
      const blocks = await Promise.all(
        opened.map(async ({ checkpoint, names }) => {
          const tensor = names.get(name)!
          return toFloat32(await checkpoint.readRows(tensor, from, to), checkpoint.tensors.get(tensor)!.dtype)
        }),
      )
      addBlock(sums, blocks, hasBase)
    }
  }
  const order = [...layers].map(([name, sums], at) => ({
    name,
    sums,
    at,
    number: Number(/(\d+)$/.exec(name)?.[1] ?? Number.NaN),
  }))
  const rank = ({ name, number }: (typeof order)[0]) =>
    /embed/i.test(name) ? -1 : Number.isNaN(number) ? Number.MAX_SAFE_INTEGER : number
  return order.sort((a, b) => rank(a) - rank(b) || a.at - b.at).map(({ name, sums }) => [name, sums])
}

/** The layer that a tensor belongs to, as the page names it. */
function groupOf(name: string): string {
  const layer = layerOf(name)
  if (layer) return `layer ${layer.index}`
  return name.split('.')[0]!
}

const emptySums = (models: number): LayerSums => ({
  parameters: 0,
  base: 0,
  own: new Float64Array(models),
  others: new Float64Array(models),
  product: new Float64Array(models),
  changed: new Float64Array(models),
  against: new Float64Array(models),
})

function addBlock(sums: LayerSums, blocks: readonly Float32Array[], hasBase: boolean): void {
  const models = hasBase ? blocks.slice(1) : blocks
  const count = models.length
  const difference = new Float64Array(count)
  const { own, others, product, changed, against } = sums
  for (let i = 0; i < models[0]!.length; i++) {
    let from = 0
    if (hasBase) from = blocks[0]![i]!
    else {
      for (const block of models) from += block[i]!
      from /= count
    }
    sums.base += from * from
    let total = 0
    for (let m = 0; m < count; m++) total += difference[m] = models[m]![i]! - from
    for (let m = 0; m < count; m++) {
      const value = difference[m]!
      const rest = total - value
      own[m]! += value * value
      others[m]! += rest * rest
      product[m]! += value * rest
      if (value === 0) continue
      changed[m]!++
      if (value * total < 0) against[m]!++
    }
  }
  sums.parameters += models[0]!.length
}
