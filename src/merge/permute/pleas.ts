/**
 * PLeaS (Nasery et al., 2024) by weights alone: brings the units of an encoder into the order of another one, so that both can be merged, with the
 * neurons that are least alike kept apart if asked for. Its least squares need data and are not part of this.
 */
import { join } from 'node:path'
import * as v from 'valibot'
import { type Checkpoint, openCheckpoint } from '../../checkpoint/checkpoint.ts'
import { writeCheckpoint } from '../../checkpoint/write-checkpoint.ts'
import { readEncoderConfig } from '../../models/encoder-config.ts'
import { fromFloat64, toFloat64 } from '../../tensor/dtypes.ts'
import { MatrixKernels, matrix } from '../../tensor/linear-algebra/index.ts'
import { recordFile } from '../../util/atomic.ts'
import { InputError, throwIfAborted } from '../../util/errors.ts'
import type { MethodInfo } from '../../util/method.ts'
import type { RunOptions } from '../../util/progress.ts'
import { version } from '../../util/version.ts'
import { backbonePrefix, isHead, withoutPrefix } from '../plan/tensor-names.ts'
import { matchUnits, permuted, type UnitTensor } from './match-units.ts'
import { matchable, unitAxes } from './matchable.ts'
import { leastAlike, type Separation, widened, widenedConfig } from './separate-units.ts'

const schema = v.object({
  /** Rounds over all groups of units at most (default 50). */
  sweeps: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 50),
  /** Share of each layer's neurons, those least alike, that stay apart: both encoders grow by them (default 0). */
  separate: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1)), 0),
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
  /** Share of each layer's neurons that stay apart, 0 to 1 (default 0): PLeaS's partial merging. Needs `referenceOut`. */
  separate?: number
  /** The folder to write the reference to, as wide as the other encoder. */
  referenceOut?: string
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
  /** Neurons of each layer that stay apart. */
  readonly separate: number
}

/** See `permuteToMatch` in merge.ts. */
export async function writePermuted(folder: string, options: PermuteOptions): Promise<PermuteResult> {
  const { reference, out, referenceOut, signal, onProgress, force = false } = options
  const { sweeps, separate } = checkedOptions(options)
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
    const moved = new Map(
      Array.from(b, ([name, tensor]) => [name, { ...tensor, values: permuted(tensor, orders) }] as const),
    )
    const separation = leastAlike(shared(a), shared(moved), groups, separate)
    const apart = separation.get('neurons.0')?.length ?? 0
    const record = {
      ...{ version, verb: 'merge', method: info.name, input: folder, reference },
      options: { sweeps, separate },
    }
    const write = (target: string, from: Checkpoint, own: Tensors, other: Tensors, isReference: boolean) =>
      writeCheckpoint(
        target,
        {
          config: apart > 0 ? widenedConfig(from.config, groups.get('neurons.0')! + apart) : from.config,
          tensors: unitEntries(from, own, other, apart > 0 ? separation : new Map(), isReference),
          copyFrom: from.folder,
          files: { [recordFile]: `${JSON.stringify(record, null, 2)}\n` },
        },
        { ...options, force },
      )
    await write(out, model, moved, a, false)
    if (referenceOut !== undefined) await write(referenceOut, origin, a, moved, true)
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
      separate: apart,
    }
  } finally {
    await Promise.all([model.close(), origin.close()])
  }
}

type Tensors = ReadonlyMap<string, UnitTensor>

function checkedOptions({ sweeps, separate, referenceOut }: PermuteOptions): PleasOptions {
  const checked = v.safeParse(schema, { sweeps, separate })
  if (!checked.success) {
    const [issue] = checked.issues
    throw new InputError('OPTION_RANGE', issue.message, { where: { key: v.getDotPath(issue) ?? 'options' } })
  }
  if ((separate ?? 0) > 0 !== (referenceOut !== undefined))
    throw new InputError('OPTION_RANGE', 'Expected separate above 0 and referenceOut together, received one of them', {
      where: { key: separate ? 'referenceOut' : 'separate' },
      help: 'neurons that stay apart make both encoders wider, so both are written',
    })
  return checked.output
}

/** The tensors of an encoder to write: its units in their new order, its neurons with those of the other that stay apart. */
function unitEntries(from: Checkpoint, own: Tensors, other: Tensors, separation: Separation, isReference: boolean) {
  const prefix = backbonePrefix(from.tensors.keys())
  return Array.from(from.tensors, ([name, { dtype, shape }]) => {
    const bare = withoutPrefix(name, prefix)
    const tensor = own.get(bare)
    if (!tensor) return { name, dtype, shape, data: () => from.read(name) }
    const values = () =>
      isHead(bare)
        ? tensor.values
        : widened(tensor.values, other.get(bare)!.values, tensor.axes, separation, isReference)
    const added = tensor.axes.map((group) => separation.get(group ?? '')?.length ?? 0)
    return {
      ...{ name, dtype, shape: shape.map((length, axis) => length + added[axis]!) },
      data: () => fromFloat64(values().data, dtype),
    }
  })
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
