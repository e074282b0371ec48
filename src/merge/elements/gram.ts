/**
 * Inner products of whole tensors. Methods on the sphere stay in the span of their inputs, so one pass for the inner products and one for
 * the combination are all they need, however often they iterate.
 */
import type { Block, TensorTask } from '../engine/tensor-task.ts'

/** The matrix of inner products of `count` series of blocks. */
export function gramMatrix(
  task: TensorTask,
  count: number,
  series: (block: Block) => readonly Float64Array[],
): Float64Array[] {
  const gram = Array.from({ length: count }, () => new Float64Array(count))
  for (const block of task.blocks()) {
    const values = series(block)
    for (let i = 0; i < count; i++)
      for (let j = i; j < count; j++) gram[i]![j] = task.addDot(gram[i]![j]!, values[i]!, values[j]!)
  }
  for (let i = 0; i < count; i++) for (let j = 0; j < i; j++) gram[i]![j] = gram[j]![i]!
  return gram
}

/** Writes the combination of the models' weights and, if there is one, the base. */
export function writeCombination(task: TensorTask, coefficients: readonly number[], base = 0): void {
  for (const block of task.blocks()) {
    const sum = block.zeros('sum')
    for (const [t, c] of coefficients.entries()) if (c !== 0) block.addTheta(sum, t, c)
    if (base !== 0) task.kernels.addScaled(sum, block.base(), base)
    block.write(sum)
  }
}

/** Coefficients of spherical interpolation at `t` between vectors with this cosine; linear where the angle is too small or too close to pi. */
export function sphericalWeights(t: number, cosine: number, linear: boolean): [number, number] {
  if (linear) return [1 - t, t]
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine)))
  return [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)]
}
