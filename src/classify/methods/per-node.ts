/** One binary decision per label, trained against its siblings only (the "siblings" policy of Silla and Freitas, 2011). */
import * as v from 'valibot'
import { defineHeadMethod } from '../head-method.ts'
import { siblingGroups } from '../sibling-groups.ts'

/**
 * One yes-or-no per label, asked only where its parent holds; a label's probability is multiplied by its parent's.
 * @example
 * const model = await train(rows, { method: perNode() })
 */
export const perNode = defineHeadMethod(
  {
    name: 'per-node',
    summary:
      'One yes-or-no per label, asked only where its parent holds. For several labels per row, several parents, partial paths.',
    source: 'Silla and Freitas, A survey of hierarchical classification across different application domains, 2011',
    status: 'works',
    results: 'docs/results/heads.md',
  },
  v.object({}),
  (tree) => ({ activation: 'sigmoid', ...siblingGroups(tree) }),
)
