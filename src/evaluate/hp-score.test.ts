import { expect, it } from 'vitest'
import { hpScore, type Ladder } from './hp-score.ts'

/** Items are the level that solves them. */
const ladder = (asked: string[] = []): Ladder<number> =>
  [1, 2, 3, 4, 5].map((level) => async (item) => {
    asked.push(`${item}@${level}`)
    return { answer: `level ${level}`, solved: level >= item }
  })

it('scores the level that solves an item, and five plus the penalty where none does', async () => {
  const { score, solved, levels, items } = await hpScore([1, 2, 1, 9], ladder(), { penalty: 1.71 })
  expect(score).toBeCloseTo(2.6775, 12)
  expect(solved).toBe(0.75)
  expect(levels).toEqual([2, 1, 0, 0, 0])
  expect(items[3]).toEqual({ level: undefined, rounds: 5, score: 6.71, answer: 'level 5' })
})

it('adds the round in the adaptive framework', async () => {
  const asked = ['level 1', 'level 3']
  const { score, items } = await hpScore([3], ladder(), {
    penalty: 1,
    select: async (_, last) => (last === undefined ? 1 : 3),
  })
  expect(score).toBe(5)
  expect(items[0]).toMatchObject({ level: 3, rounds: 2, answer: asked[1] })
})

it('wastes a round on a level that does not exist, and asks a level only once', async () => {
  const asked: string[] = []
  const choices = [0, 6, 2, 2, 2]
  const { items } = await hpScore([4], ladder(asked), { penalty: 2, select: async () => choices.shift()! })
  expect(items[0]).toEqual({ level: undefined, rounds: 5, score: 7, answer: 'level 2' })
  expect(asked).toEqual(['4@2'])
})

it('stops when asked to, and refuses what cannot be rated', async () => {
  await expect(hpScore([], ladder(), { penalty: 1 })).rejects.toMatchObject({ code: 'DATA_EMPTY' })
  await expect(hpScore([1], [], { penalty: 1 })).rejects.toMatchObject({ code: 'OPTION_RANGE' })
  await expect(hpScore([1], ladder(), { penalty: Number.NaN })).rejects.toMatchObject({ code: 'OPTION_RANGE' })
  await expect(hpScore([1], ladder(), { penalty: 1, signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: 'INTERRUPTED',
  })
})
