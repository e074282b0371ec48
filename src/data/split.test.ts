import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readDataset } from './dataset.ts'
import { type Split, splitRows } from './split.ts'

const rowsOf = (labels: readonly string[][], texts = labels.map((_, index) => `text ${index}`)) =>
  labels.map((names, index) => ({ text: texts[index]!, labels: names.map((name) => [name]), index }))

const table = fc.array(fc.tuple(fc.nat(40), fc.subarray(['a', 'b', 'c', 'd', 'e'])), { minLength: 5, maxLength: 120 })
const sizes = fc.record({ dev: fc.constantFrom(0, 0.1, 0.3, 2), test: fc.constantFrom(0, 0.2, 1), seed: fc.nat(5) })
const made = table.map((rows) =>
  rowsOf(
    rows.map(([, names]) => names),
    rows.map(([text]) => `text ${text}`),
  ),
)

type Rows = ReturnType<typeof rowsOf>
const parts = (split: Split<Rows[number]>) => [split.train, split.dev, split.test]

describe('any rows', () => {
  test('parts are disjoint, complete, in order, and at most as large as asked for', () => {
    fc.assert(
      fc.property(made, sizes, (rows, options) => {
        const split = splitRows(rows, options)
        const indices = parts(split).map((part) => part.map(({ index }) => index))
        expect(indices.flat().sort((a, b) => a - b)).toEqual(rows.map(({ index }) => index))
        for (const part of indices) expect(part).toEqual([...part].sort((a, b) => a - b))
        const asked = (size: number) => (size < 1 ? Math.round(size * rows.length) : size)
        expect(split.dev.length).toBeLessThanOrEqual(asked(options.dev))
        expect(split.test.length).toBeLessThanOrEqual(asked(options.test))
      }),
    )
  })

  test('rows of one text stay together, and every label keeps a row in train', () => {
    fc.assert(
      fc.property(made, sizes, (rows, options) => {
        const split = splitRows(rows, options)
        const sides = parts(split).map((part) => new Set(part.map(({ text }) => text)))
        for (const text of new Set(rows.map((row) => row.text)))
          expect(sides.filter((side) => side.has(text))).toHaveLength(1)
        const labels = (part: Rows) => new Set(part.flatMap((row) => row.labels.map(([name]) => name)))
        expect(labels(split.train)).toEqual(labels(rows))
      }),
    )
  })

  test('the order of the rows does not matter; the seed does', () => {
    fc.assert(
      fc.property(made, sizes, fc.nat(), (rows, options, turn) => {
        const turned = [...rows.slice(turn % rows.length), ...rows.slice(0, turn % rows.length)].reverse()
        const textsOf = (split: Split<Rows[number]>) => parts(split).map((part) => part.map(({ text }) => text).sort())
        expect(textsOf(splitRows(turned, options))).toEqual(textsOf(splitRows(rows, options)))
      }),
    )
    const rows = rowsOf(Array.from({ length: 100 }, () => ['a']))
    const devOf = (seed: number) => splitRows(rows, { dev: 10, seed }).dev.map(({ index }) => index)
    expect(devOf(1)).not.toEqual(devOf(2))
    expect(devOf(1)).toEqual(devOf(1))
  })
})

test('label sets keep their shares', () => {
  const labels = [
    ...Array.from({ length: 700 }, () => ['a']),
    ...Array.from({ length: 295 }, () => ['b']),
    ...Array.from({ length: 5 }, () => ['c']),
  ]
  const { train, dev, test: held } = splitRows(rowsOf(labels), { dev: 0.2, test: 0.2, seed: 3 })
  for (const part of [dev, held]) {
    const count = (name: string) => part.filter((row) => row.labels[0]![0] === name).length
    expect([count('a'), count('b'), count('c')]).toEqual([140, 59, 1])
  }
  expect(train).toHaveLength(600)
})

test('without stratification the size is exact and labels play no part', () => {
  const rows = rowsOf(Array.from({ length: 50 }, (_, index) => [`own ${index}`]))
  expect(splitRows(rows, { dev: 0.1, seed: 1, stratify: false }).dev).toHaveLength(5)
  expect(splitRows(rows, { dev: 0.1, seed: 1 }).dev).toHaveLength(0)
})

test('a bundled set: a tenth of every intent', async () => {
  const rows = await (
    await readDataset(new URL('../../data/clinc150/train.jsonl.gz', import.meta.url).pathname)
  ).collect()
  const { train, dev } = splitRows(rows, { dev: 0.1, seed: 7 })
  expect(dev.length).toBe(1500)
  expect(train.length).toBe(13_500)
  const counts = new Map<string, number>()
  for (const { labels } of dev) counts.set(labels[0]![1]!, (counts.get(labels[0]![1]!) ?? 0) + 1)
  expect([...counts.values()].every((count) => count === 10)).toBe(true)
})

test.each([-0.1, Number.NaN, 1.5, 100, 0.9999999])('a dev size of %d is refused', (dev) => {
  const rows = rowsOf(Array.from({ length: 20 }, () => ['a']))
  expect(() => splitRows(rows, { dev, seed: 1 })).toThrow(expect.objectContaining({ code: 'SPLIT_SIZE', exitCode: 2 }))
})
