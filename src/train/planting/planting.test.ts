import { expect, test } from 'vitest'
import type { HeadTargets } from '../../labels/head-layout.ts'
import { packTokens } from '../batches.ts'
import { relevanceGrades } from './grades.ts'
import { gainOf, idealGain, listLambdas, pairLambda } from './lambda-rank.ts'
import { informationJaccard, mutualInformation, tokenInformation } from './token-information.ts'
import { trainRanker } from './train-ranker.ts'

test('mutual information and its Jaccard', () => {
  const counts = { both: 3, token: 4, label: 4, rows: 10 }
  const entropy = -(0.4 * Math.log(0.4) + 0.6 * Math.log(0.6))
  expect(entropy).toBeCloseTo(0.673012, 6)
  expect(mutualInformation(counts)).toBeCloseTo(0.177741, 6)
  expect(mutualInformation(counts) / entropy).toBeCloseTo(0.264098, 6)
  expect(informationJaccard(counts)).toBeCloseTo(0.152139, 6)
  expect(informationJaccard({ both: 2, token: 4, label: 5, rows: 10 })).toBeCloseTo(0, 12)
  expect(informationJaccard({ both: 4, token: 4, label: 4, rows: 10 })).toBeCloseTo(1, 12)
  expect(informationJaccard({ both: 4, token: 10, label: 4, rows: 10 })).toBe(0)
})

test('the table counts rows, in chunks of units, and keeps tokens that speak for a unit only', () => {
  // Token 1 in rows 0-3, one of them twice; unit 70 in rows 0-2 and 9, unit 1 everywhere else: token 1 speaks against it.
  const rows = packTokens(Array.from({ length: 10 }, (_, row) => Int32Array.of(...(row < 4 ? [0, 1, 1] : [0]))))
  const right = Array.from({ length: 10 }, (_, row) => (row < 3 || row === 9 ? 70 : 1))
  const targets: HeadTargets = {
    groupOffsets: new Uint32Array(11),
    activeGroups: new Uint32Array(0),
    unitOffsets: Uint32Array.from({ length: 11 }, (_, row) => row),
    rightUnits: Uint32Array.from(right),
  }
  const table = tokenInformation(rows, targets, 71, 3)
  expect(table[71 + 70]).toBeCloseTo(0.152139, 6)
  expect(table.filter((value) => value > 0)).toHaveLength(1)
  expect(tokenInformation(rows, targets, 71, 3, 5).every((value) => value === 0)).toBe(true)
})

test('grades follow the logarithm of the rank', () => {
  const values = Float32Array.from({ length: 1001 }, (_, i) => (i < 900 ? 1000 - i : 0))
  values[1] = values[0]!
  const grades = relevanceGrades(values)
  expect([grades[0], grades[1]]).toEqual([101, 101])
  // Rank 10 of 1000 is a share of 1e-2: edge 50 of 0 and 1e-4 ... 1 is 10^(-4 + 4 * 49 / 99) = 0.0095, edge 51 is 0.0105.
  expect(grades[10]).toBe(101 - 51)
  expect(grades[899]).toBe(2)
  expect([...grades.subarray(900)].every((grade) => grade === 0)).toBe(true)
})

test('the push of a pair, and what swapping it would change', () => {
  expect(pairLambda(1, 0, -1)).toBeCloseTo(0.31123, 6)
  // Grades 0 and 1 with gains 2^0 and 2^1.
  const lambdas = new Float64Array(2)
  const ndcg = listLambdas(Float64Array.of(1, 0), Float64Array.of(1, 2), 6, lambdas)!
  expect(lambdas[0]! / pairLambda(1, 0, -1)).toBeCloseTo(0.14028, 5)
  expect(lambdas[1]).toBeCloseTo(-lambdas[0]!, 12)
  expect(ndcg).toBeCloseTo((1 + 2 / Math.log2(3)) / (2 + 1 / Math.log2(3)), 12)
  expect(gainOf(0)).toBe(0)
  expect(idealGain([1, 3, 2], 2)).toBeCloseTo(3 + 2 / Math.log2(3), 12)
  expect(listLambdas(Float64Array.of(1, 0), Float64Array.of(0, 0), 6, lambdas)).toBeUndefined()
  expect([...lambdas]).toEqual([0, 0])
})

test('the ranker puts the informative tokens first, and is the same again', async () => {
  const [units, vocabulary] = [6, 200]
  const information = new Float32Array(vocabulary * units)
  for (let unit = 0; unit < units; unit++)
    for (let i = 0; i < 10; i++) information[(unit * 10 + i) * units + unit] = 0.3 - 0.02 * i
  const options = { factors: 16, epochs: 60, learningRate: 0.3, seed: 3 }
  const ranker = await trainRanker(information, units, options)
  for (let unit = 0; unit < units; unit++) {
    const scores = Array.from({ length: vocabulary }, (_, token) => {
      let score = ranker.tokenBias[token]!
      for (let k = 0; k < 16; k++) score += ranker.tokens[token * 16 + k]! * ranker.units[unit * 16 + k]!
      return score
    })
    const best = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]!).slice(0, 6)
    for (const token of best) expect(Math.floor(token / 10)).toBe(unit)
  }
  expect(ranker.ndcg).toBeGreaterThan(0.8)
  // Tokens that say nothing for any unit are not ranked.
  expect(ranker.tokens.subarray(60 * 16).every((value) => value === 0)).toBe(true)
  expect(await trainRanker(information, units, options)).toEqual(ranker)
})

test('a learning rate that is too high is told, and gives no NaN', async () => {
  const information = Float32Array.from({ length: 300 * 8 }, (_, i) => (i % 7) / 10)
  const options = { factors: 16, epochs: 20, learningRate: 1e6, seed: 0 }
  await expect(trainRanker(information, 8, options)).rejects.toMatchObject({ code: 'LOSS_NOT_FINITE' })
})

test('the ranker stops when it is asked to', async () => {
  const information = new Float32Array(4000 * 20).fill(0.1)
  const signal = AbortSignal.abort()
  await expect(
    trainRanker(information, 20, { factors: 16, epochs: 50, learningRate: 0.1, seed: 0, signal }),
  ).rejects.toMatchObject({ code: 'INTERRUPTED' })
})
