/** PLeaS (Nasery et al., 2024), its permutation step: brings the units of an encoder into the order of another one, so that both can be merged. */
import { join } from 'node:path'
import * as v from 'valibot'
import { type Checkpoint, openCheckpoint } from '../../checkpoint/checkpoint.ts'
import { writeCheckpoint } from '../../checkpoint/write-checkpoint.ts'
import { readEncoderConfig } from '../../models/encoder-config.ts'
import { fromFloat64, toFloat64 } from '../../tensor/dtypes.ts'
import { MatrixKernels, matrix } from '../../tensor/linear-algebra/index.ts'
import { recordFile } from '../../util/atomic.ts'
import { throwIfAborted } from '../../util/errors.ts'
import type { MethodInfo } from '../../util/method.ts'
import type { RunOptions } from '../../util/progress.ts'
import { version } from '../../util/version.ts'
import { backbonePrefix, isHead, withoutPrefix } from '../plan/tensor-names.ts'
import { matchUnits, permuted, type UnitTensor } from './match-units.ts'
import { matchable, unitAxes } from './matchable.ts'

const schema = v.object({
  /** Rounds over all groups of units at most (default 50). */
  sweeps: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 50),
})
type PleasOptions = v.InferOutput<typeof schema>

const info: MethodInfo = {
  name: 'pleas',
  verb: 'merge',
  summary:
    'Brings the units of an encoder into the order of another (--match); for merging encoders of different starts.',
  source: 'Nasery et al., "PLeaS: Merging Models with Permutations and Least Squares", 2024',
  status: 'partial',
}

/** The step's options checked, and what `espalier systems` says of it. */
export const pleas = Object.assign((options: Partial<PleasOptions> = {}): PleasOptions => v.parse(schema, options), {
  info,
  schema,
})

export interface PermuteOptions extends RunOptions {
  /** The encoder whose order of units is taken. */
  reference: string
  /** The folder to write. */
  out: string
  sweeps?: number
  force?: boolean
}

export interface PermuteResult {
  readonly folder: string
  /** Inner product of both encoders' weights before and after, relative to their norms: a cosine. */
  readonly before: number
  readonly after: number
  /** Units that changed their place. */
  readonly moved: number
  readonly units: number
}

/** See `permuteToMatch` in merge.ts. */
export async function writePermuted(folder: string, options: PermuteOptions): Promise<PermuteResult> {
  const { reference, out, signal, onProgress, force = false } = options
  const { sweeps } = pleas(options.sweeps === undefined ? {} : { sweeps: options.sweeps })
  const [model, origin] = [await openCheckpoint(folder, options), await openCheckpoint(reference, options)]
  try {
    const { groups } = matchable(model, origin)
    const heads = readEncoderConfig(model.config, join(model.folder, 'config.json')).heads
    const [b, a] = [await unitTensors(model), await unitTensors(origin)]
    // Heads of other labels do not say which units are alike.
    const shared = (tensors: ReadonlyMap<string, UnitTensor>) => new Map([...tensors].filter(([name]) => !isHead(name)))
    const kernels = await MatrixKernels.open()
    const { orders, before, after } = matchUnits(kernels, shared(a), shared(b), groups, {
      heads,
      sweeps,
      onSweep(sweep) {
        throwIfAborted(signal)
        onProgress?.({ step: 'match units', done: sweep + 1, total: sweeps, unit: 'rounds' })
      },
    })
    const prefix = backbonePrefix(model.tensors.keys())
    const record = { version, verb: 'merge', method: info.name, input: folder, reference, options: { sweeps } }
    await writeCheckpoint(
      out,
      {
        config: model.config,
        tensors: Array.from(model.tensors, ([name, { dtype, shape }]) => {
          const tensor = b.get(withoutPrefix(name, prefix))
          return {
            name,
            dtype,
            shape,
            data: () => (tensor ? fromFloat64(permuted(tensor, orders).data, dtype) : model.read(name)),
          }
        }),
        copyFrom: folder,
        files: { [recordFile]: `${JSON.stringify(record, null, 2)}\n` },
      },
      { ...options, force },
    )
    const norm = (tensors: ReadonlyMap<string, UnitTensor>) =>
      Math.sqrt(
        [...shared(tensors).values()].reduce((sum, { values }) => sum + values.data.reduce((s, x) => s + x * x, 0), 0),
      )
    const scale = norm(a) * norm(b) || 1
    const places = [...orders.values()].flatMap((order) => Array.from(order, (from, i) => from !== i))
    return {
      folder: out,
      before: before / scale,
      after: after / scale,
      moved: places.filter(Boolean).length,
      units: places.length,
    }
  } finally {
    await Promise.all([model.close(), origin.close()])
  }
}

/** The tensors whose units are known, by their names without prefix. */
async function unitTensors(checkpoint: Checkpoint): Promise<Map<string, UnitTensor>> {
  const tensors = new Map<string, UnitTensor>()
  for (const [bare, { axes, name, dtype, shape }] of unitAxes(checkpoint)) {
    const values = toFloat64(await checkpoint.read(name), dtype)
    tensors.set(bare, { values: matrix(shape[0]!, shape[1] ?? 1, values), axes })
  }
  return tensors
}
