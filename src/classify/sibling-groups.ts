/** Head groups of siblings: one per parent, used by every method that decides level by level. */
import type { UnitGroup } from '../labels/head-layout.ts'
import type { LabelTree } from '../labels/label-tree.ts'

/**
 * One group per parent, holding its children; a label with several parents is in the group of the first. A parent among `terminals` gets one
 * more unit, its own, for paths that stop there.
 */
export function siblingGroups(
  tree: LabelTree,
  terminals: readonly number[] = [],
): { unitNodes: Int32Array; groups: UnitGroup[] } {
  const stops = new Set(terminals)
  const nodes: number[] = []
  const groups: UnitGroup[] = []
  for (const parent of [-1, ...tree.nodes.map((node) => node.id)]) {
    const children =
      parent < 0 ? tree.roots : tree.nodes[parent]!.children.filter((child) => tree.nodes[child]!.parents[0] === parent)
    if (children.length === 0) continue
    const start = nodes.length
    for (const child of children) nodes.push(child)
    if (stops.has(parent)) nodes.push(parent)
    groups.push({ parent, start, end: nodes.length })
  }
  return { unitNodes: Int32Array.from(nodes), groups }
}
