import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compile, Graph, gradients } from '../graph/index.ts'
import type { HeadLayout, HeadTargets } from '../labels/head-layout.ts'
import { headFeeds, headLoss } from './head-loss.ts'

/** Groups of the given widths, the rows' active groups, and the right units of each. */
interface Case {
  widths: number[]
  rows: { group: number; right: boolean[]; unit: number }[][]
  logits: number[]
  adjustment: number[] | undefined
}

const cases: fc.Arbitrary<Case> = fc
  .tuple(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 4 }))
  .chain(([widths, rows]) => {
    const units = widths.reduce((a, b) => a + b, 0)
    const row = fc.subarray(widths.map((_, i) => i)).chain((groups) =>
      fc.tuple(
        ...groups.map((group) =>
          fc.record({
            group: fc.constant(group),
            unit: fc.nat(widths[group]! - 1),
            right: fc.array(fc.boolean(), { minLength: widths[group]!, maxLength: widths[group]! }),
          }),
        ),
      ),
    )
    const number = fc.double({ min: -30, max: 30, noNaN: true })
    const list = (length: number) => fc.array(number, { minLength: length, maxLength: length })
    return fc.record({
      widths: fc.constant(widths),
      rows: fc.array(row, { minLength: rows, maxLength: rows }),
      logits: list(rows * units),
      adjustment: fc.option(list(units), { nil: undefined }),
    })
  })

function prepare({ widths, rows }: Case, activation: HeadLayout['activation']) {
  const starts = widths.map((_, i) => widths.slice(0, i).reduce((a, b) => a + b, 0))
  const units = widths.reduce((a, b) => a + b, 0)
  const layout: HeadLayout = {
    activation,
    unitNodes: Int32Array.from({ length: units }, (_, i) => i),
    groups: widths.map((width, i) => ({ parent: i - 1, start: starts[i]!, end: starts[i]! + width })),
  }
  const rightOf = (row: Case['rows'][number]) =>
    row.flatMap(({ group, unit, right }) =>
      activation === 'softmax' ? [starts[group]! + unit] : right.flatMap((is, i) => (is ? [starts[group]! + i] : [])),
    )
  const offsets = (lengths: number[]) =>
    Uint32Array.from([0, ...lengths.map((_, i) => lengths.slice(0, i + 1).reduce((a, b) => a + b, 0))])
  const targets: HeadTargets = {
    groupOffsets: offsets(rows.map((row) => row.length)),
    activeGroups: Uint32Array.from(rows.flatMap((row) => row.map(({ group }) => group))),
    unitOffsets: offsets(rows.map((row) => rightOf(row).length)),
    rightUnits: Uint32Array.from(rows.flatMap(rightOf)),
  }
  return { layout, targets, units }
}

/** The definition, row by row in float64. */
function reference(given: Case, activation: HeadLayout['activation']): { loss: number; gradient: Float64Array } {
  const { layout, targets, units } = prepare(given, activation)
  const gradient = new Float64Array(given.logits.length)
  let loss = 0
  for (const [r, row] of given.rows.entries()) {
    const z = Array.from({ length: units }, (_, u) => given.logits[r * units + u]! + (given.adjustment?.[u] ?? 0))
    const right = new Set(targets.rightUnits.subarray(targets.unitOffsets[r], targets.unitOffsets[r + 1]))
    for (const { group } of row) {
      const { start, end } = layout.groups[group]!
      const inside = z.slice(start, end)
      const largest = Math.max(...inside)
      const log = largest + Math.log(inside.reduce((sum, value) => sum + Math.exp(value - largest), 0))
      for (let u = start; u < end; u++) {
        const target = right.has(u) ? 1 : 0
        const probability = activation === 'softmax' ? Math.exp(z[u]! - log) : 1 / (1 + Math.exp(-z[u]!))
        if (activation === 'sigmoid')
          loss += Math.max(z[u]!, 0) - z[u]! * target + Math.log1p(Math.exp(-Math.abs(z[u]!)))
        else if (target) loss += log - z[u]!
        gradient[r * units + u]! += (probability - target) / given.rows.length
      }
    }
  }
  return { loss: loss / given.rows.length, gradient }
}

for (const activation of ['softmax', 'sigmoid'] as const)
  test(`${activation} loss and gradient agree with their definition`, () =>
    fc.assert(
      fc.asyncProperty(cases, async (given) => {
        const { layout, targets, units } = prepare(given, activation)
        const graph = new Graph()
        const logits = graph.input('logits', 'float32', ['B', units])
        const adjustment = given.adjustment && { adjustment: Float32Array.from(given.adjustment) }
        const loss = headLoss(logits, layout, adjustment)
        const session = await compile(graph, { loss, gradient: gradients(loss, [logits])[0]! })
        const rows = given.rows.map((_, i) => i)
        const { feeds, dims } = headFeeds(layout, targets, rows)
        const out = await session.run(
          { logits: Float32Array.from(given.logits), ...feeds },
          { dims: { B: rows.length, ...dims } },
        )
        await session.close()
        const expected = reference(given, activation)
        expect(Math.abs((out['loss']![0] as number) - expected.loss)).toBeLessThan(1e-4 * (1 + expected.loss))
        for (const [i, value] of expected.gradient.entries())
          expect(Math.abs(Number(out['gradient']![i]) - value)).toBeLessThan(1e-5)
      }),
      { numRuns: 60, seed: 7 },
    ))

test('micro-batches with the weight of the whole batch add up to it', async () => {
  const given: Case = {
    widths: [2, 3],
    rows: [0, 1, 2, 3].map((i) => [{ group: i % 2, unit: 1, right: [] }]),
    logits: Array.from({ length: 20 }, (_, i) => Math.sin(i)),
    adjustment: undefined,
  }
  const { layout, targets, units } = prepare(given, 'softmax')
  const graph = new Graph()
  const loss = headLoss(graph.input('logits', 'float32', ['B', units]), layout)
  const session = await compile(graph, { loss })
  let sum = 0
  for (const rows of [[0], [1, 2, 3]]) {
    const { feeds, dims } = headFeeds(layout, targets, rows, 1 / 4)
    const logits = Float32Array.from(rows.flatMap((r) => given.logits.slice(r * units, (r + 1) * units)))
    const out = await session.run({ logits, ...feeds }, { dims: { B: rows.length, ...dims } })
    sum += out['loss']![0] as number
  }
  expect(sum).toBeCloseTo(reference(given, 'softmax').loss, 5)
  await session.close()
})
