import { describe, expect, it } from 'vitest'
import type { HeadLayout } from './head-layout.ts'
import { headTargets } from './head-targets.ts'
import { joinLayouts, joinTargets } from './joint-layout.ts'
import { LabelTree } from './label-tree.ts'
import { unitPredictor, unitScores } from './predict-units.ts'

const animals = LabelTree.fromPaths([['cat'], ['dog']])
const places = LabelTree.fromPaths([
  ['in', 'room'],
  ['in', 'house'],
  ['out', 'wood'],
])
const unit = (tree: LabelTree, ...path: string[]) => tree.find(path)!
/** Every inner node's children are told apart. */
const levels = (tree: LabelTree): HeadLayout => {
  const nodes: number[] = []
  const groups = [-1, ...tree.nodes.keys()].flatMap((parent) => {
    const children = tree.nodes.flatMap((node, id) => ((node.parents[0] ?? -1) === parent ? [id] : []))
    if (children.length === 0) return []
    const start = nodes.length
    nodes.push(...children)
    return [{ parent, start, end: nodes.length }]
  })
  return { activation: 'softmax', unitNodes: Int32Array.from(nodes), groups }
}
const tasks = [
  { name: 'animal', layout: levels(animals), nodes: animals.size },
  { name: 'place', layout: levels(places), nodes: places.size },
]

describe('joint layouts', () => {
  it('put units side by side and keep nodes and groups of tasks apart', () => {
    const { layout, parts } = joinLayouts(tasks)
    expect(parts).toEqual([
      { name: 'animal', start: 0, end: 2, group: 0 },
      { name: 'place', start: 2, end: 7, group: 1 },
    ])
    expect(layout.roots).toEqual([0, 3])
    expect(layout.groups.map(({ parent }) => parent)).toEqual([0, 3, 4 + unit(places, 'in'), 4 + unit(places, 'out')])
    expect(new Set(layout.unitNodes).size).toBe(7)
  })

  it('score a row by the groups of its own task alone', () => {
    const joint = joinLayouts(tasks)
    const rows = [
      headTargets(tasks[0]!.layout, animals, [[unit(animals, 'dog')]]),
      headTargets(tasks[1]!.layout, places, [[unit(places, 'in', 'house')], [unit(places, 'out', 'wood')]]),
    ]
    const targets = joinTargets(joint, rows)
    expect([...targets.unitOffsets]).toEqual([0, 1, 3, 5])
    const logits = new Float32Array(21)
    for (let row = 0; row < 3; row++)
      for (const right of targets.rightUnits.subarray(targets.unitOffsets[row], targets.unitOffsets[row + 1]))
        logits[row * 7 + right] = 1
    // What the other task's units say does not matter.
    logits[2] = 9
    logits[7] = 9
    expect(unitScores(joint.layout, targets, logits)).toEqual({ exact: 1, microF1: 1 })
    logits[1] = -1
    expect(unitScores(joint.layout, targets, logits).exact).toBeCloseTo(2 / 3, 12)
    expect(unitPredictor(joint.layout)(logits, 7, joint.layout.roots![1]).every((unit) => unit >= 2)).toBe(true)
  })

  it('refuse heads of different kinds', () => {
    const several = { ...tasks[1]!, layout: { ...tasks[1]!.layout, activation: 'sigmoid' as const } }
    expect(() => joinLayouts([tasks[0]!, several])).toThrow(expect.objectContaining({ code: 'TASKS_MIXED' }))
  })
})
