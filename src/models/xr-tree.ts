/**
 * The tree that an `xr-linear` model searches: inner nodes that part labels into ever smaller groups. It is learnt from the data or follows the
 * label tree; either way it is not the label tree itself.
 */

/** Child c of node n stands at childStart[n] + c. */
export interface XrTree {
  /** [nodes + 1] Node 0 is the root; a child that is a node has a larger number than its parent. */
  readonly childStart: Uint32Array
  /** [children] Below the number of nodes: that node. From there on: the number of nodes plus a unit. */
  readonly targets: Uint32Array
}

export const nodeCount = (tree: XrTree): number => tree.childStart.length - 1

export const childCount = (tree: XrTree, node: number): number => tree.childStart[node + 1]! - tree.childStart[node]!

/** Units in the order in which a walk through the tree meets them, and which of them stand below each node and each child. */
export interface XrSlots {
  /** [units in the tree] */
  readonly units: Uint32Array
  /** [children] The units below child c are units[from[c]..to[c]). */
  readonly from: Uint32Array
  readonly to: Uint32Array
  /** [nodes] Level of each node, 0 for the root. */
  readonly levels: Uint32Array
}

export function slotsOf(tree: XrTree): XrSlots {
  const nodes = nodeCount(tree)
  const { childStart, targets } = tree
  const from = new Uint32Array(targets.length)
  const to = new Uint32Array(targets.length)
  const levels = new Uint32Array(nodes)
  const units = new Uint32Array(targets.length - (nodes - 1))
  let met = 0
  // Depth first, with the next child of each open node on a stack.
  const open = [{ node: 0, child: childStart[0]! }]
  for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
    if (top.child === childStart[top.node + 1]!) {
      open.pop()
      const above = open.at(-1)
      if (above) to[above.child++] = met
      continue
    }
    from[top.child] = met
    const target = targets[top.child]!
    if (target < nodes) {
      levels[target] = levels[top.node]! + 1
      open.push({ node: target, child: childStart[target]! })
    } else {
      units[met++] = target - nodes
      to[top.child++] = met
    }
  }
  return { units, from, to, levels }
}
