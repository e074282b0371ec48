/** Wu-Palmer similarity of two labels (Wu and Palmer, 1994): how deep their lowest common ancestor lies, against how deep they lie themselves. */
import type { LabelTree } from '../labels/label-tree.ts'

/** 2 level(common ancestor) / (level(a) + level(b)) with the root at level 1, so that labels of different branches still score above 0. In (0, 1]. */
export function wuPalmer(tree: LabelTree, a: number, b: number): number {
  const above = new Set([...tree.ancestors(a), a])
  let common = 1
  for (const id of [...tree.ancestors(b), b]) if (above.has(id)) common = Math.max(common, tree.nodes[id]!.level + 1)
  return (2 * common) / (tree.nodes[a]!.level + tree.nodes[b]!.level + 2)
}
