/**
 * From a head layout to yes-or-no problems for the solver, and back: how a unit's score is put together from its problems' margins.
 *
 * In a softmax group every unit is told from all others (one versus rest; two units share one problem). In a flat group over a tree every inner
 * node is a problem too, and a unit's score adds its ancestors' margins: what is known about a branch helps its rare labels.
 */
import type { HeadLayout, HeadTargets } from '../labels/head-layout.ts'
import type { LabelTree } from '../labels/label-tree.ts'

/** A unit's score is the sum of factor x margin over problems[offsets[unit]..offsets[unit+1]), plus the unit's shift. */
export interface Combination {
  readonly offsets: Uint32Array
  readonly problems: Uint32Array
  readonly factors: Float32Array
}

/** Up to 16 problems on the same rows. */
export interface ProblemBlock {
  readonly group: number
  readonly first: number
  readonly size: number
  /** Two units share the one problem of this block. */
  readonly twoWay: boolean
  /** Problems of the whole group. */
  readonly groupSize: number
}

export interface LinearProblems {
  readonly count: number
  readonly blocks: readonly ProblemBlock[]
  /** Rows in which each group is active: rows[offsets[group]..offsets[group+1]). */
  readonly groupRows: { readonly offsets: Uint32Array; readonly rows: Uint32Array }
  /** Rows whose answer is yes, per problem. */
  readonly yesRows: { readonly offsets: Uint32Array; readonly rows: Uint32Array }
  readonly combination: Combination
}

export const problemsPerBlock = 16

/** Typed arrays that threads share. */
export function sharedUint32(length: number): Uint32Array {
  return new Uint32Array(new SharedArrayBuffer(Math.max(4, length * 4)), 0, length)
}

/** Gathers `rows` by key, in row order. */
function gather(count: number, rows: number, offsets: Uint32Array, keys: Uint32Array) {
  const starts = sharedUint32(count + 1)
  for (const key of keys) starts[key + 1]!++
  for (let key = 0; key < count; key++) starts[key + 1]! += starts[key]!
  const cursor = starts.slice(0, count)
  const gathered = sharedUint32(keys.length)
  for (let row = 0; row < rows; row++) {
    for (let i = offsets[row]!; i < offsets[row + 1]!; i++) gathered[cursor[keys[i]!]!++] = row
  }
  return { offsets: starts, rows: gathered }
}

export function linearProblems(
  layout: HeadLayout,
  targets: HeadTargets,
  ancestorShare: number,
  tree?: LabelTree,
): LinearProblems {
  const { groups, unitNodes, activation } = layout
  const rows = targets.groupOffsets.length - 1
  const unitRows = gather(unitNodes.length, rows, targets.unitOffsets, targets.rightUnits)
  const blocks: ProblemBlock[] = []
  /** Units whose rows are a problem's yes rows. */
  const yesUnits: number[][] = []
  const parts: { problem: number; factor: number }[][] = Array.from(unitNodes, () => [])
  for (const [group, { parent, start, end }] of groups.entries()) {
    const first = yesUnits.length
    const twoWay = activation === 'softmax' && end - start === 2
    if (twoWay) {
      yesUnits.push([start + 1])
      parts[start]!.push({ problem: first, factor: -0.5 })
      parts[start + 1]!.push({ problem: first, factor: 0.5 })
    } else if (activation === 'sigmoid' || end - start > 2) {
      for (let unit = start; unit < end; unit++) {
        parts[unit]!.push({ problem: yesUnits.length, factor: 1 })
        yesUnits.push([unit])
      }
      if (activation === 'softmax' && parent < 0 && tree && ancestorShare > 0) {
        for (const below of branches(layout, start, end, tree)) {
          for (const unit of below) {
            parts[unit]!.push({
              problem: below.length === 1 ? first + unit - start : yesUnits.length,
              factor: ancestorShare,
            })
          }
          if (below.length > 1) yesUnits.push(below)
        }
      }
    }
    for (let at = first; at < yesUnits.length; at += problemsPerBlock)
      blocks.push({
        group,
        first: at,
        size: Math.min(problemsPerBlock, yesUnits.length - at),
        twoWay,
        groupSize: yesUnits.length - first,
      })
  }
  return {
    count: yesUnits.length,
    blocks,
    groupRows: gather(groups.length, rows, targets.groupOffsets, targets.activeGroups),
    yesRows: joinRows(yesUnits, unitRows),
    combination: combine(parts),
  }
}

/** The units at or below each inner node of a flat group, without branches that hold all of its units. */
function branches(layout: HeadLayout, start: number, end: number, tree: LabelTree): number[][] {
  const below = new Map<number, number[]>()
  for (let unit = start; unit < end; unit++) {
    const node = layout.unitNodes[unit]!
    const own = tree.nodes[node]!.children.length > 0 ? [node] : []
    for (const branch of [...tree.ancestors(node), ...own]) {
      const units = below.get(branch)
      if (units) units.push(unit)
      else below.set(branch, [unit])
    }
  }
  return [...below]
    .sort(([a], [b]) => a - b)
    .map(([, units]) => units)
    .filter((units) => units.length < end - start)
}

function joinRows(yesUnits: readonly number[][], unitRows: { offsets: Uint32Array; rows: Uint32Array }) {
  const offsets = sharedUint32(yesUnits.length + 1)
  const size = (unit: number) => unitRows.offsets[unit + 1]! - unitRows.offsets[unit]!
  for (const [problem, units] of yesUnits.entries())
    offsets[problem + 1] = offsets[problem]! + units.reduce((sum, unit) => sum + size(unit), 0)
  const rows = sharedUint32(offsets.at(-1)!)
  for (const [problem, units] of yesUnits.entries()) {
    let at = offsets[problem]!
    for (const unit of units) {
      rows.set(unitRows.rows.subarray(unitRows.offsets[unit]!, unitRows.offsets[unit + 1]!), at)
      at += size(unit)
    }
  }
  return { offsets, rows }
}

function combine(parts: readonly { problem: number; factor: number }[][]): Combination {
  const offsets = new Uint32Array(parts.length + 1)
  for (const [unit, list] of parts.entries()) offsets[unit + 1] = offsets[unit]! + list.length
  return {
    offsets,
    problems: Uint32Array.from(parts.flatMap((list) => list.map((part) => part.problem))),
    factors: Float32Array.from(parts.flatMap((list) => list.map((part) => part.factor))),
  }
}
