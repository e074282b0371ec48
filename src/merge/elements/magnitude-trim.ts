/** Trimming differences by magnitude: the largest are kept (TIES), or the largest and the smallest are both dropped (breadcrumbs). */
import type { TensorTask } from '../engine/tensor-task.ts'
import type { TrimPlan } from './combine.ts'
import { type Cut, nothing, selectLargest } from './select.ts'

type Trimming = Omit<TrimPlan, 'factors'>

/** Keeps the part of each difference on the larger side of its cut; undefined keeps all. */
export function keepAbove(task: TensorTask, cuts: readonly (Cut | undefined)[]): Trimming {
  return {
    blocks: () => task.blocks(),
    begin() {
      const left = cuts.map((cut) => cut?.quota ?? 0)
      return (block, t) => {
        const delta = block.delta(t)
        const cut = cuts[t]
        if (cut) left[t]! -= task.kernels.keepLargest(delta, cut.threshold, left[t]!)
        return delta
      }
    },
  }
}

/** How many elements a density keeps: its share rounded down, but at least one unless it is zero. */
export function keptCount(density: number, length: number): number {
  if (density >= 1) return length
  return density <= 0 ? 0 : Math.max(1, Math.floor(density * length))
}

/** Keeps exactly the largest share of each difference within this tensor. */
export function keepLargestShare(task: TensorTask, density: readonly number[]): Trimming {
  const trimmed = density.flatMap((share, t) => (share < 1 ? [t] : []))
  if (trimmed.length === 0) return keepAbove(task, new Array<undefined>(task.models).fill(undefined))
  const cuts = selectLargest(
    task,
    trimmed.map((t) => [keptCount(density[t]!, task.length)]),
    (block) => trimmed.map((t) => block.delta(t)),
  )
  return keepAbove(
    task,
    density.map((_, t) => (trimmed.includes(t) ? cuts[trimmed.indexOf(t)]![0] : undefined)),
  )
}

/** Drops the share `gamma` of the largest, then the smallest until the share `density` is left. */
export function keepMiddle(task: TensorTask, density: readonly number[], gamma: readonly number[]): Trimming {
  const n = task.length
  const ranks = density.map((share, t) => {
    const kept = share >= 1 ? n : Math.floor(share * n)
    const smallest = share >= 1 ? 0 : Math.max(0, n - kept - Math.floor(gamma[t]! * n))
    return [n - smallest, n - smallest - kept]
  })
  const cuts = selectLargest(task, ranks, (block) => density.map((_, t) => block.delta(t)))
  return {
    blocks: () => task.blocks(),
    begin() {
      const keep = cuts.map(([cut, drop]) => cut!.quota - (cut!.threshold === drop!.threshold ? drop!.quota : 0))
      const dropped = cuts.map(([, drop]) => drop!.quota)
      return (block, t) => {
        const delta = block.delta(t)
        const [cut, drop] = cuts[t]!
        if (drop !== nothing) dropped[t]! -= task.kernels.dropLargest(delta, drop!.threshold, dropped[t]!)
        if (ranks[t]![0]! < n) keep[t]! -= task.kernels.keepLargest(delta, cut!.threshold, keep[t]!)
        return delta
      }
    },
  }
}
