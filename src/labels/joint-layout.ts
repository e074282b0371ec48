/**
 * Heads of several tasks as one layout: their units side by side, so that any trainer of a layout trains all heads at once. Each task has a root of
 * its own; a row is of one task, and only that task's groups are active in it.
 */
import { InputError } from '../util/errors.ts'
import type { HeadLayout, HeadTargets } from './head-layout.ts'

export interface TaskLayout {
  readonly name: string
  readonly layout: HeadLayout
  /** Nodes of its label tree. */
  readonly nodes: number
}

export interface JointLayout {
  readonly layout: HeadLayout
  /** Of each task, in the order given: its units are start..end-1 of the joint layout. */
  readonly parts: readonly {
    readonly name: string
    readonly start: number
    readonly end: number
    readonly group: number
  }[]
}

/**
 * Joins layouts. The node n of a task whose root is r is r + 1 + n in the joint layout.
 * @throws InputError `TASKS_MIXED` if some tasks have one label a row (softmax) and others several (sigmoid).
 */
export function joinLayouts(tasks: readonly TaskLayout[]): JointLayout {
  const { activation } = tasks[0]!.layout
  const other = tasks.find(({ layout }) => layout.activation !== activation)
  if (other)
    throw new InputError(
      'TASKS_MIXED',
      `Task ${tasks[0]!.name} has a ${activation} head, task ${other.name} a ${other.layout.activation} head`,
      { help: 'train tasks with one label a row and tasks with several apart, or give all a method such as per-node' },
    )
  const unitNodes: number[] = []
  const groups: HeadLayout['groups'][number][] = []
  const roots: number[] = []
  const parts: JointLayout['parts'][number][] = []
  let root = 0
  for (const { name, layout, nodes } of tasks) {
    const start = unitNodes.length
    parts.push({ name, start, end: start + layout.unitNodes.length, group: groups.length })
    roots.push(root)
    for (const node of layout.unitNodes) unitNodes.push(root + 1 + node)
    for (const group of layout.groups)
      groups.push({ parent: root + 1 + group.parent, start: start + group.start, end: start + group.end })
    root += nodes + 1
  }
  return { layout: { activation, unitNodes: Int32Array.from(unitNodes), groups, roots }, parts }
}

/** Targets of the rows of all tasks, one task after the other, for the joint layout. */
export function joinTargets({ parts }: JointLayout, targets: readonly HeadTargets[]): HeadTargets {
  const joint = { groupOffsets: [0], activeGroups: [] as number[], unitOffsets: [0], rightUnits: [] as number[] }
  for (const [t, { groupOffsets, activeGroups, unitOffsets, rightUnits }] of targets.entries()) {
    const { start, group } = parts[t]!
    const [groupsBefore, unitsBefore] = [joint.activeGroups.length, joint.rightUnits.length]
    for (const offset of groupOffsets.subarray(1)) joint.groupOffsets.push(groupsBefore + offset)
    for (const offset of unitOffsets.subarray(1)) joint.unitOffsets.push(unitsBefore + offset)
    for (const active of activeGroups) joint.activeGroups.push(group + active)
    for (const unit of rightUnits) joint.rightUnits.push(start + unit)
  }
  return {
    groupOffsets: Uint32Array.from(joint.groupOffsets),
    activeGroups: Uint32Array.from(joint.activeGroups),
    unitOffsets: Uint32Array.from(joint.unitOffsets),
    rightUnits: Uint32Array.from(joint.rightUnits),
  }
}
