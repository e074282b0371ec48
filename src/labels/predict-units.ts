/**
 * The plainest decoder: from a row of logits to units of a head layout, without probabilities, thresholds or a tree. Training uses it to follow
 * the dev set.
 */
import type { HeadLayout, HeadTargets, UnitGroup } from './head-layout.ts'
import { pathGroups } from './level-layout.ts'

/**
 * Prepares the decoder of a layout. Softmax groups: the largest unit of each group that is reached, from the root groups down. Sigmoid groups:
 * the units with a positive logit, where the group's parent was predicted. Where levels are decided apart, the last one alone.
 * @returns a function from logits (`unitNodes.length` of them, from `start`) to units in ascending order; below `root`, of a layout of several tasks.
 */
export function unitPredictor(layout: HeadLayout): (logits: Float32Array, start: number, root?: number) => number[] {
  const below = new Map<number, UnitGroup[]>()
  for (const group of pathGroups(layout)) below.set(group.parent, [...(below.get(group.parent) ?? []), group])
  const choose = layout.activation === 'softmax' ? largest : positive
  return (logits, start, root = -1) => {
    const units: number[] = []
    const open = [...(below.get(root) ?? [])]
    const reached = new Set<number>()
    for (let group = open.pop(); group !== undefined; group = open.pop()) {
      const { parent, start: first, end } = group
      for (const unit of choose(logits, start, first, end)) {
        units.push(unit)
        const node = layout.unitNodes[unit]!
        if (node === parent || reached.has(node)) continue
        reached.add(node)
        open.push(...(below.get(node) ?? []))
      }
    }
    return units.sort((a, b) => a - b)
  }
}

function largest(logits: Float32Array, start: number, first: number, end: number): number[] {
  let best = first
  for (let unit = first + 1; unit < end; unit++) if (logits[start + unit]! > logits[start + best]!) best = unit
  return [best]
}

function positive(logits: Float32Array, start: number, first: number, end: number): number[] {
  const units: number[] = []
  for (let unit = first; unit < end; unit++) if (logits[start + unit]! > 0) units.push(unit)
  return units
}

/** The task of a row, by the groups that are active in it. */
function rootOf({ roots, groups }: HeadLayout, { groupOffsets, activeGroups }: HeadTargets, row: number): number {
  if (roots === undefined) return -1
  for (const group of activeGroups.subarray(groupOffsets[row], groupOffsets[row + 1]))
    if (roots.includes(groups[group]!.parent)) return groups[group]!.parent
  return -1
}

/** Counts of predicted units against the right ones. */
export interface UnitScores {
  /** Share of rows whose predicted units are exactly the right ones. */
  readonly exact: number
  /** 2 hits / (predicted + right) over all rows; 0 where there are none. */
  readonly microF1: number
}

/**
 * Scores logits, [rows, units], against targets.
 * @example unitScores(layout, targets, logits).exact // .93
 */
export function unitScores(layout: HeadLayout, targets: HeadTargets, logits: Float32Array): UnitScores {
  const predict = unitPredictor(layout)
  const width = layout.unitNodes.length
  const from = pathGroups(layout)[0]?.start ?? 0
  const rows = targets.unitOffsets.length - 1
  let exact = 0
  let hits = 0
  let predicted = 0
  let gold = 0
  for (let row = 0; row < rows; row++) {
    const asked = targets.rightUnits.subarray(targets.unitOffsets[row], targets.unitOffsets[row + 1])
    const right = new Set(asked.filter((unit) => unit >= from))
    const units = predict(logits, row * width, rootOf(layout, targets, row))
    const found = units.filter((unit) => right.has(unit)).length
    hits += found
    predicted += units.length
    gold += right.size
    if (found === right.size && found === units.length) exact++
  }
  const total = predicted + gold
  return { exact: rows > 0 ? exact / rows : 0, microF1: total > 0 ? (2 * hits) / total : 0 }
}
