/** Carries APL out: scores the change of every model by its effect on the model's task, keeps the greatest share of it, and adds up what is left. */
import { InputError, throwIfAborted } from '../../util/errors.ts'
import { mergeTensors } from '../merge-tensors.ts'
import { ties } from '../methods/ties.ts'
import type { DataMerged, DataMergeRun } from './data-merge-method.ts'
import {
  gradientEffects,
  interventionEffects,
  keepTop,
  type Named,
  type Part,
  partEffects,
  partsOf,
} from './parameter-effects.ts'
import type { Specialist, Specialists, Weights } from './specialists.ts'
import { openLandscape } from './task-landscape.ts'

export interface AplOptions {
  readonly density: number
  readonly by: 'element' | 'row' | 'tensor'
  readonly effect: 'path' | 'gradient' | 'intervention'
  readonly sign: 'absolute' | 'signed'
  readonly labels: 'own' | 'given'
  readonly rescale: boolean
  readonly inner: 'sum' | 'ties'
  readonly lambda: number
}

const points: Record<'path' | 'gradient', readonly number[]> = { path: [0, 0.25, 0.5, 0.75, 1], gradient: [1] }
/** Parts that are tried one by one, a pass over the rows each. */
const mostInterventions = 2000

/** Of each element, how much its part matters. */
export async function scoreChange(
  specialist: Specialist,
  { base, shared, shapes }: Specialists,
  { by, effect, sign, labels }: AplOptions,
  { threads, signal, onProgress }: DataMergeRun,
): Promise<Map<string, Float64Array>> {
  const [origin, model] = [pick(base!, shared), pick(specialist.weights, shared)]
  const parts = by === 'element' ? undefined : partsOf(shapes, by)
  if (effect === 'intervention' && (parts === undefined || parts.length > mostInterventions))
    throw new InputError(
      'METHOD_OPTION',
      `effect "intervention" runs the model once for each of ${parts?.length ?? 'all'} parts, expected at most ${mostInterventions}`,
      { help: 'use by "tensor", or effect "path" or "gradient"' },
    )
  const landscape = await openLandscape(specialist, shared, { labels, threads, ...(signal ? { signal } : {}) })
  try {
    const signed = (value: number) => (sign === 'absolute' ? Math.abs(value) : value)
    if (effect !== 'intervention') {
      const effects = await gradientEffects(landscape, origin, model, points[effect])
      if (!parts) return new Map([...effects].map(([name, values]) => [name, values.map(signed)]))
      return spread(parts, partEffects(effects, parts).map(signed), shapes)
    }
    const found = await interventionEffects(landscape, origin, model, parts!, (done) =>
      onProgress?.({ step: 'intervene', done, total: parts!.length, unit: 'parts' }),
    )
    return spread(parts!, found.map(signed), shapes)
  } finally {
    await landscape.close()
  }
}

const pick = (weights: Weights, names: readonly string[]): Map<string, Float32Array> =>
  new Map(names.map((name) => [name, weights.get(name)!]))

/** The score of a part for each of its elements, by their number: what a part is worth for its size. */
function spread(
  parts: readonly Part[],
  scores: Float64Array,
  shapes: ReadonlyMap<string, readonly number[]>,
): Map<string, Float64Array> {
  const spreadScores = new Map(
    Array.from(shapes, ([name, shape]) => [name, new Float64Array(shape.reduce((product, size) => product * size, 1))]),
  )
  for (const [k, { name, start, end }] of parts.entries())
    spreadScores.get(name)!.fill(scores[k]! / (end - start), start, end)
  return spreadScores
}

/** The change of a model. */
export const changeOf = (base: Named, model: Named, names: readonly string[]): Map<string, Float64Array> =>
  new Map(names.map((name) => [name, Float64Array.from(model.get(name)!, (x, i) => x - base.get(name)![i]!)]))

/** Drops what is not kept, in place; with `rescale`, what stays is scaled so that the sum of magnitudes is as before. */
export function dropRest(
  change: ReadonlyMap<string, Float64Array>,
  kept: ReadonlyMap<string, Uint8Array>,
  rescale: boolean,
): void {
  let [before, after] = [0, 0]
  for (const [name, values] of change)
    for (const [i, mask] of kept.get(name)!.entries()) {
      before += Math.abs(values[i]!)
      if (mask === 1) after += Math.abs(values[i]!)
      else values[i] = 0
    }
  if (!rescale || after === 0) return
  for (const values of change.values()) for (let i = 0; i < values.length; i++) values[i]! *= before / after
}

export async function mergeLocated(
  specialists: Specialists,
  options: AplOptions,
  run: DataMergeRun,
): Promise<DataMerged> {
  const { models, base, shared, shapes } = specialists
  const changes: Map<string, Float64Array>[] = []
  for (const [t, model] of models.entries()) {
    throwIfAborted(run.signal)
    run.onProgress?.({ step: 'apl', done: t, total: models.length, unit: 'models' })
    const scores = await scoreChange(model, specialists, options, run)
    const change = changeOf(base!, model.weights, shared)
    dropRest(change, keepTop(scores, change, options.density), options.rescale)
    changes.push(change)
  }
  const merged: Weights = new Map()
  for (const name of shared) {
    const origin = base!.get(name)!
    const parts = changes.map((change) => change.get(name)!)
    const sum = options.inner === 'sum' ? added(parts) : await elected(parts, name, shapes.get(name)!)
    merged.set(
      name,
      Float32Array.from(origin, (x, i) => x + options.lambda * sum[i]!),
    )
  }
  return { weights: merged, report: {} }
}

function added(parts: readonly Float64Array[]): Float64Array {
  const sum = new Float64Array(parts[0]!.length)
  for (const part of parts) for (let i = 0; i < sum.length; i++) sum[i]! += part[i]!
  return sum
}

/** Signs elected and agreeing values averaged, as in TIES; what APL dropped takes no part. */
async function elected(parts: readonly Float64Array[], name: string, shape: readonly number[]): Promise<Float64Array> {
  const base = new Float64Array(parts[0]!.length)
  return mergeTensors({ method: ties({ density: 1 }), base, models: parts, name, shape })
}
