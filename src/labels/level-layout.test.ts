import { describe, expect, it } from 'vitest'
import { decode } from './decode.ts'
import { headTargets } from './head-targets.ts'
import { LabelTree } from './label-tree.ts'
import { isLevelled, levelGroups, pathGroups, unitsAbove } from './level-layout.ts'
import { nodeProbabilities } from './node-probabilities.ts'
import { nodeScore } from './node-score.ts'
import { unitPredictor, unitScores } from './predict-units.ts'

// ids: A 0, B 1, C 2, A1 3, A2 4, B1 5, A1x 6; paths end at C (level 1), at B as well as below it, and at A2, A1x.
const tree = LabelTree.fromPaths([['A', 'A1', 'x'], ['A', 'A2'], ['B', 'B1'], ['C']])
const terminals = [1, 2, 4, 5, 6]
const layout = { activation: 'softmax' as const, ...levelGroups(tree, terminals) }
const logs = (...shares: number[]) => Float32Array.from(shares, Math.log)

describe('a softmax for every level', () => {
  it('has the nodes of each level and the ends above it, so that the last group holds all ends', () => {
    const names = layout.groups.map(({ start, end }) => Array.from(layout.unitNodes.subarray(start, end)))
    expect(names).toEqual([
      [0, 1, 2],
      [1, 2, 3, 4, 5],
      [1, 2, 4, 5, 6],
    ])
    expect(isLevelled(layout)).toBe(true)
    expect(pathGroups(layout)).toEqual([{ parent: -1, start: 8, end: 13 }])
    expect([...unitsAbove(layout, tree)]).toEqual([-1, -1, -1, 1, 2, 0, 0, 1, 3, 4, 6, 7, 5])
  })

  it('asks every level for one unit of a path', () => {
    const { rightUnits } = headTargets(layout, tree, [[6], [1], [2]])
    expect([...rightUnits]).toEqual([0, 5, 12, 1, 3, 8, 2, 4, 9])
  })

  it('takes the path from the last level, and keeps what the others say', () => {
    const logits = logs(0.5, 0.3, 0.2, 0.1, 0.2, 0.4, 0.2, 0.1, 0.1, 0.2, 0.4, 0.25, 0.05)
    const { marginal, ending, levels } = nodeProbabilities(layout, tree)(logits)
    const rounded = (values: Iterable<number>) => Array.from(values, (value) => Number(value.toFixed(4)))
    expect(rounded(ending)).toEqual([0, 0.1, 0.2, 0, 0.4, 0.25, 0.05])
    expect(rounded(marginal)).toEqual([0.45, 0.35, 0.2, 0.05, 0.4, 0.25, 0.05])
    expect(rounded(levels!.own)).toEqual([0.5, 0.3, 0.2, 0.4, 0.2, 0.1, 0.05])
    expect(rounded(Array.from(levels!.path, Math.exp))).toEqual([0, 0.003, 0.008, 0, 0.04, 0.0075, 0.01])
    const decoded = (name: Parameters<typeof decode>[0]['name']) =>
      decode({ name }, tree, Int32Array.from(terminals), new Float64Array(), { marginal, ending, levels: levels! })
    expect(decoded('leaf-up')).toEqual([0, 4])
    expect(decoded('joint-path')).toEqual([0, 4])
    expect(decoded('per-level-argmax')).toEqual([0, 3])
    expect(decoded('top-down')).toEqual([0, 3, 6])
    const { value } = nodeScore(layout, tree, 1, 0, 'probability')
    expect(value(logits)).toBeCloseTo(0.45, 6)
  })

  it('follows the dev set by the last level', () => {
    const logits = logs(0.1, 0.8, 0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.1, 0.2, 0.4, 0.25, 0.05)
    expect(unitPredictor(layout)(logits, 0)).toEqual([10])
    expect(unitScores(layout, headTargets(layout, tree, [[4]]), logits)).toEqual({ exact: 1, microF1: 1 })
    expect(unitScores(layout, headTargets(layout, tree, [[5]]), logits)).toEqual({ exact: 0, microF1: 0 })
  })
})
