/** Dropping elements of differences at random: each with the same chance (DARE; Yu et al., 2024), or by rank in its row (DELLA; Deep et al., 2024). */
import { randomKey } from '../../tensor/merge-kernels.ts'
import type { Block, RowBlock, TensorTask } from '../engine/tensor-task.ts'
import type { TrimPlan } from './combine.ts'

/** The random word of each element of a block: keyed by seed, method, tensor and model, counted by the element's position. */
function wordsFor(task: TensorTask, method: string): (block: Block, model: number) => Uint32Array {
  const keys = task.keys.map((key) => randomKey(task.seed, method, task.name, key))
  return (block, model) => {
    const lead = block.start % 4
    const words = task.kernels.words('random', block.length + lead)
    task.kernels.fillRandom(words, keys[model]!, block.start - lead)
    return words.subarray(lead)
  }
}

/** Keeps each element with the chance `density`. */
export function keepAtRandom(task: TensorTask, density: readonly number[]): Omit<TrimPlan, 'factors'> {
  const words = wordsFor(task, 'dare')
  return {
    blocks: () => task.blocks(),
    begin: () => (block, t) => {
      const delta = block.delta(t)
      if (density[t]! < 1) task.kernels.keepBelow(delta, words(block, t), density[t]!)
      return delta
    },
  }
}

/** Keeps each element with a chance from density - epsilon (the smallest of its row) to density + epsilon (the largest). */
export function keepByRowRank(
  task: TensorTask,
  density: readonly number[],
  epsilon: readonly number[],
): Omit<TrimPlan, 'factors'> {
  const words = wordsFor(task, 'della')
  const { columns, kernels } = task
  return {
    blocks: () => task.rowBlocks(),
    row: columns,
    begin: () => (block, t) => {
      const delta = block.delta(t)
      const chance = density[t]!
      if (chance >= 1) return delta
      if (chance <= 0) return delta.fill(0)
      const random = words(block, t)
      const ranks = kernels.words('ranks', columns)
      const low = columns > 1 ? chance - epsilon[t]! : chance
      const step = columns > 1 ? (2 * epsilon[t]!) / (columns - 1) : 0
      for (let row = 0; row < (block as RowBlock).rows; row++) {
        const values = delta.subarray(row * columns, (row + 1) * columns)
        kernels.rankMagnitudes(values, ranks)
        kernels.keepByRank(values, random.subarray(row * columns), ranks, low, step)
      }
      return delta
    },
  }
}
