import fc from 'fast-check'
import { expect, test } from 'vitest'
import { contingency, normalizedMutualInformation, purity, silhouette } from './cluster-measures.ts'

test('the silhouette of two pairs of points on a line', () => {
  const points = [0, 1, 10, 11]
  const clusters = [0, 0, 1, 1]
  const distance = (i: number, cluster: number) =>
    points.reduce((sum, point, j) => (clusters[j] === cluster ? sum + Math.abs(point - points[i]!) : sum), 0)
  expect(silhouette(clusters, [2, 2], distance)).toBeCloseTo(0.899749, 6)
  expect(silhouette([0, 0], [2], distance)).toBeNaN()
})

test('purity of a worked table', () => {
  expect(
    purity([
      [5, 1],
      [2, 2],
    ]),
  ).toBeCloseTo(0.7, 12) // prettier-ignore
})

test('mutual information is 1 for equal partitions under other numbers, 0 for independent ones, and symmetric', () => {
  expect(normalizedMutualInformation(contingency([0, 0, 1, 1, 2], [2, 2, 0, 0, 1]))).toBeCloseTo(1, 12)
  expect(
    normalizedMutualInformation([
      [2, 2],
      [2, 2],
    ]),
  ).toBeCloseTo(0, 12) // prettier-ignore
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(4), fc.nat(4)), { minLength: 1, maxLength: 40 }), (pairs) => {
      const [a, b] = [pairs.map(([x]) => x), pairs.map(([, y]) => y)]
      const found = normalizedMutualInformation(contingency(a, b))
      expect(found).toBeGreaterThanOrEqual(-1e-9)
      expect(found).toBeLessThanOrEqual(1 + 1e-9)
      expect(normalizedMutualInformation(contingency(b, a))).toBeCloseTo(found, 9)
    }),
  )
})
