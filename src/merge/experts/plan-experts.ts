/** What merging experts will do, from headers only: how many stay, and what that costs. */
import { type Checkpoint, openCheckpoint } from '../../checkpoint/checkpoint.ts'
import type { RunOptions } from '../../util/progress.ts'
import { checkExpertOptions } from './check-experts.ts'
import { type ExpertLayerNames, expertLayout } from './expert-layers.ts'
import type { RouterStatistics } from './expert-method.ts'

export interface PlanExpertsOptions extends RunOptions {
  /** Experts that stay in each layer. */
  experts: number
  /** What texts showed of each layer's router, in the order of the layers. */
  statistics?: readonly RouterStatistics[]
}

export interface ExpertsPlan {
  /** The prefix of each layer with experts. */
  readonly layers: readonly string[]
  readonly experts: { readonly before: number; readonly after: number; readonly perToken: number }
  readonly readBytes: number
  readonly writeBytes: number
  /** Bytes of the experts of one layer in double precision; a method holds a few times as much. */
  readonly layerBytes: number
}

/** See `planMergeExperts` in merge.ts. */
export async function planExperts(folder: string, options: PlanExpertsOptions): Promise<ExpertsPlan> {
  const checkpoint = await openCheckpoint(folder, options)
  try {
    const { layers, perToken: key } = expertLayout(checkpoint)
    const before = layers[0]!.experts
    const perToken = Number(checkpoint.config[key] ?? 1)
    checkExpertOptions(options, layers.length, before, perToken)
    const readBytes = bytesOf(checkpoint, [...checkpoint.tensors.keys()])
    const share = options.experts / before
    const replaced = layers.map((names) => bytesOf(checkpoint, tensorsOf(names)))
    const shrinking = replaced.reduce((sum, bytes) => sum + bytes, 0)
    return {
      layers: layers.map(({ layer }) => layer),
      experts: { before, after: options.experts, perToken },
      readBytes,
      writeBytes: Math.round(readBytes - shrinking * (1 - share)),
      layerBytes: Math.max(...layers.map((names) => 8 * elementsOf(checkpoint, tensorsOf(names)))),
    }
  } finally {
    await checkpoint.close()
  }
}

/** The tensors of a layer that merging replaces: all experts, and the router. */
const tensorsOf = (names: ExpertLayerNames): string[] => [
  names.router,
  ...Array.from({ length: names.experts }, (_, e) => [...names.inward(e), names.outward(e)]).flat(),
]

const bytesOf = ({ tensors }: Checkpoint, names: readonly string[]): number =>
  names.reduce((sum, name) => sum + tensors.get(name)!.bytes, 0)

const elementsOf = ({ tensors }: Checkpoint, names: readonly string[]): number =>
  names.reduce((sum, name) => sum + tensors.get(name)!.shape.reduce((product, size) => product * size, 1), 0)
