import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { HeadLayout } from '../labels/head-layout.ts'
import { LabelTree } from '../labels/label-tree.ts'
import { reliability } from './calibration.ts'
import { closeIdSets, type IdSets, idSets, type ScoredIds, scoredIds } from './id-sets.ts'
import { fitTemperature, temperatureRange } from './temperature.ts'
import { globalThreshold, labelThresholds, microF1At } from './thresholds.ts'

describe('reliability', () => {
  it('puts the borders into the lower bin, 0 into the first and 1 into the last', () => {
    const { bins } = reliability(
      { probabilities: Float64Array.of(0, 0.5, 0.51, 1), right: Uint8Array.of(0, 1, 1, 1) },
      2,
    )
    expect(bins.map((bin) => bin.count)).toEqual([2, 2])
  })

  it('is 0 for predictions that are as sure as they are right', () => {
    const probabilities = new Float64Array(10).fill(0.7)
    const { ece, brier } = reliability({ probabilities, right: Uint8Array.of(1, 1, 1, 1, 1, 1, 1, 0, 0, 0) })
    expect(ece).toBeCloseTo(0, 12)
    expect(brier).toBeCloseTo(0.21, 12)
  })
})

/** A layout with one softmax or sigmoid group a parent over units 0..n-1; which nodes they stand for does not matter here. */
const layoutOf = (activation: 'softmax' | 'sigmoid', sizes: number[]): HeadLayout => {
  let start = 0
  const groups = sizes.map((size, parent) => ({ parent: parent - 1, start, end: (start += size) }))
  return { activation, groups, unitNodes: Int32Array.from({ length: start }, (_, i) => i) }
}

const logit = fc.double({ min: -6, max: 6, noNaN: true })

/** Rows with every group active or only the first, and a right unit in each. */
const dev = fc.constantFrom<'softmax' | 'sigmoid'>('softmax', 'sigmoid').chain((activation) =>
  fc
    .array(
      fc.record({
        logits: fc.array(logit, { minLength: 5, maxLength: 5 }),
        first: fc.nat(2),
        second: fc.option(fc.nat(1)),
      }),
      { minLength: 1, maxLength: 30 },
    )
    .map((rows) => {
      const layout = layoutOf(activation, [3, 2])
      const groups = rows.map((row) => (row.second === null ? [0] : [0, 1]))
      const units = rows.map((row) => (row.second === null ? [row.first] : [row.first, 3 + row.second]))
      const active = idSets(groups)
      const right = idSets(units)
      return {
        layout,
        logits: Float32Array.from(rows.flatMap((row) => row.logits)),
        targets: {
          groupOffsets: active.offsets,
          activeGroups: active.ids,
          unitOffsets: right.offsets,
          rightUnits: right.ids,
        },
        rows: rows.map((row, index) => ({ ...row, groups: groups[index]!, units: units[index]! })),
      }
    }),
)

type Dev = typeof dev extends fc.Arbitrary<infer T> ? T : never

/** Negative log-likelihood written as the definition says it. */
function plainNll({ layout, rows, logits }: Dev, temperature: number): number {
  let nll = 0
  for (const [row, { groups, units }] of rows.entries()) {
    for (const group of groups) {
      const { start, end } = layout.groups[group]!
      const z = Array.from({ length: end - start }, (_, i) => logits[row * 5 + start + i]! / temperature)
      const right = z.map((_, i) => units.includes(start + i))
      if (layout.activation === 'softmax') {
        const sum = z.reduce((total, value) => total + Math.exp(value), 0)
        nll -= Math.log(Math.exp(z[right.indexOf(true)]!) / sum)
      } else for (const [i, value] of z.entries()) nll -= Math.log(1 / (1 + Math.exp(right[i] ? -value : value)))
    }
  }
  return nll / rows.length
}

describe('temperature', () => {
  it('is the best of a fine grid, for softmax and sigmoid heads', () => {
    fc.assert(
      fc.property(dev, (data) => {
        const fitted = fitTemperature(data.layout, data.targets, data.logits)
        expect(fitted.nllBefore).toBeCloseTo(plainNll(data, 1), 8)
        expect(fitted.nll).toBeCloseTo(plainNll(data, fitted.temperature), 6)
        const [low, high] = temperatureRange
        for (let i = 0; i <= 200; i++)
          expect(fitted.nll).toBeLessThanOrEqual(plainNll(data, low * (high / low) ** (i / 200)) + 1e-6)
      }),
      { numRuns: 60 },
    )
  })

  it('finds the factor by which logits were inflated', () => {
    // Of 100 rows with logits (ln 3, 0) x 4, 75 are right: the probability 3/4 is right at temperature 4.
    const rows = Array.from({ length: 100 }, (_, row) => (row < 75 ? 0 : 1))
    const logits = Float32Array.from(rows.flatMap(() => [4 * Math.log(3), 0]))
    const { offsets, ids } = idSets(rows.map((unit) => [unit]))
    const active = idSets(rows.map(() => [0]))
    const targets = { groupOffsets: active.offsets, activeGroups: active.ids, unitOffsets: offsets, rightUnits: ids }
    const { temperature } = fitTemperature(layoutOf('softmax', [2]), targets, logits)
    expect(temperature).toBeCloseTo(4, 5)
  })

  it('refuses scores that are not numbers, naming the row', () => {
    const { offsets, ids } = idSets([[0], [1]])
    const targets = { groupOffsets: offsets, activeGroups: new Uint32Array(2), unitOffsets: offsets, rightUnits: ids }
    const layout = layoutOf('softmax', [2])
    expect(() => fitTemperature(layout, targets, Float32Array.of(1, 0, Number.NaN, 1))).toThrow(
      expect.objectContaining({ code: 'SCORES_NAN', data: { row: 1, unit: 0 } }),
    )
    expect(() => fitTemperature(layout, targets, Float32Array.of(1, 0, 1))).toThrow(
      expect.objectContaining({ code: 'EVALUATE_ROWS' }),
    )
  })
})

const flat = LabelTree.fromPaths([['a'], ['b'], ['c']])

/** Few distinct scores, so that ties are common. */
const multiLabel = fc
  .array(
    fc.record({
      scores: fc.array(fc.constantFrom(0, 0.1, 0.25, 0.5, 0.75, 0.9, 1), { minLength: 3, maxLength: 3 }),
      gold: fc.subarray([0, 1, 2]),
    }),
    { minLength: 1, maxLength: 7 },
  )
  .map((rows): { probabilities: ScoredIds; gold: IdSets } => ({
    probabilities: scoredIds(
      rows.map(() => [0, 1, 2]),
      rows.map((row) => row.scores),
    ),
    gold: idSets(rows.map((row) => row.gold)),
  }))

const candidates = [0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.1]

describe('thresholds', () => {
  it('one for all labels is as good as the best of all cuts', () => {
    fc.assert(
      fc.property(multiLabel, ({ probabilities, gold }) => {
        const found = globalThreshold(flat, probabilities, gold)
        expect(found.microF1).toBeCloseTo(microF1At(found.thresholds, probabilities, gold), 12)
        const best = Math.max(...candidates.map((t) => microF1At(new Float64Array(3).fill(t), probabilities, gold)))
        expect(found.microF1).toBeCloseTo(best, 12)
      }),
    )
  })

  it('one a label, unshrunk, is as good as the best of all combinations', () => {
    fc.assert(
      fc.property(multiLabel, ({ probabilities, gold }) => {
        const found = labelThresholds(flat, probabilities, gold, { shrinkage: 0 })
        let best = 0
        for (const a of candidates)
          for (const b of candidates)
            for (const c of candidates) best = Math.max(best, microF1At(Float64Array.of(a, b, c), probabilities, gold))
        expect(found.microF1).toBeCloseTo(best, 12)
      }),
      { numRuns: 60 },
    )
  })

  it('stand between a child and its parent so that what is predicted is closed', () => {
    const tree = LabelTree.fromPaths([
      ['a', 'x'],
      ['a', 'y'],
      ['b', 'z'],
    ])
    const unit = fc.double({ min: 0, max: 1, noNaN: true })
    const row = fc.record({ shares: fc.array(unit, { minLength: 5, maxLength: 5 }), gold: fc.subarray([2, 3, 4]) })
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 10 }), fc.constantFrom(0, 5, 20), (rows, shrinkage) => {
        const scores = rows.map(({ shares: [a, b, x, y, z] }) => [a!, b!, a! * x!, a! * y!, b! * z!])
        const probabilities = scoredIds(
          rows.map(() => [0, 1, 2, 3, 4]),
          scores,
        )
        const gold = idSets(rows.map((item) => item.gold))
        const { thresholds, microF1 } = labelThresholds(tree, probabilities, gold, { shrinkage })
        expect(microF1).toBeCloseTo(microF1At(thresholds, probabilities, closeIdSets(tree, gold)), 12)
        for (const own of scores) {
          const chosen = own.flatMap((score, id) => (score >= thresholds[id]! ? [id] : []))
          expect(tree.closure(chosen)).toEqual(chosen)
        }
      }),
    )
  })

  it('of a rare label stays near the threshold of all', () => {
    // Label c is gold once, at 0.1, where a and b are separated at 0.5.
    const rows = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? [0.9, 0.2, 0] : [0.2, 0.9, 0]))
    rows[0]![2] = 0.1
    const probabilities = scoredIds(
      rows.map(() => [0, 1, 2]),
      rows,
    )
    const gold = idSets(rows.map((_, i) => (i === 0 ? [0, 2] : [i % 2])))
    const eager = labelThresholds(flat, probabilities, gold, { shrinkage: 0 }).thresholds
    const shy = labelThresholds(flat, probabilities, gold, { shrinkage: 19 }).thresholds
    expect(eager[2]).toBeCloseTo(0.05, 12)
    expect(globalThreshold(flat, probabilities, gold).thresholds[2]).toBeCloseTo(0.55, 12)
    expect(shy[2]).toBeCloseTo(0.05 / 20 + (0.55 * 19) / 20, 12)
    expect(eager[0]).toBeCloseTo(0.55, 12)
  })

  it('predicts nothing where nothing is gold, and refuses scores that are not numbers', () => {
    const probabilities = scoredIds([[0, 1]], [[1, 0.5]])
    const { thresholds, microF1 } = globalThreshold(flat, probabilities, idSets([[]]))
    expect(microF1).toBe(0)
    expect(thresholds[0]).toBeGreaterThan(1)
    expect(() => globalThreshold(flat, scoredIds([[0]], [[Number.NaN]]), idSets([[0]]))).toThrow(
      expect.objectContaining({ code: 'SCORES_NAN' }),
    )
  })
})
