import fc from 'fast-check'
import { expect, it } from 'vitest'
import { descending } from './descending.ts'

it('orders from the largest to the smallest, equal values by their index', () => {
  expect([...descending(Float32Array.of(0.5, 2, 0, 2, 1e-42, 0))]).toEqual([1, 3, 0, 4, 2, 5])
  expect([...descending(new Float32Array())]).toEqual([])
  fc.assert(
    fc.property(fc.array(fc.constantFrom(0, 1e-40, 0.25, 0.5, 1, 3e38)), (list) => {
      const values = Float32Array.from(list)
      const expected = list.map((_, i) => i).sort((a, b) => values[b]! - values[a]! || a - b)
      expect([...descending(values)]).toEqual(expected)
    }),
  )
})
