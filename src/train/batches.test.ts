import fc from 'fast-check'
import { expect, test } from 'vitest'
import { batchTokens, epochBatches, microBatches, packTokens } from './batches.ts'

const rowsOf = (lengths: number[]) =>
  packTokens(lengths.map((length, row) => Int32Array.from({ length }, (_, i) => row * 100 + i)))
const paddedCells = (batches: Uint32Array[], lengths: number[]) =>
  batches.reduce((sum, batch) => sum + batch.length * Math.max(...Array.from(batch, (row) => lengths[row]!)), 0)

test('every epoch holds each row once, in batches of the asked size but for one', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 80 }),
      fc.integer({ min: 1, max: 12 }),
      fc.nat(5),
      (lengths, size, epoch) => {
        const batches = epochBatches(rowsOf(lengths), size, 3, epoch)
        expect(batches.flatMap((batch) => [...batch]).sort((a, b) => a - b)).toEqual(lengths.map((_, row) => row))
        expect(batches.filter((batch) => batch.length !== size).length).toBeLessThanOrEqual(1)
      },
    ),
  )
})

test('the order depends on seed and epoch, and on nothing else', () => {
  const rows = rowsOf(Array.from({ length: 200 }, (_, i) => 1 + (i % 7)))
  const order = (seed: number, epoch: number) => epochBatches(rows, 8, seed, epoch).map((batch) => [...batch])
  expect(order(1, 2)).toEqual(order(1, 2))
  expect(order(1, 2)).not.toEqual(order(1, 3))
  expect(order(1, 2)).not.toEqual(order(2, 2))
})

test('rows of one length are mixed, also when the file is sorted by label', () => {
  const batches = epochBatches(rowsOf(Array.from({ length: 1000 }, () => 5)), 10, 1, 0)
  // In file order neighbours would be one row apart; in a shuffled order about a third of the file.
  const gaps = batches.flatMap((batch) => Array.from(batch.subarray(1), (row, i) => Math.abs(row - batch[i]!)))
  expect(gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length).toBeGreaterThan(200)
})

test('bucketing removes most of the padding', () => {
  const lengths = Array.from({ length: 2000 }, (_, i) => 5 + ((i * 7919) % 60))
  const rows = rowsOf(lengths)
  const plain = microBatches(
    Uint32Array.from(lengths, (_, row) => row),
    32,
  )
  const tokens = lengths.reduce((sum, length) => sum + length, 0)
  const waste = (batches: Uint32Array[]) => paddedCells(batches, lengths) / tokens - 1
  expect(waste(epochBatches(rows, 32, 1, 0))).toBeLessThan(0.1 * waste(plain))
})

test('the tokens of a batch come in its order', () => {
  expect(batchTokens(rowsOf([2, 3, 1]), Uint32Array.of(2, 0))).toEqual([Int32Array.of(200), Int32Array.of(0, 1)])
})

test('micro-batches cover the batch in order', () => {
  expect(microBatches(Uint32Array.of(5, 1, 4, 2, 3), 2).map((part) => [...part])).toEqual([[5, 1], [4, 2], [3]])
})
