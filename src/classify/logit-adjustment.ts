/**
 * Logit adjustment for rare labels (Menon et al., Long-tail learning via logit adjustment, 2021). A model that is trained by a softmax loss adds the
 * log priors to its logits while it trains; one that is not (one against the rest) takes them away afterwards. Both answer as if siblings were
 * equally frequent.
 */
import type { HeadLayout, HeadTargets } from '../labels/head-layout.ts'

/** Per unit `strength` times the log of its share among the right units of its group, or undefined at strength 0. One row is added to each unit, so that no share is 0. */
export function adjustmentOf(layout: HeadLayout, targets: HeadTargets, strength: number): Float32Array | undefined {
  if (strength === 0) return undefined
  const counts = new Float64Array(layout.unitNodes.length).fill(1)
  for (const unit of targets.rightUnits) counts[unit]!++
  const adjustment = new Float32Array(counts.length)
  for (const { start, end } of layout.groups) {
    const total = counts.subarray(start, end).reduce((sum, count) => sum + count, 0)
    for (let unit = start; unit < end; unit++) adjustment[unit] = strength * Math.log(counts[unit]! / total)
  }
  return adjustment
}
