/**
 * Heads with a softmax for every level: each level's group tells its nodes apart, and the ends of paths above it, so that a path has one right unit
 * on every level. The last group holds all ends: it decides the path, as a flat head does; the levels above are asked as well.
 */
import type { HeadLayout, UnitGroup } from './head-layout.ts'
import type { LabelTree } from './label-tree.ts'

/**
 * Groups of levels, from the first down. The unit of a node in the group of a deeper level means "the path ended there".
 * @param terminals where paths end, ascending; nodes that no path reaches have no unit.
 */
export function levelGroups(
  tree: LabelTree,
  terminals: readonly number[],
): { unitNodes: Int32Array; groups: UnitGroup[] } {
  const reached = tree.closure(terminals)
  const ends = new Set(terminals)
  const depth = tree.nodes[reached.at(-1)!]!.level
  const nodes: number[] = []
  const groups: UnitGroup[] = []
  for (let level = 1; level <= depth; level++) {
    const start = nodes.length
    for (const node of reached) {
      const own = tree.nodes[node]!.level
      if (own === level || (own < level && ends.has(node))) nodes.push(node)
    }
    groups.push({ parent: -1, start, end: nodes.length })
  }
  return { unitNodes: Int32Array.from(nodes), groups }
}

/** Whether a layout has a softmax for every level. */
export const isLevelled = ({ activation, groups }: Pick<HeadLayout, 'activation' | 'groups'>): boolean =>
  activation === 'softmax' && groups.length > 1 && groups.every(({ parent }) => parent < 0)

/** The groups whose choices make a path: all, or where levels are decided apart, the last. */
export const pathGroups = (layout: HeadLayout): readonly UnitGroup[] =>
  isLevelled(layout) ? layout.groups.slice(-1) : layout.groups

/**
 * For every unit of a group of levels, the unit of the group above that the same paths pass: of its node itself or of its nearest ancestor there.
 * -1 in the first group.
 */
export function unitsAbove(layout: HeadLayout, tree: LabelTree): Int32Array {
  const { unitNodes, groups } = layout
  const above = new Int32Array(unitNodes.length).fill(-1)
  for (const [index, { start, end }] of groups.entries()) {
    if (index === 0) continue
    const { start: from, end: to } = groups[index - 1]!
    const unitOf = new Map(Array.from(unitNodes.subarray(from, to), (node, i) => [node, from + i]))
    for (let unit = start; unit < end; unit++) {
      const node = unitNodes[unit]!
      above[unit] = unitOf.get([node, ...[...tree.ancestors(node)].reverse()].find((one) => unitOf.has(one))!)!
    }
  }
  return above
}
