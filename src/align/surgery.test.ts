import { beforeAll, describe, expect, it } from 'vitest'
import { type Matrix, MatrixKernels, matrix, multiply } from '../tensor/linear-algebra/index.ts'
import { random } from '../tensor/random.ts'
import { logitsOf } from './distill-head.ts'
import { distance, fitRepair, foldRepair, repaired } from './repair-vectors.ts'

let kernels: MatrixKernels
beforeAll(async () => {
  kernels = await MatrixKernels.open()
})
const drawn = (rows: number, columns: number, key: string): Matrix => {
  const normals = random('surgery', key)
  return matrix(
    rows,
    columns,
    Float64Array.from({ length: rows * columns }, (_, i) => normals.normal(i)),
  )
}

describe('representation surgery', () => {
  it('finds a planted map of low rank with a shift', () => {
    const merged = drawn(60, 8, 'z')
    const planted = {
      up: drawn(8, 1, 'up'),
      down: drawn(1, 8, 'down'),
      shift: Float64Array.from({ length: 8 }, (_, i) => i / 8),
    }
    const expert = repaired(kernels, merged, planted)
    const found = fitRepair(kernels, merged, expert, { rank: 2, steps: 1500, learningRate: 5e-3 })
    expect(distance(repaired(kernels, merged, found), expert)).toBeLessThan(0.05 * distance(merged, expert))
    const unseen = drawn(20, 8, 'others')
    const rest = distance(repaired(kernels, unseen, found), repaired(kernels, unseen, planted))
    expect(rest).toBeLessThan(0.1 * distance(unseen, repaired(kernels, unseen, planted)))
  })

  it('is nothing where nothing is wrong, or no step is made', () => {
    const z = drawn(10, 4, 'same')
    for (const steps of [0, 50]) {
      const found = fitRepair(kernels, z, z, { rank: 2, steps, learningRate: 1e-3 })
      expect(distance(repaired(kernels, z, found), z)).toBe(0)
    }
  })

  it('is taken up by the head', () => {
    const [z, head] = [drawn(5, 6, 'v'), { weight: drawn(3, 6, 'w'), bias: Float64Array.of(1, 2, 3) }]
    const repair = { up: drawn(6, 2, 'u'), down: drawn(2, 6, 'd'), shift: drawn(1, 6, 's').data }
    const folded = logitsOf(kernels, z, foldRepair(kernels, head, repair))
    const expected = logitsOf(kernels, repaired(kernels, z, repair), head)
    for (const [i, value] of folded.data.entries()) expect(value).toBeCloseTo(expected.data[i]!, 9)
  })

  it('follows the gradient of the mean absolute difference', () => {
    const [z, target] = [drawn(7, 3, 'g'), drawn(7, 3, 't')]
    // One step of Adam moves every value by the learning rate, against the sign of its slope; up starts at 0, so only up and the shift have one.
    const one = fitRepair(kernels, z, target, { rank: 1, steps: 1, learningRate: 1e-3 })
    const start = fitRepair(kernels, z, target, { rank: 1, steps: 0, learningRate: 1e-3 })
    for (let j = 0; j < 3; j++) {
      const moved = (by: number) => {
        const up = matrix(3, 1)
        up.data[j] = by
        return distance(repaired(kernels, z, { ...start, up }), target)
      }
      const slope = (moved(1e-5) - moved(-1e-5)) / 2e-5
      expect(one.up.data[j]).toBeCloseTo(-1e-3 * Math.sign(slope), 6)
    }
    expect([...one.down.data]).toEqual([...start.down.data])
    expect(multiply(kernels, one.up, one.down).data.some((x) => x !== 0)).toBe(true)
  })
})
