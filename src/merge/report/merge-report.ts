/**
 * How models agree, layer by layer, before they are merged: how much of each model's change goes against the others (the sign conflicts of
 * TIES; Yadav et al., 2023) and the cosine between its change and the mean change.
 */
import { MergeKernels } from '../../tensor/merge-kernels.ts'
import { throwIfAborted } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { openSource } from '../engine/element-sources.ts'
import { FilePool } from '../engine/file-pool.ts'
import type { ElementSource } from '../engine/tensor-task.ts'
import type { MergePlan, PlannedTensor } from '../plan/merge-plan.ts'

export interface MergeReportCell {
  /** The share of the model's change, by magnitude, whose sign is not that of the mean change: 0 none, 0.5 as if by chance. */
  readonly conflict: number
  /** Between the model's change and the mean change, -1 to 1; 0 where there is no change. */
  readonly cosine: number
  /** Length of the change over the length of what it is measured from. */
  readonly change: number
}

export interface MergeReportRow {
  /** `layer 3`, `before the layers`, `after the layers`. */
  readonly name: string
  readonly elements: number
  /** By model. */
  readonly cells: readonly MergeReportCell[]
}

export interface MergeReport {
  readonly method: string
  readonly models: readonly { readonly key: string; readonly label: string }[]
  /** What changes are measured from: the base, or the models' mean where there is none. */
  readonly origin: string
  /** Elements that were read, and all there are. */
  readonly read: number
  readonly elements: number
  readonly rows: readonly MergeReportRow[]
}

export interface MergeReportOptions extends RunOptions {
  /** Elements read of one tensor at most, in evenly spaced blocks (default 1,048,576); `Infinity` reads all. */
  sample?: number
}

const blockLength = 16_384

interface Sums {
  elements: number
  mean: number
  origin: number
  models: { square: number; dot: number; against: number; magnitude: number }[]
}

/**
 * Measures a plan: reads weights, evenly spaced blocks of large tensors.
 * @throws those of reading files.
 * @example
 * const report = await mergeReport(await planRecipe('recipe.yml'))
 * report.rows[0].cells[0].cosine
 */
export async function mergeReport(plan: MergePlan, options: MergeReportOptions = {}): Promise<MergeReport> {
  const sample = Math.max(blockLength, options.sample ?? 1 << 20)
  const known = new Set(plan.tensors.flatMap(({ action, keys }) => (action === 'merge' ? keys : [])))
  const models = plan.inputs.filter(({ key }) => known.has(key)).map(({ key, label }) => ({ key, label }))
  const place = new Map(models.map(({ key }, i) => [key, i]))
  const tensors = plan.tensors.filter(({ action }) => action === 'merge')
  const kernels = await MergeKernels.open(1 << 28)
  const files = new FilePool()
  const rows = new Map<string, Sums>()
  const total = tensors.reduce((sum, tensor) => sum + lengthOf(tensor), 0)
  let [done, read] = [0, 0]
  try {
    for (const tensor of tensors) {
      await new Promise(setImmediate)
      throwIfAborted(options.signal)
      const name = rowName(tensor)
      const sums: Sums = rows.get(name) ?? {
        elements: 0,
        mean: 0,
        origin: 0,
        models: models.map(() => ({ square: 0, dot: 0, against: 0, magnitude: 0 })),
      }
      rows.set(name, sums)
      read += addTensor(sums, tensor, place, sample, files, kernels)
      done += lengthOf(tensor)
      options.onProgress?.({ step: 'compare', done, total, unit: 'elements' })
    }
  } finally {
    files.close()
  }
  const base = plan.inputs.find((input) => input.base)
  return {
    method: plan.method,
    models,
    origin: base && tensors.some(({ base }) => base) ? base.label : 'the mean of the models',
    read,
    elements: total,
    rows: [...rows].sort(([a], [b]) => order(a) - order(b)).map(([name, sums]) => rowOf(name, sums)),
  }
}

const lengthOf = ({ shape }: PlannedTensor): number => shape.reduce((product, size) => product * size, 1)

function rowName({ layer }: PlannedTensor): string {
  return layer === 'before'
    ? 'before the layers'
    : typeof layer === 'object'
      ? `layer ${layer.index}`
      : 'after the layers'
}

const order = (name: string): number =>
  name === 'before the layers' ? -1 : name === 'after the layers' ? Number.POSITIVE_INFINITY : Number(name.slice(6))

/** Adds a tensor's blocks; returns how many elements were read. */
function addTensor(
  sums: Sums,
  tensor: PlannedTensor,
  place: ReadonlyMap<string, number>,
  sample: number,
  files: FilePool,
  kernels: MergeKernels,
): number {
  kernels.clear()
  const length = lengthOf(tensor)
  const sources = tensor.sources.map((source) => openSource(source, files, kernels))
  const origin = tensor.base && openSource(tensor.base, files, kernels)
  const blocks = Math.ceil(length / blockLength)
  const taken = Math.min(blocks, Math.ceil(sample / blockLength))
  let read = 0
  for (let i = 0; i < taken; i++) {
    const start = Math.floor((i * blocks) / taken) * blockLength
    const count = Math.min(blockLength, length - start)
    const values = sources.map((source, t) => decode(source, `theta ${t}`, start, count, kernels))
    const from = origin ? decode(origin, 'base', start, count, kernels) : meanOf(values, count, kernels)
    addBlock(
      sums,
      tensor.keys.map((key) => place.get(key)!),
      values,
      from,
    )
    read += count
  }
  sums.elements += length
  return read
}

function decode(
  source: ElementSource,
  name: string,
  start: number,
  count: number,
  kernels: MergeKernels,
): Float64Array {
  const size = source.dtype === 'F64' ? 8 : source.dtype === 'F32' ? 4 : 2
  const bytes = kernels.bytes(`${name} bytes`, count * size)
  source.read(start, bytes)
  const target = kernels.doubles(name, count)
  kernels.decode(bytes, source.dtype, target)
  return target
}

function meanOf(values: readonly Float64Array[], count: number, kernels: MergeKernels): Float64Array {
  const mean = kernels.doubles('base', count).fill(0)
  for (const value of values) kernels.addScaled(mean, value, 1 / values.length)
  return mean
}

function addBlock(sums: Sums, places: readonly number[], values: readonly Float64Array[], from: Float64Array): void {
  for (let i = 0; i < from.length; i++) {
    let mean = 0
    for (const value of values) mean += value[i]! - from[i]!
    mean /= values.length
    sums.mean += mean * mean
    sums.origin += from[i]! * from[i]!
    for (const [t, value] of values.entries()) {
      const delta = value[i]! - from[i]!
      const model = sums.models[places[t]!]!
      model.square += delta * delta
      model.dot += delta * mean
      model.magnitude += Math.abs(delta)
      if (delta * mean < 0) model.against += Math.abs(delta)
    }
  }
}

function rowOf(name: string, { elements, mean, origin, models }: Sums): MergeReportRow {
  const ratio = (a: number, b: number) => (b === 0 ? 0 : a / b)
  return {
    name,
    elements,
    cells: models.map(({ square, dot, against, magnitude }) => ({
      conflict: ratio(against, magnitude),
      cosine: Math.min(1, Math.max(-1, ratio(dot, Math.sqrt(square * mean)))),
      change: Math.sqrt(ratio(square, origin)),
    })),
  }
}
