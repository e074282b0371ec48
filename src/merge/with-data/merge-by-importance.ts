/** Carries Fisher merging out: the diagonal of each model's Fisher information, and the mean of the models weighted by it. */
import { throwIfAborted } from '../../util/errors.ts'
import type { DataMerged, DataMergeRun } from './data-merge-method.ts'
import type { Specialists } from './specialists.ts'
import { diagonalFisher, type FisherLabels } from './squared-gradients.ts'

export async function mergeByImportance(
  { models, shared }: Specialists,
  { labels, floor }: { labels: FisherLabels; floor: number },
  { threads, seed, signal, onProgress }: DataMergeRun,
): Promise<DataMerged> {
  const merged = new Map(shared.map((name) => [name, new Float64Array(models[0]!.weights.get(name)!.length)]))
  const totals = new Map([...merged].map(([name, { length }]) => [name, new Float64Array(length)]))
  for (const [t, model] of models.entries()) {
    throwIfAborted(signal)
    onProgress?.({ step: 'fisher', done: t, total: models.length, unit: 'models' })
    const run = { labels, threads, key: [seed, t], names: shared, ...(signal ? { signal } : {}) }
    addModel(merged, totals, model.weights, await diagonalFisher(model, run), floor)
  }
  const weights = new Map(
    Array.from(merged, ([name, sum]) => {
      const total = totals.get(name)!
      return [name, Float32Array.from(sum, (value, i) => value / total[i]!)]
    }),
  )
  return { weights, report: { labels } }
}

/** Adds (F + floor) theta to the sums and F + floor to the totals, F divided by its length over all weights. */
export function addModel(
  sums: ReadonlyMap<string, Float64Array>,
  totals: ReadonlyMap<string, Float64Array>,
  weights: ReadonlyMap<string, Float32Array>,
  diagonal: ReadonlyMap<string, Float64Array>,
  floor: number,
): void {
  let square = 0
  for (const values of diagonal.values()) for (const value of values) square += value * value
  const scale = square > 0 ? 1 / Math.sqrt(square) : 0
  for (const [name, sum] of sums) {
    const [total, theta, importance] = [totals.get(name)!, weights.get(name)!, diagonal.get(name)!]
    for (let i = 0; i < sum.length; i++) {
      const weight = importance[i]! * scale + floor
      sum[i]! += weight * theta[i]!
      total[i]! += weight
    }
  }
}
