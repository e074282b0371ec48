import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { HeadLayout } from './head-layout.ts'
import { LabelTree } from './label-tree.ts'
import { nodeProbabilities } from './node-probabilities.ts'
import { nodeScore } from './node-score.ts'

const tree = LabelTree.fromPaths([['a', 'x'], ['a', 'y'], ['b', 'u'], ['b', 'v'], ['b', 'w'], ['c']])
const id = (...path: string[]) => tree.find(path)!
const leaves = tree.leaves
const children = (node: number) => [...tree.nodes[node]!.children]
const grouped = (activation: HeadLayout['activation'], parts: [number, number[]][]): HeadLayout => {
  let start = 0
  const groups = parts.map(([parent, units]) => ({ parent, start, end: (start += units.length) }))
  return { activation, unitNodes: Int32Array.from(parts.flatMap(([, units]) => units)), groups }
}
const a = id('a')
const b = id('b')
const levels: [number, number[]][] = [
  [-1, [...tree.roots]],
  [a, children(a)],
  [b, [b, ...children(b)]], // paths may stop at b
]
const diamond = new LabelTree([
  { key: 'l', name: 'l', parents: [] },
  { key: 'r', name: 'r', parents: [] },
  { key: 'o', name: 'o', parents: [] },
  { key: 'd', name: 'd', parents: ['l', 'r'] },
  { key: 'e', name: 'e', parents: ['l'] },
  { key: 'f', name: 'f', parents: ['r'] },
])
const inDiamond = (...path: string[]) => diamond.find(path)!
const layouts: [string, HeadLayout, LabelTree][] = [
  ['flat softmax', grouped('softmax', [[-1, [...leaves]]]), tree],
  ['softmax by level', grouped('softmax', levels), tree],
  ['flat sigmoid', grouped('sigmoid', [[-1, [...leaves]]]), tree],
  ['sigmoid by level', grouped('sigmoid', [levels[0]!, levels[1]!, [b, children(b)]]), tree],
  [
    'softmax with two parents',
    grouped('softmax', [
      [-1, [...diamond.roots]],
      [inDiamond('l'), [...diamond.nodes[inDiamond('l')]!.children]],
      [inDiamond('r'), [...diamond.nodes[inDiamond('r')]!.children]],
    ]),
    diamond,
  ],
]

describe.each(layouts)('%s', (_, layout, of) => {
  const units = layout.unitNodes.length
  const logits = fc.array(fc.double({ min: -6, max: 6, noNaN: true }), { minLength: units, maxLength: units })

  test('probability is the marginal of nodeProbabilities, log-odds its log-odds', () => {
    fc.assert(
      fc.property(logits, fc.double({ min: 0.3, max: 3, noNaN: true }), (values, temperature) => {
        const row = Float32Array.from(values)
        const { marginal } = nodeProbabilities(layout, of, temperature)(row)
        for (let node = 0; node < of.size; node++) {
          expect(nodeScore(layout, of, temperature, node, 'probability').value(row)).toBeCloseTo(marginal[node]!, 10)
          const p = marginal[node]!
          if (p > 1 - 1e-9) continue
          expect(nodeScore(layout, of, temperature, node).value(row)).toBeCloseTo(Math.log(p / (1 - p)), 5)
        }
      }),
      { numRuns: 50 },
    )
  })

  test.each(['log-odds', 'probability'] as const)('the gradient of %s agrees with central differences', (kind) => {
    fc.assert(
      fc.property(logits, (drawn) => {
        // A sigmoid node has a kink where two of its descendants are level: keep them apart.
        const values = drawn.map((z, unit) => Math.round(z * 4) / 4 + unit / 64)
        for (let node = 0; node < of.size; node++) {
          const score = nodeScore(layout, of, 1.3, node, kind)
          const gradient = new Float64Array(units)
          score.addGradient(values, gradient)
          for (let unit = 0; unit < units; unit++) {
            const moved = (by: number) => score.value(values.map((z, i) => (i === unit ? z + by : z)))
            const numeric = (moved(1e-5) - moved(-1e-5)) / 2e-5
            expect(Math.abs(gradient[unit]! - numeric)).toBeLessThan(1e-5 * (1 + Math.abs(numeric)))
          }
        }
      }),
      { numRuns: 30 },
    )
  })
})

test('log-odds stay finite where the probability rounds to one', () => {
  const layout = layouts[1]![1]
  const row = Float64Array.from({ length: layout.unitNodes.length }, (_, unit) => (unit === 0 ? 900 : 0))
  const score = nodeScore(layout, tree, 1, tree.roots[0]!)
  expect(score.value(row)).toBeCloseTo(900 - Math.log(2), 9)
  const gradient = new Float64Array(row.length)
  score.addGradient(row, gradient)
  expect(gradient[0]).toBe(1)
})

test('a logit is the output of the node itself', () => {
  const [, layout] = layouts[0]!
  const row = Float32Array.from(layout.unitNodes, (_, unit) => unit)
  expect(nodeScore(layout, tree, 2, leaves[3]!, 'logit').value(row)).toBe(3)
  expect(() => nodeScore(layout, tree, 2, a, 'logit')).toThrow(expect.objectContaining({ code: 'EXPLAIN_LOGIT' }))
})

test('a label that every text has is refused', () => {
  const single = LabelTree.fromPaths([
    ['all', 'x'],
    ['all', 'y'],
  ])
  const layout = grouped('softmax', [[-1, [...single.leaves]]])
  expect(() => nodeScore(layout, single, 1, 0).value([1, 2])).toThrow(
    expect.objectContaining({ code: 'EXPLAIN_CERTAIN' }),
  )
  expect(nodeScore(layout, single, 1, 0, 'probability').value([1, 2])).toBe(1)
})
