import { expect, test } from 'vitest'
import { checkSchedule, learningRateFactor, warmUpSteps } from './schedule.ts'

const factors = (name: 'constant' | 'linear' | 'cosine', warmUp: number, steps: number) =>
  Array.from({ length: steps }, (_, i) => learningRateFactor({ name, warmUp }, i + 1, steps))

test('linear: up to the full rate, then down in equal steps', () => {
  expect(factors('linear', 2, 6)).toEqual([0.5, 1, 1, 0.75, 0.5, 0.25])
})

test('constant keeps the full rate after the warm-up', () => {
  expect(factors('constant', 4, 6)).toEqual([0.25, 0.5, 0.75, 1, 1, 1])
})

test('cosine: half way down at half of the rest', () => {
  const values = factors('cosine', 0, 4)
  expect(values[0]).toBe(1)
  expect(values[1]).toBeCloseTo((1 + Math.SQRT1_2) / 2, 12)
  expect(values[2]).toBeCloseTo(0.5, 12)
  expect(values[3]).toBeCloseTo((1 - Math.SQRT1_2) / 2, 12)
})

test('a warm-up below 1 is a share of all steps', () => {
  expect(warmUpSteps(0.1, 468)).toBe(47)
  expect(warmUpSteps(100, 468)).toBe(100)
  expect(factors('linear', 0.5, 4)).toEqual([0.5, 1, 1, 0.5])
})

test('one step, and a warm-up longer than training, stay finite', () => {
  expect(factors('linear', 0, 1)).toEqual([1])
  expect(factors('cosine', 10, 2)).toEqual([0.1, 0.2])
})

test('bad warm-ups and names are refused', () => {
  expect(() => checkSchedule({ name: 'linear', warmUp: -0.1 })).toThrow(/-0.1/)
  expect(() => checkSchedule({ name: 'linear', warmUp: 1.5 })).toThrow(/whole number/)
  expect(() => checkSchedule({ name: 'step' as 'linear', warmUp: 0 })).toThrow(/step/)
})
