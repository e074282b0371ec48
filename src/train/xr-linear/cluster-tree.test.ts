import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nodeCount, slotsOf } from '../../models/xr-tree.ts'
import { random } from '../../tensor/random.ts'
import { clusterTree } from './cluster-tree.ts'
import { labelVectors } from './label-vectors.ts'

/** Labels in `groups` groups; the labels of a group share four of their six features. */
function grouped(labels: number, groups: number) {
  const r = random('grouped', labels)
  const columns: number[] = []
  for (let label = 0; label < labels; label++) {
    const group = label % groups
    const own = [...[0, 1, 2, 3].map((i) => group * 4 + i), groups * 4 + 2 * label, groups * 4 + 2 * label + 1]
    columns.push(...own)
  }
  return {
    features: groups * 4 + 2 * labels,
    vectors: {
      offsets: Uint32Array.from({ length: labels + 1 }, (_, i) => i * 6),
      columns: Uint32Array.from(columns),
      values: Float32Array.from(columns, (_, i) => (0.9 + 0.2 * r.uniform(i)) / Math.sqrt(6)),
    },
  }
}

test('every label stands in the tree once, and no last node holds more than the leaf size', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 2, max: 300 }),
      fc.integer({ min: 2, max: 20 }),
      fc.integer({ min: 1, max: 4 }),
      async (labels, leafSize, step) => {
        const { vectors, features } = grouped(labels, 5)
        const tree = await clusterTree(vectors, features, { branching: 2 ** step, leafSize, seed: 1 })
        const slots = slotsOf(tree)
        expect([...slots.units].sort((a, b) => a - b)).toEqual(Array.from({ length: labels }, (_, i) => i))
        for (let node = 0; node < nodeCount(tree); node++) {
          const children = tree.childStart[node + 1]! - tree.childStart[node]!
          const isLast = tree.targets[tree.childStart[node]!]! >= nodeCount(tree)
          expect(children).toBeLessThanOrEqual(isLast ? leafSize : 2 ** step)
        }
      },
    ),
    { numRuns: 50 },
  )
})

test('labels that share features come to stand together', async () => {
  const { vectors, features } = grouped(64, 4)
  const tree = await clusterTree(vectors, features, { branching: 4, leafSize: 16, seed: 0 })
  const { units } = slotsOf(tree)
  let together = 0
  for (let part = 0; part < 4; part++) {
    const groups = Array.from(units.subarray(part * 16, (part + 1) * 16), (unit) => unit % 4)
    together += Math.max(...[0, 1, 2, 3].map((group) => groups.filter((own) => own === group).length))
  }
  // In an arbitrary order it would be about 28 of 64. Means that begin badly can end with two groups mixed, so 64 is not certain.
  expect(together).toBeGreaterThanOrEqual(48)
})

test('label vectors are normalised sums of rows, cut to the strongest features', () => {
  const matrix = {
    offsets: Uint32Array.of(0, 2, 4),
    columns: Uint32Array.of(0, 1, 1, 2),
    values: Float32Array.of(3, 1, 1, 1),
  }
  const units = { offsets: Uint32Array.of(0, 2, 3, 3), rows: Uint32Array.of(0, 1, 1) }
  const all = labelVectors(matrix, units, 3, 8)
  expect([...all.offsets]).toEqual([0, 3, 5, 5])
  expect([...all.columns]).toEqual([0, 1, 2, 1, 2])
  const norm = Math.hypot(3, 2, 1)
  for (const [i, value] of [3 / norm, 2 / norm, 1 / norm, Math.SQRT1_2, Math.SQRT1_2].entries())
    expect(all.values[i]).toBeCloseTo(value, 6)
  expect([...labelVectors(matrix, units, 3, 2).columns]).toEqual([0, 1, 1, 2])
})
