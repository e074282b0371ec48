/** How many models change an element. */
import type { Block } from '../engine/tensor-task.ts'

/** For each element of a block, the number of models whose difference from the base exceeds `epsilon`. */
export function changeCounts(block: Block, models: number, epsilon: number): Float64Array {
  const counts = block.zeros('counts')
  for (let t = 0; t < models; t++) {
    const delta = block.delta(t)
    for (let i = 0; i < block.length; i++) if (Math.abs(delta[i]!) > epsilon) counts[i]!++
  }
  return counts
}
