/** Metrics-weighted averaging of checkpoints (Yu and Choi, 2025): the weights follow from a metric of each, such as its loss or its step. */
import * as v from 'valibot'
import { defineMergeMethod, notNegative, perModel, positive, shared } from '../merge-method.ts'

/**
 * Averages checkpoints of one run with weights metric^-power (a loss) or, with `better: 'higher'`, metric^power (a step or a score).
 *
 * `metric` of each model (required, above 0); `power` (default 1; 0 is the plain average, a large one the best checkpoint); `better`:
 * `lower` (default) or `higher`. Use a metric of training or validation data, smoothed over some steps, never of the test set.
 * @example
 * await merge([{ model: 'step-100', metric: 0.5 }, { model: 'step-200', metric: 0.25 }], { method: mwa({ power: 2 }), out: 'merged' })
 */
export const mwa = defineMergeMethod({
  info: {
    name: 'mwa',
    summary: 'Averages checkpoints of one run, the better ones more, by their loss, step or score.',
    source: 'Yu and Choi, "Parameter-Efficient Checkpoint Merging via Metrics-Weighted Averaging", 2025',
    status: 'partial',
    results: 'docs/results/mwa.md',
  },
  base: 'unused',
  models: { least: 1 },
  options: {
    metric: perModel(positive),
    power: shared(notNegative, 1),
    better: shared(v.picklist(['lower', 'higher'], 'Expected lower or higher for better'), 'lower' as const),
  },
  merge(task, { metric, power, better }) {
    const weights = metricWeights(metric, power, better)
    for (const block of task.blocks()) {
      const sum = block.zeros('sum')
      for (const [t, weight] of weights.entries()) block.addTheta(sum, t, weight)
      block.write(sum)
    }
  },
})

/** Weights that sum to 1; computed in logarithms, so that large powers do not overflow. */
export function metricWeights(metric: readonly number[], power: number, better: 'lower' | 'higher'): number[] {
  const logs = metric.map((value) => (better === 'lower' ? -power : power) * Math.log(value))
  const top = Math.max(...logs)
  const raw = logs.map((log) => Math.exp(log - top))
  const total = raw.reduce((sum, weight) => sum + weight, 0)
  return raw.map((weight) => weight / total)
}
