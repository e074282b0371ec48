/** The asymmetric loss for many labels of which few are right (Ridnik et al., Asymmetric loss for multi-label classification, 2021). */
import * as v from 'valibot'
import { defineLoss } from './loss.ts'

const focus = v.pipe(v.number(), v.minValue(0), v.maxValue(10))

/**
 * Right labels cost (1 - p)^gammaPositive (-ln p), wrong ones q^gammaNegative (-ln(1 - q)) with q = max(p - shift, 0): a wrong label that is improbable
 * enough costs nothing.
 * - `gammaPositive` (0 to 10, default 0), `gammaNegative` (0 to 10, default 4), `shift` (0 to 1, default 0.05).
 * @example
 * const model = await train(rows, { encoder: 'mini', loss: asymmetricLoss({ gammaNegative: 2 }) })
 */
export const asymmetricLoss = defineLoss(
  {
    name: 'asymmetric',
    summary: 'With several labels a row: wrong labels that are improbable already cost little or nothing.',
    source: 'Ridnik et al., Asymmetric loss for multi-label classification, 2021',
    activation: 'sigmoid',
    needsTree: false,
  },
  v.object({
    gammaPositive: v.optional(focus, 0),
    gammaNegative: v.optional(focus, 4),
    shift: v.optional(v.pipe(v.number(), v.minValue(0), v.ltValue(1)), 0.05),
  }),
)
