/** Barycentric interpolation on the sphere for any number of models (Goddard, "Multi-SLERP", 2024). */

import { RunError } from '../../util/errors.ts'
import { gramMatrix, writeCombination } from '../elements/gram.ts'
import { anyNumber, defineMergeMethod, perModel, positive, shared, yesOrNo } from '../merge-method.ts'

/**
 * The direction of the weighted mean of the models' directions, with the weighted mean of their lengths; with a base, of their differences
 * from it. The tangent step at the mean, which the method's description adds, is zero: the mean is where the tangents balance.
 *
 * `weight` of each model (required); `normalizeWeights` makes them sum to 1 (default true); `eps` guards divisions (default 1e-8).
 * @throws RunError `MERGE_UNDEFINED` if the directions cancel out.
 * @example
 * await merge([{ model: 'a', weight: 1 }, { model: 'b', weight: 1 }], { base: 'base', method: multislerp(), out: 'merged' })
 */
export const multislerp = defineMergeMethod({
  info: {
    name: 'multislerp',
    summary: 'Spherical average of several models, or of their differences from a base.',
    source: 'Goddard, "Multi-SLERP", 2024',
    status: 'works',
  },
  base: 'optional',
  models: { least: 1 },
  passes: 2,
  options: { weight: perModel(anyNumber), normalizeWeights: shared(yesOrNo, true), eps: shared(positive, 1e-8) },
  check: ({ weight, normalizeWeights }) =>
    normalizeWeights && weight.reduce((sum, w) => sum + w, 0) === 0
      ? 'The weights sum to 0, so they cannot be normalized'
      : undefined,
  merge(task, { weight, normalizeWeights, eps }) {
    if (task.models === 1) return writeCombination(task, [1])
    const total = normalizeWeights ? weight.reduce((sum, w) => sum + w, 0) : 1
    const shares = weight.map((w) => w / total)
    const gram = gramMatrix(task, task.models, (block) =>
      shares.map((_, t) => (task.hasBase ? block.delta(t) : block.theta(t))),
    )
    const norms = gram.map((row, t) => Math.sqrt(row[t]!))
    const towards = shares.map((w, t) => w / (norms[t]! + eps)) // the mean direction, as coefficients of the models
    const square = towards.reduce((sum, a, i) => sum + towards.reduce((s, b, j) => s + a * b * gram[i]![j]!, 0), 0)
    const length = Math.sqrt(Math.max(0, square))
    const mean = norms.reduce((sum, norm, t) => sum + shares[t]! * norm, 0)
    let coefficients = towards.map((c) => (c * mean) / length)
    if (length < eps) {
      if (task.models > 2)
        throw new RunError('MERGE_UNDEFINED', 'The directions of the models cancel out, so they have no mean', {
          where: { tensor: task.name },
          help: 'use other weights, or another method for this tensor',
        })
      coefficients = shares
    }
    const base = task.hasBase ? 1 - coefficients.reduce((sum, c) => sum + c, 0) : 0
    writeCombination(task, coefficients, base)
  },
})
