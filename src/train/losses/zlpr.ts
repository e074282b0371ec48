/** ZLPR: every right label above zero, every wrong one below, in one ranking loss (Su et al., ZLPR: a novel loss for multi-label classification, 2022). */
import * as v from 'valibot'
import { defineLoss } from './loss.ts'

/**
 * ln(1 + sum over wrong labels of e^z) + ln(1 + sum over right labels of e^-z), averaged over rows. Labels are pitted against each other, so a few right
 * ones are not drowned by many wrong ones. No options.
 * @example
 * const model = await train(rows, { encoder: 'mini', loss: zlprLoss() })
 */
export const zlprLoss = defineLoss(
  {
    name: 'zlpr',
    summary: 'With several labels a row: right labels are ranked above zero, wrong ones below.',
    source: 'Su et al., ZLPR: a novel loss for multi-label classification, 2022',
    activation: 'sigmoid',
    needsTree: false,
  },
  v.object({}),
)
