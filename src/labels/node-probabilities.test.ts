import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { conditionalSoftmax, flat, perNode } from '../classify/methods/index.ts'
import { decodePath, decodeThresholds, decodeTopDown } from './decode.ts'
import type { HeadLayout } from './head-layout.ts'
import { headTargets } from './head-targets.ts'
import { LabelTree } from './label-tree.ts'
import { nodeProbabilities } from './node-probabilities.ts'
import { parseLabelTree } from './read-label-tree.ts'

// ids: A 0, B 1, A1 2, A2 3, B1 4
const tree = LabelTree.fromPaths([
  ['A', 'A1'],
  ['A', 'A2'],
  ['B', 'B1'],
])
const terminals = [1, 2, 3, 4] // some rows stop at B
const conditional = conditionalSoftmax().layout(tree, { multiLabel: false, terminals })

describe('headTargets', () => {
  it('makes the groups along the path active and the deepest unit right', () => {
    expect([...conditional.unitNodes]).toEqual([0, 1, 2, 3, 4, 1])
    const targets = headTargets(conditional, tree, [[2], [1], [4], []])
    expect([...targets.groupOffsets]).toEqual([0, 2, 4, 6, 6])
    expect([...targets.activeGroups]).toEqual([0, 1, 0, 2, 0, 2])
    expect([...targets.rightUnits]).toEqual([0, 2, 1, 5, 1, 4])
  })

  it('takes the end of the path in a flat head, and all of the closure in a sigmoid one', () => {
    const single = flat().layout(tree, { multiLabel: false, terminals })
    expect([...headTargets(single, tree, [[4], [1]]).rightUnits]).toEqual([3, 0])
    const several = flat().layout(tree, { multiLabel: true, terminals })
    expect([...headTargets(several, tree, [[2, 4], []]).rightUnits]).toEqual([0, 1, 2, 4])
    const local = perNode().layout(tree, { multiLabel: true, terminals })
    expect([...headTargets(local, tree, [[2]]).activeGroups]).toEqual([0, 1])
  })

  it('refuses several paths in a softmax head', () => {
    expect(() => headTargets(conditional, tree, [[2], [2, 4]])).toThrow(
      expect.objectContaining({ code: 'TARGET_SEVERAL' }),
    )
  })
})

describe('nodeProbabilities', () => {
  it('multiplies along the path in a conditional softmax', () => {
    const logits = Float32Array.from([Math.log(3), 0, 0, 0, Math.log(4), 0])
    const { marginal, ending } = nodeProbabilities(conditional, tree)(logits)
    expect(Array.from(marginal, (p) => Number(p.toFixed(6)))).toEqual([0.75, 0.25, 0.375, 0.375, 0.2])
    expect(Array.from(ending, (p) => Number(p.toFixed(6)))).toEqual([0, 0.05, 0.375, 0.375, 0.2])
  })

  it('gathers the probability of the ends at their ancestors in a flat softmax', () => {
    const layout = flat().layout(tree, { multiLabel: false, terminals })
    const { marginal, ending } = nodeProbabilities(layout, tree)(Float32Array.from([1, 2, 3, 4].map(Math.log)))
    expect(Array.from(marginal, (p) => Number(p.toFixed(6)))).toEqual([0.5, 0.5, 0.2, 0.3, 0.4])
    expect(Array.from(ending, (p) => Number(p.toFixed(6)))).toEqual([0, 0.1, 0.2, 0.3, 0.4])
  })

  it('softens with temperature', () => {
    const layout = flat().layout(tree, { multiLabel: false, terminals })
    const { ending } = nodeProbabilities(layout, tree, 2)(Float32Array.from([0, 0, 0, Math.log(9)]))
    expect(ending[4]).toBeCloseTo(0.5, 6)
  })

  it('throws on scores that are not numbers', () => {
    expect(() => nodeProbabilities(conditional, tree)(Float32Array.from([0, 0, Number.NaN, 0, 0, 0]))).toThrow(
      expect.objectContaining({ code: 'SCORES_NAN' }),
    )
  })

  it('gives no probability to groups that a beam left out', () => {
    const out = Number.NEGATIVE_INFINITY
    const { marginal } = nodeProbabilities(conditional, tree)(Float32Array.from([0, 0, 0, 0, out, out]))
    expect(Array.from(marginal)).toEqual([0.5, 0.5, 0.25, 0.25, 0])
  })

  const graph = fc.integer({ min: 2, max: 14 }).chain((size) =>
    fc.record({
      links: fc.array(fc.array(fc.nat(), { maxLength: 2 }), { minLength: size, maxLength: size }),
      multiLabel: fc.boolean(),
      method: fc.constantFrom('flat', 'per-node', 'conditional'),
      logits: fc.array(fc.double({ min: -8, max: 8, noNaN: true }), { minLength: 3 * size, maxLength: 3 * size }),
    }),
  )
  const cases = graph.map(({ links, multiLabel, method, logits }) => {
    const several = method !== 'conditional'
    const map = Object.fromEntries(
      links.map((list, id) => [
        `n${id}`,
        id === 0 ? [] : [...new Set(list.slice(0, several ? 2 : 1).map((link) => `n${link % id}`))],
      ]),
    )
    const random = parseLabelTree(map)
    const ends = random.nodes.filter((node) => node.children.length === 0 || node.id % 3 === 0).map((node) => node.id)
    const context = { multiLabel: multiLabel && several, terminals: ends }
    const layout: HeadLayout = (
      method === 'flat' ? flat() : method === 'per-node' ? perNode() : conditionalSoftmax()
    ).layout(random, context)
    return { tree: random, ends, layout, logits: Float32Array.from(logits.slice(0, layout.unitNodes.length)) }
  })

  it('never gives a label more probability than its parent, on any tree, method and logits', () => {
    fc.assert(
      fc.property(cases, ({ tree, layout, logits, ends }) => {
        const { marginal, ending } = nodeProbabilities(layout, tree)(logits)
        for (const { id, parents } of tree.nodes) {
          expect(marginal[id]).toBeGreaterThanOrEqual(0)
          expect(marginal[id]).toBeLessThanOrEqual(1 + 1e-9)
          for (const parent of parents) expect(marginal[id]!).toBeLessThanOrEqual(marginal[parent]! + 1e-9)
        }
        if (layout.activation === 'softmax') expect(ending.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 6)
        const probabilities = { marginal, ending }
        const thresholds = new Float64Array(tree.size).fill(0.4)
        for (const ids of [
          decodePath(tree, Int32Array.from(ends), probabilities, 0.3),
          decodeTopDown(tree, probabilities, 0.3),
          decodeThresholds(tree, thresholds, probabilities),
        ]) {
          expect(tree.closure(ids)).toEqual(ids)
        }
      }),
    )
  })
})

describe('decoding', () => {
  const probabilities = nodeProbabilities(
    conditional,
    tree,
  )(Float32Array.from([Math.log(1.2), 0, 0, 0, Math.log(4), 0]))
  it('takes the best end, which greedy descent may miss', () => {
    expect(decodePath(tree, Int32Array.from(terminals), probabilities)).toEqual([1, 4])
    expect(decodeTopDown(tree, probabilities)[0]).toBe(0)
  })
  it('stops at an inner node when unsure, and abstains when nothing is sure', () => {
    expect(decodePath(tree, Int32Array.from(terminals), probabilities, 0.4)).toEqual([1])
    expect(decodePath(tree, Int32Array.from(terminals), probabilities, 0.9)).toEqual([])
  })
})
