/** Karcher mean: the point of the sphere with the least sum of squared angles to the models (Karcher, 1977), tensor by tensor. */
import * as v from 'valibot'
import { gramMatrix, writeCombination } from '../elements/gram.ts'
import { anyNumber, defineMergeMethod, positive, shared } from '../merge-method.ts'

const dot = (a: readonly number[], gram: readonly Float64Array[], b: readonly number[]): number =>
  a.reduce((sum, x, i) => sum + x * b.reduce((s, y, j) => s + y * gram[i]![j]!, 0), 0)

/**
 * The mean direction of the models on the sphere, with the mean of their lengths. Iterates on the models' inner products, so the weights
 * are read twice however many iterations there are.
 *
 * `maxIter` bounds the iterations (default 10), `tol` ends them (default 1e-5). Without a base.
 * @example
 * await merge(['a', 'b', 'c'], { method: karcher(), out: 'merged' })
 */
export const karcher = defineMergeMethod({
  info: {
    name: 'karcher',
    summary: 'The mean of the models on the sphere, found by iteration; for models that lie far apart.',
    source: 'Karcher, "Riemannian center of mass and mollifier smoothing", 1977',
    status: 'works',
  },
  base: 'unused',
  models: { least: 1 },
  passes: 2,
  options: {
    maxIter: shared(v.pipe(anyNumber, v.integer('Expected a whole number'), v.minValue(1)), 10),
    tol: shared(positive, 1e-5),
  },
  merge(task, { maxIter, tol }) {
    const count = task.models
    if (count === 1) return writeCombination(task, [1])
    const gram = gramMatrix(task, count, (block) => Array.from({ length: count }, (_, t) => block.theta(t)))
    const norms = gram.map((row, t) => Math.sqrt(row[t]!))
    const used = norms.flatMap((norm, t) => (norm > tol ? [t] : []))
    if (used.length === 0)
      return writeCombination(
        task,
        norms.map(() => 0),
      )
    const units = used.map((i) => Float64Array.from(used, (j) => gram[i]![j]! / (norms[i]! * norms[j]!)))
    const mean = karcherMean(units, maxIter, tol)
    const length = norms.reduce((sum, norm) => sum + norm, 0) / count
    const coefficients = new Array<number>(count).fill(0)
    for (const [i, t] of used.entries()) coefficients[t] = (length * mean[i]!) / norms[t]!
    writeCombination(task, coefficients)
  },
})

/** The mean of unit vectors with these inner products and equal weights, as coefficients of the vectors. */
function karcherMean(units: readonly Float64Array[], maxIter: number, tol: number): number[] {
  const alpha = 1 / units.length
  const norm = (c: readonly number[]) => Math.sqrt(Math.max(0, dot(c, units, c)))
  const unit = (i: number) => units.map((_, j) => (i === j ? 1 : 0))
  let mean = units.map(() => alpha)
  const start = norm(mean)
  mean = start < tol ? unit(0) : mean.map((c) => c / start)
  for (let step = 0; step < maxIter; step++) {
    const tangent = units.map(() => 0)
    for (let i = 0; i < units.length; i++) {
      const cosine = Math.min(1, Math.max(-1, dot(mean, units, unit(i))))
      const angle = Math.acos(cosine)
      if (angle < tol) continue
      const factor = (alpha * angle) / Math.sin(angle)
      for (let j = 0; j < units.length; j++) tangent[j]! += factor * ((i === j ? 1 : 0) - cosine * mean[j]!)
    }
    const length = norm(tangent)
    if (length < tol) break
    mean = mean.map((c, j) => Math.cos(length) * c + (Math.sin(length) / length) * tangent[j]!)
    const size = norm(mean)
    if (size > tol) mean = mean.map((c) => c / size)
  }
  return mean
}
