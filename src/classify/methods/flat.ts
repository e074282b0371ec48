/** The flat head: all ends of paths compete at once (softmax), or every label is decided on its own (sigmoid, several labels per row). */
import * as v from 'valibot'
import { defineHeadMethod } from '../head-method.ts'

/**
 * One decision over all labels at which paths end; ancestors follow from the tree. Rows with several labels get one yes-or-no per label.
 * @example
 * const model = await train(rows, { method: flat() })
 */
export const flat = defineHeadMethod(
  {
    name: 'flat',
    summary:
      'One decision over all labels where paths end; with several labels per row, one yes-or-no for every label.',
    source: 'standard',
    status: 'works',
    results: 'docs/results/heads.md',
  },
  v.object({}),
  (tree, { multiLabel, terminals }) => {
    const nodes = multiLabel ? tree.nodes.map((node) => node.id) : terminals
    return {
      activation: multiLabel ? 'sigmoid' : 'softmax',
      unitNodes: Int32Array.from(nodes),
      groups: [{ parent: -1, start: 0, end: nodes.length }],
    }
  },
)
