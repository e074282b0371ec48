/** Leaves a mixture-of-experts checkpoint with fewer experts: layer by layer, a plain checkpoint of the same architecture comes out. */
import { type Checkpoint, openCheckpoint } from '../../checkpoint/checkpoint.ts'
import { writeCheckpoint } from '../../checkpoint/write-checkpoint.ts'
import type { TensorEntry } from '../../checkpoint/write-safetensors.ts'
import { fromFloat64, toFloat64 } from '../../tensor/dtypes.ts'
import { type Matrix, MatrixKernels, matrix } from '../../tensor/linear-algebra/index.ts'
import { recordFile } from '../../util/atomic.ts'
import { throwIfAborted } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { version } from '../../util/version.ts'
import { checkExpertOptions } from './check-experts.ts'
import type { Expert } from './expert.ts'
import { type ExpertLayerNames, expertLayout } from './expert-layers.ts'
import type { ExpertMethod, ReducedLayer, RouterStatistics } from './expert-method.ts'

export interface MergeExpertsOptions extends RunOptions {
  /** Experts that stay in each layer. */
  experts: number
  method: ExpertMethod
  /** The folder to write. */
  out: string
  /** What texts showed of each layer's router, in the order of the layers. */
  statistics?: readonly RouterStatistics[]
  /** Replace an output folder that this package wrote. */
  force?: boolean
}

export interface MergeExpertsResult {
  readonly folder: string
  /** By layer, the group of each old expert. */
  readonly groups: readonly {
    readonly layer: string
    readonly groupOf: readonly number[]
    readonly cores: readonly number[]
  }[]
  readonly bytesBefore: number
  readonly bytes: number
}

/** See `mergeExperts` in merge.ts. */
export async function reduceExperts(folder: string, options: MergeExpertsOptions): Promise<MergeExpertsResult> {
  const { experts, method, out, statistics, signal, onProgress, force = false } = options
  const checkpoint = await openCheckpoint(folder, options)
  try {
    const layout = expertLayout(checkpoint)
    const before = layout.layers[0]!.experts
    checkExpertOptions(options, layout.layers.length, before, Number(checkpoint.config[layout.perToken] ?? 1))
    const kernels = await MatrixKernels.open()
    const groups: MergeExpertsResult['groups'][number][] = []
    // A layer is merged when the first of its tensors is written, and held until another one is.
    let held: { layer: string; reduced: Promise<ReducedLayer> } | undefined
    const reduced = (names: ExpertLayerNames, index: number): Promise<ReducedLayer> => {
      if (held?.layer !== names.layer) held = { layer: names.layer, reduced: reduceLayer(names, index) }
      return held.reduced
    }
    const found = new Map<number, ReducedLayer>()
    const reduceLayer = async (names: ExpertLayerNames, index: number): Promise<ReducedLayer> => {
      throwIfAborted(signal)
      const layer = {
        experts: await readExperts(checkpoint, names),
        router: await readMatrix(checkpoint, names.router),
        ...(statistics ? { statistics: statistics[index]! } : {}),
      }
      const result = method.reduce(kernels, layer, experts, index)
      found.set(index, { ...result, experts: [], router: matrix(0, 0) })
      onProgress?.({ step: 'merge experts', done: found.size, total: layout.layers.length, unit: 'layers' })
      return result
    }
    const entries: TensorEntry[] = []
    const replaced = new Set<string>()
    for (const [index, names] of layout.layers.entries()) {
      const entry = (name: string, shape: number[], pick: (layer: ReducedLayer) => Matrix) => {
        const { dtype } = checkpoint.tensors.get(name)!
        entries.push({
          name,
          dtype,
          shape,
          data: async () => fromFloat64(pick(await reduced(names, index)).data, dtype),
        })
      }
      for (let e = 0; e < names.experts; e++)
        for (const name of [...names.inward(e), names.outward(e)]) replaced.add(name)
      replaced.add(names.router)
      entry(names.router, [experts, checkpoint.tensors.get(names.router)!.shape[1]!], ({ router }) => router)
      for (let g = 0; g < experts; g++) {
        for (const [m, name] of names.inward(g).entries())
          entry(name, checkpoint.tensors.get(name)!.shape, (layer) => layer.experts[g]!.inward[m]!)
        const name = names.outward(g)
        entry(name, checkpoint.tensors.get(name)!.shape, (layer) => layer.experts[g]!.outward)
      }
    }
    for (const [name, { dtype, shape }] of checkpoint.tensors)
      if (!replaced.has(name)) entries.push({ name, dtype, shape, data: () => checkpoint.read(name) })
    const record = {
      version,
      verb: 'merge',
      method: method.name,
      options: method.options,
      input: folder,
      experts: { before, after: experts },
    }
    await writeCheckpoint(
      out,
      {
        config: { ...checkpoint.config, [layout.count]: experts },
        tensors: entries,
        copyFrom: folder,
        files: { [recordFile]: `${JSON.stringify(record, null, 2)}\n` },
      },
      { ...options, force, checkFinite: true },
    )
    for (const [index, names] of layout.layers.entries()) {
      const { groupOf, cores } = found.get(index)!
      groups.push({ layer: names.layer, groupOf, cores })
    }
    const bytesOf = (list: Iterable<{ bytes: number }>) => [...list].reduce((sum, { bytes }) => sum + bytes, 0)
    const written = await openCheckpoint(out)
    const bytes = bytesOf(written.tensors.values())
    await written.close()
    return { folder: out, groups, bytesBefore: bytesOf(checkpoint.tensors.values()), bytes }
  } finally {
    await checkpoint.close()
  }
}

async function readMatrix(checkpoint: Checkpoint, name: string): Promise<Matrix> {
  const { dtype, shape } = checkpoint.tensors.get(name)!
  return matrix(shape[0]!, shape[1]!, toFloat64(await checkpoint.read(name), dtype))
}

async function readExperts(checkpoint: Checkpoint, names: ExpertLayerNames): Promise<Expert[]> {
  const experts: Expert[] = []
  for (let e = 0; e < names.experts; e++)
    experts.push({
      inward: await Promise.all(names.inward(e).map((name) => readMatrix(checkpoint, name))),
      outward: await readMatrix(checkpoint, names.outward(e)),
    })
  return experts
}
