import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LabelTree } from '../labels/label-tree.ts'
import { parseLabelTree } from '../labels/read-label-tree.ts'
import { closeIdSets, idSets, idsOf, scoredIds } from './id-sets.ts'
import { computeMetrics } from './metrics.ts'
import { inversePropensities, propensityScoredPrecisionAt, rankingScores } from './ranking.ts'
import { wuPalmer } from './wu-palmer.ts'

const code = (fn: () => unknown): string => {
  try {
    fn()
  } catch (error) {
    return (error as { code: string }).code
  }
  return 'no error'
}

// Ids: A 0, B 1, A1 2, A2 3, B1 4.
const tree = LabelTree.fromPaths([
  ['A', 'A1'],
  ['A', 'A2'],
  ['B', 'B1'],
])

describe('the worked example', () => {
  const metrics = computeMetrics({
    tree,
    gold: idSets([
      [0, 2],
      [0, 3],
      [1, 4],
    ]),
    predicted: idSets([[0, 2], [1, 3], [1]]),
  })

  it('counts labels', () => {
    expect(tree.nodes.map((node) => node.name)).toEqual(['A', 'B', 'A1', 'A2', 'B1'])
    expect(metrics.n).toBe(3)
    expect(metrics.perLabel.map((label) => label.predicted)).toEqual([1, 2, 1, 1, 0])
    expect(metrics.perLabel.map((label) => label.support)).toEqual([2, 1, 1, 1, 1])
    expect(metrics.perLabel.map((label) => label.precision * label.predicted)).toEqual([1, 1, 1, 1, 0])
    expect(metrics.perLabel[0]).toEqual({
      path: ['A'],
      support: 2,
      predicted: 1,
      precision: 1,
      recall: 0.5,
      f1: expect.closeTo(2 / 3, 12),
    })
  })

  it('gives micro and macro F1', () => {
    expect(metrics.microF1).toBeCloseTo(0.727273, 6)
    expect(metrics.macroF1).toBeCloseTo(0.666667, 6)
  })

  it('gives the path-constrained F1', () => {
    expect(metrics.pathConstrained.microF1).toBeCloseTo(0.545455, 6)
    expect(metrics.pathConstrained.macroF1).toBeCloseTo(0.466667, 6)
  })

  it('gives the strict path F1', () => {
    expect(metrics.pathStrict.raw.microF1).toBeCloseTo(0.5, 6)
    expect(metrics.pathStrict.raw.macroF1).toBeCloseTo(0.333333, 6)
    expect(metrics.pathStrict.penalty).toBeCloseTo(0.755081, 6)
    expect(metrics.pathStrict.microF1).toBeCloseTo(0.377541, 6)
    expect(metrics.pathStrict.macroF1).toBeCloseTo(0.251694, 6)
  })

  it('gives exact matches and hierarchical scores', () => {
    expect(metrics.exactPath).toBeCloseTo(1 / 3, 12)
    for (const value of [metrics.hierarchical.precision, metrics.hierarchical.recall, metrics.hierarchical.f1])
      expect(value).toBeCloseTo(0.833333, 6)
    expect(metrics.hierarchical.perSample.precision).toBeCloseTo(0.888889, 6)
  })

  it('gives levels, leaves, consistency and abstention by hand', () => {
    // Level 1: row 2 says B for A. Level 2: row 3 says nothing for B1. Row 2 has A2 without A.
    expect(metrics.levels.map((level) => level.accuracy)).toEqual([1 - 1 / 3, 1 - 1 / 3])
    expect(metrics.levels[0]).toMatchObject({ level: 1, microF1: 4 / 6, support: 3 })
    expect(metrics.levels[1]!.macroF1).toBeCloseTo(2 / 3, 12)
    expect(metrics.leafAccuracy).toBeCloseTo(2 / 3, 12)
    expect(metrics.consistency).toBeCloseTo(2 / 3, 12)
    expect(metrics.abstained).toBeCloseTo(1 / 3, 12)
    expect(metrics.confusions).toEqual([{ a: ['A'], b: ['B'], count: 1, aAsB: 1, bAsA: 0 }])
  })

  it('gives ranking metrics', () => {
    const gold = idSets([[1, 3, 4]])
    const ranking = idSets([[3, 0, 4, 2, 1]])
    const scores = rankingScores(5, gold, ranking, { ndcg: [1, 3, 5] })
    expect(scores.precisionAt).toEqual({ 1: 1, 3: expect.closeTo(0.666667, 6), 5: expect.closeTo(0.6, 6) })
    expect(scores.ndcgAt).toEqual({ 1: 1, 3: expect.closeTo(0.703918, 6), 5: expect.closeTo(0.88546, 6) })
    expect(scores.recallAt['3']).toBeCloseTo(2 / 3, 12)
    expect(scores.rPrecision).toBeCloseTo(0.666667, 6)
    const weights = inversePropensities([1, 10, 100], 1000)
    expect([...weights].map((weight) => weight.toFixed(6))).toEqual(['6.907755', '3.552147', '1.770430'])
    const q = inversePropensities([0, 1, 0, 100, 10], 1000)
    const psp = propensityScoredPrecisionAt(gold, ranking, q)
    expect(psp['1']).toBeCloseTo(0.256296, 6)
    expect(psp['3']).toBeCloseTo(0.435195, 6)
  })
})

describe('rows with several paths, or none', () => {
  it('count a shared ancestor once: the strict path penalty is clamped at none', () => {
    const sets = idSets([[0, 2, 3]])
    const { pathStrict } = computeMetrics({ tree, gold: sets, predicted: sets })
    expect(pathStrict).toMatchObject({ microF1: 1, penalty: 1 })
  })

  it('agree where nothing is gold and nothing predicted', () => {
    const { hierarchical, exactPath } = computeMetrics({
      tree,
      gold: idSets([[], [2]]),
      predicted: idSets([[], [0]]),
    })
    expect(exactPath).toBe(0.5)
    expect(hierarchical.perSample).toEqual({ precision: 1, recall: 0.75, f1: expect.closeTo((1 + 2 / 3) / 2, 12) })
  })

  it('are not confused with a label that is right as well', () => {
    const gold = idSets([[2, 3]])
    expect(computeMetrics({ tree, gold, predicted: idSets([[0, 3]]) }).confusions).toEqual([])
  })

  it('rank by the ends of the gold paths, over rows that have any', () => {
    const ranking = idSets([[2, 4], [4, 3], [1]])
    const metrics = computeMetrics({
      tree,
      gold: idSets([[0, 2], [3, 4], []]),
      predicted: idSets([[], [], []]),
      ranking,
    })
    expect(metrics.recallAt).toEqual({ 1: (1 + 0.5) / 2, 3: 1, 5: 1 })
    expect(metrics.rPrecision).toBe(1)
  })
})

describe('Wu-Palmer', () => {
  it('puts the root at level 1', () => {
    expect(wuPalmer(tree, 2, 2)).toBe(1)
    expect(wuPalmer(tree, 2, 3)).toBeCloseTo((2 * 2) / 6, 12)
    expect(wuPalmer(tree, 2, 4)).toBeCloseTo((2 * 1) / 6, 12)
    expect(wuPalmer(tree, 0, 2)).toBeCloseTo((2 * 2) / 5, 12)
    expect(wuPalmer(tree, 0, 1)).toBe(0.5)
  })
})

describe('HiClass agrees', () => {
  interface Case {
    parents: Record<string, string | null>
    gold: string[][]
    predicted: string[][]
    scores: Record<'micro' | 'macro', { precision: number; recall: number; f1: number }>
  }
  const fixture = JSON.parse(
    readFileSync(new URL('../../test/fixtures/hiclass/hierarchical.json', import.meta.url), 'utf8'),
  ) as { cases: Case[] }

  it.each(fixture.cases.map((item, index) => [index, item] as const))('on random tree %i', (_, item) => {
    const random = parseLabelTree(item.parents)
    const sets = (rows: string[][]) => idSets(rows.map((row) => row.map((name) => random.resolve([name]))))
    const { hierarchical } = computeMetrics({ tree: random, gold: sets(item.gold), predicted: sets(item.predicted) })
    for (const key of ['precision', 'recall', 'f1'] as const) {
      expect(hierarchical[key]).toBeCloseTo(item.scores.micro[key], 12)
      expect(hierarchical.perSample[key]).toBeCloseTo(item.scores.macro[key], 12)
    }
  })
})

/** A random tree or graph, and rows of random label sets. */
const scene = fc
  .record({ links: fc.array(fc.array(fc.nat(), { maxLength: 2 }), { minLength: 2, maxLength: 25 }) })
  .chain(({ links }) => {
    const map = Object.fromEntries(
      links.map((list, id) => [`n${id}`, id === 0 ? [] : [...new Set(list.map((link) => `n${link % id}`))]]),
    )
    const set = fc.uniqueArray(fc.nat({ max: links.length - 1 }), { maxLength: 5 })
    return fc.record({
      tree: fc.constant(parseLabelTree(map)),
      rows: fc.array(fc.record({ gold: set, predicted: set }), { minLength: 1, maxLength: 12 }),
    })
  })

describe('on random trees', () => {
  it('path-constrained F1 is at most F1, and equal when predictions are closed', () => {
    fc.assert(
      fc.property(scene, ({ tree, rows }) => {
        const gold = idSets(rows.map((row) => row.gold))
        const raw = idSets(rows.map((row) => row.predicted))
        const open = computeMetrics({ tree, gold, predicted: raw })
        expect(open.pathConstrained.microF1).toBeLessThanOrEqual(open.microF1)
        expect(open.pathConstrained.macroF1).toBeLessThanOrEqual(open.macroF1)
        const closed = computeMetrics({ tree, gold, predicted: closeIdSets(tree, raw) })
        expect(closed.pathConstrained).toEqual({ microF1: closed.microF1, macroF1: closed.macroF1 })
        expect(closed.consistency).toBe(1)
        expect(closed.hierarchical.f1).toBeCloseTo(closed.microF1, 12)
        expect(closed.hierarchical).toEqual(open.hierarchical)
      }),
    )
  })

  it('a perfect prediction scores 1', () => {
    fc.assert(
      fc.property(scene, ({ tree, rows }) => {
        const gold = idSets(rows.map((row) => [...row.gold, ...(row.gold.length === 0 ? [0] : [])]))
        const predicted = closeIdSets(tree, gold)
        const metrics = computeMetrics({ tree, gold, predicted })
        const occurring = metrics.perLabel.filter((label) => label.support > 0).length
        expect(metrics.microF1).toBe(1)
        expect(metrics.macroF1).toBeCloseTo(occurring / tree.size, 12)
        expect(metrics).toMatchObject({ exactPath: 1, leafAccuracy: 1, consistency: 1, confusions: [] })
        expect(metrics.hierarchical).toEqual({
          precision: 1,
          recall: 1,
          f1: 1,
          perSample: { precision: 1, recall: 1, f1: 1 },
        })
        expect(metrics.levels.every((level) => level.accuracy === 1)).toBe(true)
        if (metrics.abstained < 1 && tree.isTree) expect(metrics.pathStrict.raw.microF1).toBe(1)
      }),
    )
  })

  it('the order of rows and of labels in a row does not matter', () => {
    fc.assert(
      fc.property(scene, ({ tree, rows }) => {
        const forward = computeMetrics({
          tree,
          gold: idSets(rows.map((row) => row.gold)),
          predicted: idSets(rows.map((row) => row.predicted)),
        })
        const turned = [...rows].reverse()
        const backward = computeMetrics({
          tree,
          gold: idSets(turned.map((row) => [...row.gold].reverse())),
          predicted: idSets(turned.map((row) => [...row.predicted].reverse())),
        })
        const digits = (value: unknown) =>
          JSON.parse(JSON.stringify(value, (_, item) => (typeof item === 'number' ? Number(item.toFixed(10)) : item)))
        expect(digits(backward)).toEqual(digits(forward))
      }),
    )
  })

  it('agrees with sets, counted the slow way', () => {
    fc.assert(
      fc.property(scene, ({ tree, rows }) => {
        const gold = idSets(rows.map((row) => row.gold))
        const predicted = idSets(rows.map((row) => row.predicted))
        const metrics = computeMetrics({ tree, gold, predicted })
        const closed = closeIdSets(tree, gold)
        const pairs = rows.map((_, row) => ({
          gold: new Set(idsOf(closed, row)),
          predicted: new Set(idsOf(predicted, row)),
        }))
        for (const [row, pair] of pairs.entries())
          expect([...pair.gold].sort((a, b) => a - b)).toEqual(tree.closure(rows[row]!.gold))
        const same = (keep: (id: number) => boolean) =>
          pairs.filter((pair) =>
            tree.nodes.every(({ id }) => !keep(id) || pair.gold.has(id) === pair.predicted.has(id)),
          ).length / rows.length
        expect(metrics.exactPath).toBeCloseTo(
          same(() => true),
          12,
        )
        expect(metrics.leafAccuracy).toBeCloseTo(
          same((id) => tree.nodes[id]!.children.length === 0),
          12,
        )
        for (const { level, accuracy } of metrics.levels)
          expect(accuracy).toBeCloseTo(
            same((id) => tree.nodes[id]!.level === level),
            12,
          )
        const count = (of: (pair: (typeof pairs)[0], id: number) => boolean, id: number) =>
          pairs.filter((pair) => of(pair, id)).length
        for (const { id } of tree.nodes) {
          expect(metrics.perLabel[id]!.support).toBe(count((pair) => pair.gold.has(id), id))
          expect(metrics.perLabel[id]!.predicted).toBe(count((pair) => pair.predicted.has(id), id))
        }
        const closedRows = pairs.filter((pair) => tree.closure(pair.predicted).length === pair.predicted.size).length
        expect(metrics.consistency).toBeCloseTo(closedRows / rows.length, 12)
      }),
    )
  })
})

describe('probabilities', () => {
  const gold = idSets([[2], [3], [4]])

  it('measure calibration, rankings and likelihood by hand', () => {
    const metrics = computeMetrics({
      tree,
      gold,
      predicted: scoredIds(
        [
          [0, 2],
          [1, 4],
          [1, 4],
        ],
        [
          [0.95, 0.9],
          [0.7, 0.6],
          [0.99, 0.6],
        ],
      ),
      ranking: scoredIds(
        [
          [2, 3],
          [4, 3],
          [4, 2],
        ],
        [
          [0.9, 0.05],
          [0.6, 0.3],
          [0.6, 0.2],
        ],
      ),
      logLikelihoods: Float64Array.from([0.9, 0.3, 0.6], Math.log),
      training: { counts: [2, 1, 1, 1, 1], rows: 10 },
    })
    // 0.9 was right: a bin of its own; 0.6 was right once in two.
    expect(metrics.ece).toBeCloseTo((Math.abs(0.9 - 1) + Math.abs(1.2 - 1)) / 3, 12)
    expect(metrics.brier).toBeCloseTo((0.1 ** 2 + 0.6 ** 2 + 0.4 ** 2) / 3, 12)
    expect(metrics.reliability).toHaveLength(15)
    expect(metrics.reliability![8]).toEqual({
      from: 8 / 15,
      to: 9 / 15,
      count: 2,
      confidence: expect.closeTo(0.6, 12),
      accuracy: 0.5,
    })
    expect(metrics.nll).toBeCloseTo(-(Math.log(0.9) + Math.log(0.3) + Math.log(0.6)) / 3, 12)
    expect(metrics.precisionAt).toEqual({ 1: 2 / 3, 3: expect.closeTo(1 / 3, 12), 5: expect.closeTo(1 / 5, 12) })
    expect(metrics.recallAt!['3']).toBe(1)
    expect(metrics.ndcgAt!['3']).toBeCloseTo((2 + 1 / Math.log2(3)) / 3, 12)
    expect(metrics.propensityScoredPrecisionAt!['3']).toBeCloseTo(1, 12)
  })

  it('judge a path that stops early by what it says', () => {
    const metrics = computeMetrics({ tree, gold, predicted: scoredIds([[0], [1], []], [[0.8], [0.5], []]) })
    expect(metrics.brier).toBeCloseTo((0.2 ** 2 + 0.5 ** 2) / 2, 12)
    expect(metrics.abstained).toBe(1)
  })

  it.each<[string, () => unknown]>([
    ['DATA_EMPTY', () => computeMetrics({ tree, gold: idSets([]), predicted: idSets([]) })],
    ['EVALUATE_ROWS', () => computeMetrics({ tree, gold, predicted: idSets([[2]]) })],
    ['EVALUATE_LABEL', () => computeMetrics({ tree, gold, predicted: idSets([[2], [3], [5]]) })],
    ['EVALUATE_LABEL', () => computeMetrics({ tree, gold, predicted: idSets([[2], [3], [4, 4]]) })],
    [
      'SCORES_NAN',
      () => computeMetrics({ tree, gold, predicted: scoredIds([[2], [3], [4]], [[1], [Number.NaN], [1]]) }),
    ],
    [
      'SCORES_NAN',
      () =>
        computeMetrics({ tree, gold, predicted: gold, ranking: scoredIds([[2], [3], [4]], [[1], [1], [Number.NaN]]) }),
    ],
    [
      'SCORES_NAN',
      () => computeMetrics({ tree, gold, predicted: gold, logLikelihoods: Float64Array.of(-1, Number.NaN, 0) }),
    ],
    ['PROBABILITY_RANGE', () => computeMetrics({ tree, gold, predicted: scoredIds([[2], [3], [4]], [[1], [7], [1]]) })],
    [
      'PROBABILITY_RANGE',
      () => computeMetrics({ tree, gold, predicted: gold, logLikelihoods: Float64Array.of(-1, 2, 0) }),
    ],
  ])('refuses with %s', (expected, fn) => {
    expect(code(fn)).toBe(expected)
  })

  it('names the row of a score that is not a number', () => {
    expect(() =>
      computeMetrics({ tree, gold, predicted: scoredIds([[2], [], [1, 4]], [[1], [], [0.5, Number.NaN]]) }),
    ).toThrow(expect.objectContaining({ code: 'SCORES_NAN', data: { row: 2, id: 4 } }))
  })
})

describe('confusions', () => {
  it('count both directions at the place where the paths part', () => {
    const gold = idSets([[2], [3], [2], [4]])
    const predicted = idSets([
      [0, 3],
      [0, 2],
      [0, 3],
      [0, 2],
    ])
    expect(computeMetrics({ tree, gold, predicted }).confusions).toEqual([
      { a: ['A', 'A1'], b: ['A', 'A2'], count: 3, aAsB: 2, bAsA: 1 },
      { a: ['A'], b: ['B'], count: 1, aAsB: 0, bAsA: 1 },
    ])
  })
})
