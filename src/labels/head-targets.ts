/** What rows ask of a head layout: which groups of units are active in a row, and which units are right. */
import { InputError } from '../util/errors.ts'
import type { HeadLayout, HeadTargets } from './head-layout.ts'
import { formatPath, type LabelTree } from './label-tree.ts'

/**
 * Targets of rows for a layout. A group is active in a row if its parent is among the row's labels or their ancestors (-1: always).
 * In a sigmoid group every unit whose node is among them is right. In a softmax group the deepest such unit is; a softmax group without one
 * (a row without labels) stays inactive.
 * @param rows per row the ids of its labels; ancestors are implied.
 * @throws InputError `TARGET_SEVERAL` if a row of a softmax layout has several paths.
 */
export function headTargets(layout: HeadLayout, tree: LabelTree, rows: readonly (readonly number[])[]): HeadTargets {
  const groupsOf = new Map<number, number[]>()
  for (const [index, group] of layout.groups.entries())
    groupsOf.set(group.parent, [...(groupsOf.get(group.parent) ?? []), index])
  const unitOf = layout.groups.map(
    ({ start, end }) => new Map(Array.from(layout.unitNodes.subarray(start, end), (node, i) => [node, start + i])),
  )
  const groupOffsets = new Uint32Array(rows.length + 1)
  const unitOffsets = new Uint32Array(rows.length + 1)
  const activeGroups: number[] = []
  const rightUnits: number[] = []
  for (const [row, labels] of rows.entries()) {
    if (layout.activation === 'softmax' && labels.length > 1 && tree.ends(labels).length > 1) {
      const paths = tree.ends(labels).map((id) => formatPath(tree.path(id)))
      throw new InputError('TARGET_SEVERAL', `Row ${row + 1} has ${paths.length} label paths, expected one`, {
        help: 'use a method for several labels per row: --method per-node, or flat',
        data: { row, paths },
      })
    }
    const closure = tree.closure(labels)
    for (const parent of [-1, ...closure]) {
      for (const group of groupsOf.get(parent) ?? []) {
        const right = closure.filter((node) => unitOf[group]!.has(node)).map((node) => unitOf[group]!.get(node)!)
        if (layout.activation === 'sigmoid') rightUnits.push(...right)
        else if (right.length > 0) rightUnits.push(right.at(-1)!)
        else continue
        activeGroups.push(group)
      }
    }
    groupOffsets[row + 1] = activeGroups.length
    unitOffsets[row + 1] = rightUnits.length
  }
  return {
    groupOffsets,
    activeGroups: Uint32Array.from(activeGroups),
    unitOffsets,
    rightUnits: Uint32Array.from(rightUnits),
  }
}
