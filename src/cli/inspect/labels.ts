/** Describes a label tree: labels of each level, the widest parents, the first levels drawn. */
import { formatPath, type LabelTree } from '../../labels/label-tree.ts'
import { readLabelTree } from '../../labels/read-label-tree.ts'
import { drawTree } from '../draw-tree.ts'
import { formatCount, plural } from '../format.ts'
import type { Session } from '../session.ts'
import { facts } from '../table.ts'
import { printable, truncateMiddle } from '../text-width.ts'

/** Facts of a tree for programs. */
export function treeFacts(tree: LabelTree): Record<string, unknown> {
  return {
    labels: tree.size,
    leaves: tree.leaves.length,
    isTree: tree.isTree,
    levels: Array.from({ length: tree.depth }, (_, index) => ({
      level: index + 1,
      labels: tree.level(index + 1).length,
      leaves: tree.level(index + 1).filter((id) => tree.nodes[id]!.children.length === 0).length,
    })),
    widest: widestParents(tree).map(({ path, children }) => ({ path, children })),
    earlyLeaves: earlyLeaves(tree).length,
    severalParents: tree.nodes.filter((node) => node.parents.length > 1).length,
    described: tree.nodes.filter((node) => node.description !== undefined).length,
  }
}

/** Leaves above the deepest level. */
const earlyLeaves = (tree: LabelTree): number[] => tree.leaves.filter((id) => tree.nodes[id]!.level < tree.depth)

function widestParents(tree: LabelTree): { path: string[]; children: number }[] {
  return [...tree.nodes]
    .filter((node) => node.children.length > 0)
    .sort((a, b) => b.children.length - a.children.length || a.id - b.id)
    .slice(0, 3)
    .map((node) => ({ path: tree.path(node.id), children: node.children.length }))
}

/** `160 labels in 2 levels: 10 › 150`. */
export function treeSummary(tree: LabelTree): string {
  const counts = Array.from({ length: tree.depth }, (_, index) => formatCount(tree.level(index + 1).length))
  if (tree.depth === 1) return `${plural(tree.size, 'label')}, all on one level`
  return `${plural(tree.size, 'label')} in ${plural(tree.depth, 'level')}: ${counts.join(' › ')}`
}

/** The lines that describe a tree, for every kind of path that holds one. */
export function treeEntries(tree: LabelTree, columns: number): [string, string | string[]][] {
  const early = earlyLeaves(tree).length
  const several = tree.nodes.filter((node) => node.parents.length > 1).length
  const described = tree.nodes.filter((node) => node.description !== undefined).length
  const widest = widestParents(tree).map(
    ({ path, children }) =>
      `${truncateMiddle(printable(formatPath(path)), columns - 28)}  ${plural(children, 'child', 'children')}`,
  )
  return [
    ['labels', treeSummary(tree)],
    [
      'leaves',
      `${formatCount(tree.leaves.length)}${early > 0 ? `, ${formatCount(early)} of them above level ${tree.depth}` : ''}`,
    ],
    ...(several > 0 ? [['parents', `${plural(several, 'label')} with several`] as [string, string]] : []),
    ...(described > 0 ? [['described', plural(described, 'label')] as [string, string]] : []),
    ...(widest.length > 0 ? [['widest', widest] as [string, string[]]] : []),
  ]
}

export async function inspectLabels(path: string, session: Session): Promise<void> {
  const tree = await readLabelTree(path)
  session.settle()
  if (session.json) return session.printJson({ kind: 'labels', path, ...treeFacts(tree) })
  const { paint, columns } = session.stdout
  await session.print(
    ...facts([['label tree', path], ...treeEntries(tree, columns)], (name) => paint('dim', name), columns),
    '',
    ...drawTree(tree, { columns, paint }),
  )
}
