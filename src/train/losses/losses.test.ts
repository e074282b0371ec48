import { afterAll, describe, expect, test } from 'vitest'
import { compile, Graph, gradients, type Session } from '../../graph/index.ts'
import type { HeadLayout } from '../../labels/head-layout.ts'
import { headTargets } from '../../labels/head-targets.ts'
import { LabelTree } from '../../labels/label-tree.ts'
import { treeShape } from '../../labels/tree-distance.ts'
import { headLoss, lossFeeds } from '../head-loss.ts'
import {
  asymmetricLoss,
  focalLoss,
  type Loss,
  type LossJob,
  losses,
  treeMarginLoss,
  treeSmoothingLoss,
  zlprLoss,
} from './index.ts'

// Ids: a 0, b 1, a x 2, a y 3, b z 4.
const tree = LabelTree.fromPaths([
  ['a', 'x'],
  ['a', 'y'],
  ['b', 'z'],
])
const group = [{ parent: -1, start: 0, end: 3 }]
const softmax: HeadLayout = { activation: 'softmax', unitNodes: Int32Array.of(2, 3, 4), groups: group }
const sigmoid: HeadLayout = { ...softmax, activation: 'sigmoid' }
const levels: HeadLayout = {
  activation: 'softmax',
  unitNodes: Int32Array.of(0, 1, 2, 3, 4),
  groups: [
    { parent: -1, start: 0, end: 2 },
    { parent: 0, start: 2, end: 4 },
    { parent: 1, start: 4, end: 5 },
  ],
}

const sessions: Session[] = []
afterAll(() => Promise.all(sessions.map((session) => session.close())))

/** Loss and gradient for rows of logits whose labels are node ids. */
async function run(layout: HeadLayout, loss: Loss | undefined, rows: { z: number[]; labels: number[] }[]) {
  const graph = new Graph()
  const units = layout.unitNodes.length
  const z = graph.input('logits', 'float32', ['B', units])
  const job: LossJob | undefined = loss && { ...loss, tree: treeShape(tree) }
  const value = headLoss(z, layout, job)
  const session = await compile(graph, { value, gradient: gradients(value, [z])[0]! })
  sessions.push(session)
  const targets = headTargets(
    layout,
    tree,
    rows.map(({ labels }) => labels),
  )
  const options = { labelSmoothing: 0, ...(job ? { loss: job } : {}) }
  const { feeds, dims } = lossFeeds(layout, targets, Uint32Array.from(rows.keys()), rows.length, options)
  return async (logits = rows.flatMap((row) => row.z)) => {
    const found = await session.run(
      { ...feeds, logits: Float32Array.from(logits) },
      { dims: { ...dims, B: rows.length } },
    )
    return { value: (found['value'] as Float32Array)[0]!, gradient: Array.from(found['gradient'] as Float32Array) }
  }
}
const costOf = async (...given: Parameters<typeof run>) => (await (await run(...given))()).value

test('focal: with one label a row', async () => {
  // p = e^2 / (e^2 + e + 1) = .665241: (1 - p)^2 * -ln p.
  expect(await costOf(softmax, focalLoss(), [{ z: [2, 1, 0], labels: [2] }])).toBeCloseTo(0.112064 * 0.407606, 5)
  expect(await costOf(softmax, focalLoss({ gamma: 0 }), [{ z: [2, 1, 0], labels: [2] }])).toBeCloseTo(0.407606, 5)
})

test('focal: with several labels a row', async () => {
  const loss = focalLoss({ gamma: 2, alpha: 0.25 })
  // Logit 0, right: .25 * .5^2 * ln 2 = .0433217; wrong: three times that. Three units are averaged.
  const value = await costOf(sigmoid, loss, [{ z: [0, 0, 0], labels: [2] }])
  expect(value).toBeCloseTo((0.0433217 + 2 * 0.129965) / 3, 5)
})

test('asymmetric', async () => {
  // Wrong at logit 0: q = .45, q^4 * -ln .55 = .0245151; right: ln 2. With gammaPositive 1: half of it.
  expect(await costOf(sigmoid, asymmetricLoss(), [{ z: [0, 0, 0], labels: [2] }])).toBeCloseTo(
    (Math.LN2 + 2 * 0.0245151) / 3,
    5,
  )
  expect(
    await costOf(sigmoid, asymmetricLoss({ gammaPositive: 1, shift: 0 }), [{ z: [0, 0, 0], labels: [2] }]),
  ).toBeCloseTo((0.346574 + (2 * Math.LN2) / 16) / 3, 5)
  // A wrong label below the shift costs nothing at all.
  const { gradient } = await (await run(sigmoid, asymmetricLoss(), [{ z: [0, -4, -4], labels: [2] }]))()
  expect(gradient.slice(1)).toEqual([0, 0])
})

test('zlpr', async () => {
  expect(await costOf(sigmoid, zlprLoss(), [{ z: [2, -1, 0.5], labels: [2] }])).toBeCloseTo(1.231059, 5)
  expect(await costOf(sigmoid, zlprLoss(), [{ z: [2, -1, 0.5], labels: [4] }])).toBeCloseTo(2.643923, 5)
  // Units that are not asked do not count: only b and, below it, z.
  const perNode: HeadLayout = { ...levels, activation: 'sigmoid' }
  const value = await costOf(perNode, zlprLoss(), [{ z: [-1, 2, 50, 50, 0.5], labels: [4] }])
  expect(value).toBeCloseTo(Math.log(1 + Math.exp(-1)) + Math.log(1 + Math.exp(-2) + Math.exp(-0.5)), 5)
})

test('tree smoothing', async () => {
  // Distances from x: y 1/2, z 1. Weights 1, e^-1, e^-2.
  const z = [0.3, -0.2, 0.9]
  const logs = z.map((value) => value - Math.log(z.reduce((sum, other) => sum + Math.exp(other), 0)))
  const cost = (target: number[]) => -target.reduce((sum, t, i) => sum + t * logs[i]!, 0)
  expect(await costOf(softmax, treeSmoothingLoss({ beta: 2 }), [{ z, labels: [2] }])).toBeCloseTo(
    cost([0.665241, 0.244728, 0.090031]),
    5,
  )
  expect(await costOf(softmax, treeSmoothingLoss({ beta: 2, share: 0.1 }), [{ z, labels: [2] }])).toBeCloseTo(
    cost([0.9, 0.0731059, 0.0268941]),
    5,
  )
  // A parent with one child has nobody to share with.
  const single = await costOf(levels, treeSmoothingLoss({ share: 0.5 }), [{ z: [0, 0, 0, 0, 3], labels: [4] }])
  expect(single).toBeCloseTo(Math.LN2, 5)
})

test('tree margin', async () => {
  const value = await costOf(softmax, treeMarginLoss({ margin: 2 }), [{ z: [1, 1, 1], labels: [2] }])
  expect(value).toBeCloseTo(Math.log(1 + Math.E + Math.E ** 2), 5)
})

describe.each(losses.map((loss) => [loss.info.name, loss] as const))('%s', (_, loss) => {
  const layouts = [softmax, levels, sigmoid, { ...levels, activation: 'sigmoid' as const }].filter(
    ({ activation }) => loss.info.activation === undefined || loss.info.activation === activation,
  )
  test.each(layouts)('has the gradient of its value, and is finite far out: $activation', async (layout) => {
    const units = layout.unitNodes.length
    const rows = [
      { z: Array.from({ length: units }, (_, i) => Math.sin(3 * i + 1)), labels: [2] },
      { z: Array.from({ length: units }, (_, i) => Math.cos(2 * i)), labels: [4] },
    ]
    const at = await run(layout, loss(), rows)
    const point = rows.flatMap(({ z }) => z)
    const { gradient } = await at()
    const step = 1e-2
    for (const [i, slope] of gradient.entries()) {
      const moved = (by: number) => at(point.map((value, k) => (k === i ? value + by : value)))
      const difference = ((await moved(step)).value - (await moved(-step)).value) / (2 * step)
      expect(Math.abs(slope - difference)).toBeLessThan(2e-3)
    }
    for (const far of [-90, 90]) {
      const { value, gradient } = await at(point.map((_, i) => (i % 2 === 0 ? far : -far)))
      expect([value, ...gradient].every(Number.isFinite)).toBe(true)
    }
  })
})

test('options are checked', () => {
  expect(() => focalLoss({ gamma: -1 })).toThrow(expect.objectContaining({ code: 'METHOD_OPTION' }))
  expect(() => zlprLoss({ gamma: 1 } as never)).toThrow(expect.objectContaining({ code: 'METHOD_OPTION' }))
})
