import { expect, it } from 'vitest'
import { compile, Graph } from '../../graph/index.ts'
import type { HeadLayout } from '../../labels/head-layout.ts'
import { answerEntropy } from './answer-entropy.ts'

async function entropyOf(layout: HeadLayout, logits: number[], rows: number): Promise<number> {
  const graph = new Graph()
  const entropy = answerEntropy(graph.input('z', 'float32', ['B', layout.unitNodes.length]), layout)
  const session = await compile(graph, { entropy })
  const { entropy: found } = await session.run({ z: Float32Array.from(logits) }, { dims: { B: rows } })
  await session.close()
  return (found as Float32Array)[0]!
}
const h = (...p: number[]) => p.reduce((sum, x) => sum - x * Math.log(x), 0)
const log = (...p: number[]) => p.map((x) => Math.log(x))

it('is the entropy of a softmax, averaged over rows', async () => {
  const layout = {
    activation: 'softmax',
    unitNodes: Int32Array.of(0, 1, 2),
    groups: [{ parent: -1, start: 0, end: 3 }],
  } as const
  expect(await entropyOf(layout, [...log(0.5, 0.3, 0.2), 0, 0, 0], 2)).toBeCloseTo(
    (h(0.5, 0.3, 0.2) + Math.log(3)) / 2,
    5,
  )
})

it('is that of the whole path where units form a tree', async () => {
  // Nodes 0 and 1 at the top; 2 and 3 below 0; 4 below 2 with "stops at 2".
  const layout: HeadLayout = {
    activation: 'softmax',
    unitNodes: Int32Array.of(0, 1, 2, 3, 2, 4),
    groups: [
      { parent: -1, start: 0, end: 2 },
      { parent: 0, start: 2, end: 4 },
      { parent: 2, start: 4, end: 6 },
    ],
  }
  const [a, b, c] = [
    [0.6, 0.4],
    [0.7, 0.3],
    [0.2, 0.8],
  ] as const
  const paths = [a[1], a[0] * b[1], a[0] * b[0] * c[0], a[0] * b[0] * c[1]]
  expect(await entropyOf(layout, log(...a, ...b, ...c), 1)).toBeCloseTo(h(...paths), 5)
})

it('adds up independent units', async () => {
  const layout = {
    activation: 'sigmoid',
    unitNodes: Int32Array.of(0, 1),
    groups: [{ parent: -1, start: 0, end: 2 }],
  } as const
  expect(await entropyOf(layout, [Math.log(0.9 / 0.1), 0], 1)).toBeCloseTo(h(0.9, 0.1) + Math.log(2), 5)
})
