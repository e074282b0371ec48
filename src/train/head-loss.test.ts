import { afterAll, expect, test } from 'vitest'
import { compile, Graph, gradients, type Session } from '../graph/index.ts'
import type { HeadLayout, HeadTargets } from '../labels/head-layout.ts'
import { headLoss, type LossOptions, lossFeeds } from './head-loss.ts'

const sessions: Session[] = []
afterAll(() => Promise.all(sessions.map((session) => session.close())))

async function run(
  layout: HeadLayout,
  targets: HeadTargets,
  logits: number[][],
  rows: number[],
  batchRows: number,
  options: LossOptions,
) {
  const units = layout.unitNodes.length
  const graph = new Graph()
  const z = graph.input('logits', 'float32', ['B', units])
  const loss = headLoss(z, layout)
  const session = await compile(graph, { loss, gradient: gradients(loss, [z])[0]! })
  sessions.push(session)
  const { feeds, dims } = lossFeeds(layout, targets, Uint32Array.from(rows), batchRows, options)
  const values = Float32Array.from(rows.flatMap((row) => logits[row]!))
  const result = await session.run({ ...feeds, logits: values }, { dims: { ...dims, B: rows.length } })
  return { loss: (result.loss as Float32Array)[0]!, gradient: Array.from(result.gradient as Float32Array) }
}

const softmax = (z: number[]) => {
  const exps = z.map(Math.exp)
  return exps.map((e) => e / exps.reduce((a, b) => a + b))
}
const near = (actual: number[], expected: number[]) => {
  expect(actual).toHaveLength(expected.length)
  for (const [i, value] of expected.entries()) expect(actual[i]).toBeCloseTo(value, 5)
}
const plain: LossOptions = { labelSmoothing: 0 }

// Tree: 0 {2, 3}, 1 {4}.
const groups = [
  { parent: -1, start: 0, end: 2 },
  { parent: 0, start: 2, end: 4 },
  { parent: 1, start: 4, end: 5 },
]
const conditional: HeadLayout = { activation: 'softmax', unitNodes: Int32Array.of(0, 1, 2, 3, 4), groups }
// Rows: 0 › 3, 1 › 4, none.
const targets: HeadTargets = {
  groupOffsets: Uint32Array.of(0, 2, 4, 4),
  activeGroups: Uint32Array.of(0, 1, 0, 2),
  unitOffsets: Uint32Array.of(0, 2, 4, 4),
  rightUnits: Uint32Array.of(0, 3, 1, 4),
}
const logits = [
  [0.3, -1, 2, 0.5, 40],
  [1, 0.2, -90, 90, 3],
  [5, 5, 5, 5, 5],
]

test('conditional softmax: the negative log-likelihood of the paths, over the rows of the batch', async () => {
  const [a, b] = softmax([0.3, -1])
  const [c, d] = softmax([2, 0.5])
  const [e, f] = softmax([1, 0.2])
  const { loss, gradient } = await run(conditional, targets, logits, [0, 1, 2], 3, plain)
  expect(loss).toBeCloseTo(-(Math.log(a! * d!) + Math.log(f!)) / 3, 5)
  near(
    gradient,
    [a! - 1, b!, c!, d! - 1, 0, e!, f! - 1, 0, 0, 0, 0, 0, 0, 0, 0].map((g) => g / 3),
  )
})

test('a run without a single label has loss 0 and no gradient', async () => {
  const { loss, gradient } = await run(conditional, targets, logits, [2], 3, plain)
  expect(loss).toBeCloseTo(0, 12)
  near(gradient, [0, 0, 0, 0, 0])
})

test('smoothing and adjustment enter group by group', async () => {
  const adjustment = Float32Array.of(0.5, -0.5, 0.1, 0.2, 0)
  const top = softmax([0.8, -1.5])
  const below = softmax([2.1, 0.7])
  const { loss } = await run(conditional, targets, logits, [0], 1, { labelSmoothing: 0.2, adjustment })
  const expected =
    0.9 * Math.log(top[0]!) + 0.1 * Math.log(top[1]!) + 0.1 * Math.log(below[0]!) + 0.9 * Math.log(below[1]!)
  expect(loss).toBeCloseTo(-expected, 5)
})

test('one softmax over all units', async () => {
  const flat: HeadLayout = {
    activation: 'softmax',
    unitNodes: Int32Array.of(2, 3, 4),
    groups: [{ parent: -1, start: 0, end: 3 }],
  }
  const flatTargets: HeadTargets = {
    groupOffsets: Uint32Array.of(0, 1, 1),
    activeGroups: Uint32Array.of(0),
    unitOffsets: Uint32Array.of(0, 1, 1),
    rightUnits: Uint32Array.of(1),
  }
  const p = softmax([1, 2, -1])
  const { loss, gradient } = await run(
    flat,
    flatTargets,
    [
      [1, 2, -1],
      [3, 3, 3],
    ],
    [0, 1],
    2,
    { labelSmoothing: 0.3 },
  )
  const target = [0.1, 0.8, 0.1]
  expect(loss).toBeCloseTo(-target.reduce((sum, t, i) => sum + t * Math.log(p[i]!), 0) / 2, 5)
  near(gradient, [...p.map((q, i) => (q - target[i]!) / 2), 0, 0, 0])
})

test('sigmoid: each unit of the active groups on its own, averaged over them', async () => {
  const layout: HeadLayout = { activation: 'sigmoid', unitNodes: Int32Array.of(0, 1, 2, 3, 4), groups }
  const several: HeadTargets = {
    groupOffsets: Uint32Array.of(0, 2),
    activeGroups: Uint32Array.of(0, 1),
    unitOffsets: Uint32Array.of(0, 3),
    rightUnits: Uint32Array.of(0, 2, 3),
  }
  const z = [0.5, -2, 80, -80, 7]
  const { loss, gradient } = await run(layout, several, [z], [0], 1, plain)
  const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
  expect(loss).toBeCloseTo((Math.log1p(Math.exp(-0.5)) + Math.log1p(Math.exp(-2)) + 0 + 80) / 4, 4)
  near(gradient, [(sigmoid(0.5) - 1) / 4, sigmoid(-2) / 4, 0, -0.25, 0])
  const smooth = await run(layout, several, [z], [0], 1, {
    labelSmoothing: 0.2,
    adjustment: Float32Array.of(1, 0, 0, 0, 0),
  })
  near(smooth.gradient, [(sigmoid(1.5) - 0.9) / 4, (sigmoid(-2) - 0.1) / 4, 0.1 / 4, -0.9 / 4, 0])
})

test.each([
  ['softmax', conditional, targets],
  ['sigmoid', { ...conditional, activation: 'sigmoid' as const }, targets],
])('%s: the parts of a batch add up to the batch', async (_, layout, asked) => {
  const whole = await run(layout, asked, logits, [0, 1, 2], 3, { labelSmoothing: 0.1 })
  const parts = await Promise.all(
    [[0], [1, 2]].map((rows) => run(layout, asked, logits, rows, 3, { labelSmoothing: 0.1 })),
  )
  expect(parts.reduce((sum, { loss }) => sum + loss, 0)).toBeCloseTo(whole.loss, 5)
  near(
    parts.flatMap(({ gradient }) => gradient),
    whole.gradient,
  )
})
