/** PLeaS (Nasery et al., 2024), its permutation step: brings the units of an encoder into the order of another one, so that both can be merged. */
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
import { axesOf, unitGroups } from './encoder-units.ts'
import { matchUnits, permuted, type UnitTensor } from './match-units.ts'

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
    const config = readEncoderConfig(model.config, join(model.folder, 'config.json'))
    const [b, a] = [await unitTensors(model), await unitTensors(origin)]
    for (const [name, { values }] of b) {
      const other = a.get(name)?.values
      if (other?.rows !== values.rows || other.columns !== values.columns) {
        if (isHead(name)) continue
        throw new InputError('PERMUTE_SHAPE', 'The encoders differ in this tensor', {
          where: { file: reference, tensor: name },
          help: 'only encoders of one architecture, size and vocabulary can be matched',
        })
      }
    }
    // Heads of other labels do not say which units are alike.
    const shared = (tensors: ReadonlyMap<string, UnitTensor>) => new Map([...tensors].filter(([name]) => !isHead(name)))
    const hasPooler = [...b.keys()].some((name) => axesOf(name, true)?.[0] === 'pooled')
    const kernels = await MatrixKernels.open()
    const { orders, before, after } = matchUnits(kernels, shared(a), shared(b), unitGroups(config, hasPooler), {
      heads: config.heads,
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
  const prefix = backbonePrefix(checkpoint.tensors.keys())
  const names = Array.from(checkpoint.tensors.keys(), (name) => withoutPrefix(name, prefix))
  const hasPooler = names.some((name) => axesOf(name, true)?.[0] === 'pooled')
  const tensors = new Map<string, UnitTensor>()
  for (const [name, { dtype, shape }] of checkpoint.tensors) {
    const bare = withoutPrefix(name, prefix)
    const axes = axesOf(bare, hasPooler)
    if (!axes || axes.length !== shape.length) {
      // Copied as they are: tensors that no unit runs through.
      if (dtype === 'I64' || /position_ids|num_batches/.test(bare)) continue
      throw new InputError('PERMUTE_SHAPE', 'It is not known which units run through this tensor', {
        where: { file: checkpoint.folder, tensor: name },
        help: 'encoders of the BERT, RoBERTa and DistilBERT families can be matched',
      })
    }
    const values = toFloat64(await checkpoint.read(name), dtype)
    tensors.set(bare, { values: matrix(shape[0]!, shape[1] ?? 1, values), axes })
  }
  return tensors
}
