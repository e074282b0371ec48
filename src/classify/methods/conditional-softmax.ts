/** The conditional softmax: at every parent the children compete, and a path's probability is the product along it (Goodman, 2001). */
import * as v from 'valibot'
import { InputError } from '../../util/errors.ts'
import { defineHeadMethod } from '../head-method.ts'
import { siblingGroups } from '../sibling-groups.ts'

/**
 * At every parent its children compete; probabilities multiply along the path. Needs a tree and one path per row.
 * `logitAdjustment` (0 or more, default 0; 1 is the published setting) favours rare siblings by that many log priors (Menon et al., Long-tail
 * learning via logit adjustment, 2021).
 * @throws InputError `METHOD_DATA` for several paths per row, or labels with several parents.
 * @example
 * const model = await train(rows, { method: conditionalSoftmax({ logitAdjustment: 1 }) })
 */
export const conditionalSoftmax = defineHeadMethod(
  {
    name: 'conditional-softmax',
    summary: 'At every parent its children compete; probabilities multiply along the path. One path per row.',
    source: 'Goodman, Classes for fast maximum entropy training, 2001; logit adjustment: Menon et al., 2021',
    status: 'works',
    results: 'docs/results/heads.md',
  },
  v.object({ logitAdjustment: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(10)), 0) }),
  (tree, { multiLabel, terminals }) => {
    if (multiLabel) {
      throw new InputError(
        'METHOD_DATA',
        'conditional-softmax expects one label path per row, the data has rows with several',
        { help: 'use --method per-node, or flat' },
      )
    }
    if (!tree.isTree) {
      throw new InputError('METHOD_DATA', 'conditional-softmax expects a tree, but some labels have several parents', {
        help: 'use --method per-node, or flat',
      })
    }
    return { activation: 'softmax', ...siblingGroups(tree, terminals) }
  },
)
