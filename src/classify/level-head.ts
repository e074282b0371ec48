/** Heads of levels, for methods that read every level through a slot of its own: the layout, and where each level's units end. */
import type { HeadLayout } from '../labels/head-layout.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import { levelGroups } from '../labels/level-layout.ts'
import { InputError } from '../util/errors.ts'
import type { HeadContext } from './head-method.ts'

/**
 * A softmax for every level; with several labels per row, one yes-or-no for every label, level after level.
 * @throws InputError `METHOD_DATA` for one label per row and labels with several parents.
 */
export function levelHead(tree: LabelTree, { multiLabel, terminals }: HeadContext, method: string): HeadLayout {
  if (multiLabel) {
    const nodes = tree.nodes.map(({ id }) => id)
    return {
      activation: 'sigmoid',
      unitNodes: Int32Array.from(nodes),
      groups: [{ parent: -1, start: 0, end: nodes.length }],
    }
  }
  if (!tree.isTree)
    throw new InputError('METHOD_DATA', `${method} expects a tree, but some labels have several parents`, {
      help: 'use --method per-node, or flat',
    })
  return { activation: 'softmax', ...levelGroups(tree, terminals) }
}

/** Per level the end of its units. */
export function levelEnds({ activation, groups, unitNodes }: HeadLayout, tree: LabelTree): number[] {
  if (activation === 'softmax') return groups.map(({ end }) => end)
  const ends: number[] = []
  for (const [unit, node] of unitNodes.entries()) ends[tree.nodes[node]!.level - 1] = unit + 1
  return ends
}

/** First matrices of slots that are read from the mean of a text's states: identities, one below the other. */
export function identityMatrices(count: number, width: number): Float32Array {
  const matrices = new Float32Array(count * width * width)
  for (let row = 0; row < count * width; row++) matrices[row * width + (row % width)] = 1
  return matrices
}
