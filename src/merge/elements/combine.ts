/**
 * The common end of the task-vector methods: weighted differences from the base, trimmed in some way, are summed or elected by sign
 * (TIES; Yadav et al., 2023), scaled and added to the base.
 */
import type { Block, TensorTask } from '../engine/tensor-task.ts'

/** Gives a model's trimmed difference for a block. Blocks come in order; a new trim begins with the first block. */
export type Trim = (block: Block, model: number) => Float64Array

export interface CombineOptions {
  readonly weight: readonly number[]
  readonly lambda: number
  /** Divide by the weights that took part. */
  readonly normalize: boolean
}

export interface TrimPlan {
  /** Starts a pass over the tensor. */
  begin(): Trim
  blocks(): Iterable<Block>
  /** The length of a row, if the blocks are blocks of rows. */
  row?: number
  /** Factor of each model's trimmed difference. */
  factors: readonly number[]
}

/** base + lambda * sum of w * delta, divided by the sum of the weights if `normalize`. */
export function addWeighted(task: TensorTask, { weight, lambda, normalize }: CombineOptions, plan: TrimPlan): void {
  const total = weight.reduce((sum, w) => sum + w, 0)
  const divisor = normalize && Math.abs(total) >= 1e-8 ? total : 1
  const trim = plan.begin()
  for (const block of plan.blocks()) {
    const sum = block.zeros('sum')
    for (let t = 0; t < task.models; t++)
      task.kernels.addScaled(sum, trim(block, t), (lambda * weight[t]! * plan.factors[t]!) / divisor)
    task.kernels.addScaled(sum, block.base(), 1)
    block.write(sum)
  }
}

/**
 * As `addWeighted`, but each element takes only the models that agree with the sign of the weighted sum (a sum of zero counts as
 * positive), and the divisor is the weight of those models.
 */
export function addElected(task: TensorTask, { weight, lambda, normalize }: CombineOptions, plan: TrimPlan): void {
  const { kernels } = task
  const trim = plan.begin()
  for (const block of plan.blocks()) {
    const elected = block.zeros('elected')
    const deltas = weight.map((w, t) => {
      const delta = trim(block, t)
      kernels.scale(delta, w * plan.factors[t]!)
      kernels.addScaled(elected, delta, 1)
      return delta
    })
    const sum = block.zeros('sum')
    const weights = block.zeros('weights')
    for (const [t, delta] of deltas.entries()) kernels.addAgreeing(sum, weights, elected, delta, weight[t]!)
    if (!normalize) weights.fill(1)
    kernels.addQuotient(sum, block.base(), sum, weights, lambda)
    block.write(sum)
  }
}

/** Factors that give each trimmed difference the sum of magnitudes that it had before; 1 where nothing is left. */
export function matchMagnitudes(task: TensorTask, plan: Omit<TrimPlan, 'factors'>): number[] {
  const before = new Array<number>(task.models).fill(0)
  const after = new Array<number>(task.models).fill(0)
  const trim = plan.begin()
  for (const block of plan.blocks())
    for (let t = 0; t < task.models; t++) {
      before[t] = task.addMagnitudes(before[t]!, block.delta(t), plan.row)
      after[t] = task.addMagnitudes(after[t]!, trim(block, t), plan.row)
    }
  return before.map((sum, t) => (sum < 1e-7 || after[t]! < 1e-7 ? 1 : sum / after[t]!))
}
