import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fewShotPaths } from './few-shot-paths.ts'

const rowsOf = (sizes: Record<string, number>) =>
  Object.entries(sizes).flatMap(([leaf, size]) =>
    Array.from({ length: size }, (_, i) => ({ text: `${leaf} ${i}`, labels: [['top', leaf]] })),
  )
const count = (rows: { labels: readonly (readonly string[])[] }[], leaf: string) =>
  rows.filter(({ labels }) => labels.some((path) => path[1] === leaf)).length

test('every path has k training and k development texts, no text in both', () => {
  const { train, dev, short } = fewShotPaths(rowsOf({ a: 20, b: 8, c: 50 }), { k: 4, seed: 3 })
  for (const leaf of ['a', 'b', 'c']) {
    expect(count(train, leaf)).toBe(4)
    expect(count(dev, leaf)).toBe(4)
  }
  expect(short).toEqual([])
  const texts = new Set(train.map(({ text }) => text))
  expect(dev.some(({ text }) => texts.has(text))).toBe(false)
})

test('a path with too few rows gives what it has, and is named', () => {
  const { train, dev, short } = fewShotPaths(rowsOf({ a: 20, b: 3 }), { k: 4 })
  expect(count(train, 'b')).toBe(3)
  expect(count(dev, 'b')).toBe(0)
  expect(short).toEqual([{ path: ['top', 'b'], rows: 3 }])
})

test('a row of several paths counts for each of them', () => {
  const both = Array.from({ length: 6 }, (_, i) => ({
    text: `both ${i}`,
    labels: [
      ['top', 'a'],
      ['top', 'b'],
    ],
  }))
  const { train } = fewShotPaths(both, { k: 2, dev: 0 })
  expect(train).toHaveLength(2)
})

test('the draw depends on the seed and the texts, not on the order of the rows; equal texts are drawn once', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(40), fc.nat(4)), { minLength: 1, maxLength: 60 }),
      fc.nat(1000),
      (pairs, seed) => {
        const rows = pairs.map(([text, leaf]) => ({ text: `text ${text}`, labels: [['top', `l${leaf}`]] }))
        const sets = [rows, [...rows].reverse()].map((list) =>
          fewShotPaths(list, { k: 2, seed })
            .train.map(({ text }) => text)
            .sort(),
        )
        expect(sets[1]).toEqual(sets[0])
        expect(new Set(sets[0]).size).toBe(sets[0]!.length)
      },
    ),
  )
  const rows = rowsOf({ a: 100 })
  expect(fewShotPaths(rows, { k: 5, seed: 0 }).train).not.toEqual(fewShotPaths(rows, { k: 5, seed: 1 }).train)
})

test('bad numbers and rows without labels are refused', () => {
  expect(() => fewShotPaths(rowsOf({ a: 2 }), { k: 0 })).toThrow(expect.objectContaining({ code: 'OPTION_RANGE' }))
  expect(() => fewShotPaths([{ text: 'x', labels: [] }], { k: 1 })).toThrow(
    expect.objectContaining({ code: 'DATA_EMPTY' }),
  )
})
