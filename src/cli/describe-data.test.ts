import { expect, it } from 'vitest'
import { datasetOf } from '../data/dataset.ts'
import { describeData } from './describe-data.ts'

it('counts rows, labels, lengths and repetitions', async () => {
  const data = datasetOf([
    { text: 'one', labels: [['a', 'x']] },
    { text: 'one', labels: [['a', 'x']] },
    { text: 'one', labels: [['b']] },
    { text: 'three', labels: [['a']] },
    { text: 'of two', labels: [['a', 'x'], ['b']] },
    { text: 'of two', labels: [['b'], ['a', 'x']] },
    { text: 'none', labels: [] },
  ])
  const { tree, first, ...rest } = await describeData(data)
  expect(rest).toEqual({
    rows: 7,
    unlabelled: 1,
    multiLabel: 2,
    partial: 1,
    repeated: 3,
    contradictory: 1,
    characters: { least: 3, median: 4, p95: 6, most: 6 },
    labels: [
      { path: ['a', 'x'], rows: 4 },
      { path: ['b'], rows: 3 },
      { path: ['a'], rows: 1 },
    ],
  })
  expect(tree!.size).toBe(3)
  expect(first.map(({ text }) => text)).toEqual(['one', 'one', 'one'])
})
