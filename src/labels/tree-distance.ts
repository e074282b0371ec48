/** How far apart two labels are: the height of their lowest common ancestor, as a share of the tree's (Bertinetto et al., Making better mistakes, 2020). */
import { InputError } from '../util/errors.ts'
import type { LabelTree } from './label-tree.ts'

/** What distances are read off: plain arrays by node id, so that they cross to a worker. */
export interface TreeShape {
  /** The parent; -1 on level 1. */
  readonly parents: Int32Array
  /** From 1 on level 1. */
  readonly levels: Int32Array
  /** Levels below the node, over those below the root. */
  readonly heights: Float32Array
}

/** @throws InputError `LOSS_DATA` if labels have several parents: they have no lowest common ancestor. */
export function treeShape(tree: LabelTree): TreeShape {
  if (!tree.isTree)
    throw new InputError('LOSS_DATA', 'Distances in the tree are not defined where labels have several parents', {
      help: 'use a loss that does not look at the tree, such as --loss focal',
    })
  const heights = new Float32Array(tree.size)
  // Parents have smaller ids than their children.
  for (let id = tree.size - 1; id >= 0; id--) {
    const parent = tree.nodes[id]!.parents[0]
    if (parent !== undefined) heights[parent] = Math.max(heights[parent]!, heights[id]! + 1)
  }
  return {
    parents: Int32Array.from(tree.nodes, ({ parents }) => parents[0] ?? -1),
    levels: Int32Array.from(tree.nodes, ({ level }) => level),
    heights: heights.map((height) => height / tree.depth),
  }
}

/** 0 for a node and itself, 1 for labels that meet at the root. */
export function treeDistance({ parents, levels, heights }: TreeShape, a: number, b: number): number {
  if (a === b) return 0
  while (a !== b) {
    if (a < 0 || b < 0) return 1
    if (levels[a]! >= levels[b]!) a = parents[a]!
    else b = parents[b]!
  }
  return a < 0 ? 1 : heights[a]!
}
