/** The focal loss: rows that are right already count less (Lin et al., Focal loss for dense object detection, 2017). */
import * as v from 'valibot'
import { defineLoss } from './loss.ts'

/**
 * -(1 - p)^gamma ln p of what is right: with one label per group p is its softmax; with a yes or no per label it is that answer's probability.
 * - `gamma` (0 to 10, default 2): 0 is cross-entropy.
 * - `alpha` (0 to 1, yes-or-no heads only; default: none): weight of "yes" answers; "no" has 1 - alpha.
 * @example
 * const model = await train(rows, { encoder: 'mini', loss: focalLoss({ gamma: 2 }) })
 */
export const focalLoss = defineLoss(
  {
    name: 'focal',
    summary: 'Rows that are right already count less.',
    source: 'Lin et al., Focal loss for dense object detection, 2017',
    needsTree: false,
  },
  v.object({
    gamma: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(10)), 2),
    alpha: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1))),
  }),
)
