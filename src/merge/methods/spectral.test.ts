import { describe, expect, it } from 'vitest'
import { MatrixKernels, matrix, multiply, svd } from '../../tensor/linear-algebra/index.ts'
import { random } from '../../tensor/random.ts'
import { adaptiveLoss, lossAndGradient } from '../matrices/adaptive-gradient.ts'
import { clipOutliers } from '../matrices/clip.ts'
import { addTask, emptyLoss, filteredOptimum, gradient } from '../matrices/gram-loss.ts'
import { energyRanks, sparsity, sparsityRanks } from '../matrices/task-ranks.ts'
import type { MergeMethod } from '../merge-method.ts'
import { mergeTensors, type TensorsToMerge } from '../merge-tensors.ts'
import { adaptiveCoefficients, project } from './doge.ts'
import { leastCombination } from './dop.ts'
import { doge, dop, isoC, isoCts, knots, optmerge, rTsvm, svc, taskArithmetic, ties, tsvM, wudi } from './index.ts'
import { jointBasis } from './knots.ts'

const kernels = await MatrixKernels.open()

/** Merges differences from a base of zeros, as matrices of this shape. */
async function merged(
  method: MergeMethod,
  shape: readonly [number, number],
  deltas: readonly ArrayLike<number>[],
  more: Partial<TensorsToMerge> = {},
): Promise<number[]> {
  const base = new Float64Array(shape[0] * shape[1])
  return Array.from(await mergeTensors({ method, base, models: deltas, shape, ...more }))
}

function close(received: ArrayLike<number>, expected: ArrayLike<number>, digits = 6): void {
  expect(received.length).toBe(expected.length)
  for (let i = 0; i < expected.length; i++) expect(received[i]).toBeCloseTo(expected[i]!, digits)
}

function normals(count: number, ...key: (string | number)[]): Float64Array {
  const r = random('spectral test', ...key)
  return Float64Array.from({ length: count }, (_, i) => r.normal(i))
}

const methods: [string, MergeMethod][] = [
  ['tsv-m', tsvM()],
  ['r-tsvm', rTsvm()],
  ['r-tsvm, all options', rTsvm({ clip: 4, rank: 'sparsity' })],
  ['r-tsvm, energy', rTsvm({ rank: 'energy' })],
  ['iso-c', isoC()],
  ['iso-cts', isoCts()],
  ['knots', knots({ density: 0.4 })],
  ['svc', svc()],
  ['wudi', wudi()],
  ['optmerge', optmerge({ steps: 20 })],
  ['optmerge, lora', optmerge({ steps: 20, lora: true })],
  ['doge', doge({ coefficient: 0.3, steps: 20 })],
  ['dop', dop({ steps: 20 })],
]

describe('TSV-M', () => {
  it('adds what does not interfere', async () => {
    close(
      await merged(
        tsvM(),
        [2, 2],
        [
          [3, 0, 0, 0],
          [0, 0, 0, 2],
        ],
      ),
      [3, 0, 0, 2],
    )
  })

  it('does not make up a direction for equal tasks', async () => {
    close(
      await merged(
        tsvM(),
        [2, 2],
        [
          [3, 0, 0, 0],
          [3, 0, 0, 0],
        ],
      ),
      [3, 0, 0, 0],
    )
  })

  it('decorrelates directions at 60 degrees', async () => {
    const u = [Math.cos(Math.PI / 3), Math.sin(Math.PI / 3)]
    const second = [2 * u[0]! * u[0]!, 2 * u[0]! * u[1]!, 2 * u[1]! * u[0]!, 2 * u[1]! * u[1]!]
    const deltas = [[2, 0, 0, 0], second]
    close(await merged(tsvM(), [2, 2], deltas), [2, 0, 0, 2])
    close(await merged(taskArithmetic(), [2, 2], deltas), [2.5, 0.866025, 0.866025, 1.5])
  })

  it('scales by lambda and by weights, and takes the mean where there is no room', async () => {
    const deltas = [
      [3, 0, 0, 0],
      [0, 0, 0, 2],
    ]
    close(await merged(tsvM({ lambda: 0.5 }), [2, 2], deltas), [1.5, 0, 0, 1])
    close(await merged(tsvM(), [2, 2], deltas, { settings: [{ weight: 2 }, {}] }), [6, 0, 0, 2])
    close(await merged(tsvM(), [1, 4], deltas), [1.5, 0, 0, 1])
  })
})

describe('R-TSVM', () => {
  it('clips by median and median absolute deviation, not by moments', () => {
    const values = Float64Array.of(1, 2, 3, 4, 100)
    expect(clipOutliers(values, 3)[1]).toBeCloseTo(7.4478, 4)
    close(values, [1, 2, 3, 4, 7.4478], 4)
  })

  it('brings changes to one size', async () => {
    close(
      await merged(
        rTsvm(),
        [2, 2],
        [
          [3, 0, 0, 0],
          [0, 0, 0, 1],
        ],
      ),
      [2, 0, 0, 2],
    )
    close(
      await merged(
        rTsvm({ reweight: false }),
        [2, 2],
        [
          [3, 0, 0, 0],
          [0, 0, 0, 1],
        ],
      ),
      [3, 0, 0, 1],
    )
  })

  it('gives ranks by sparsity and by energy', () => {
    expect(sparsity(matrix(2, 2, [1, 0, 0, 1]))).toBe(0.5)
    expect(sparsityRanks(8, [0, 0.5])).toEqual([6, 2])
    expect(sparsityRanks(8, [0, 0])).toEqual([4, 4])
    expect(energyRanks(4, [Float64Array.of(3, 0.9, 0.1), Float64Array.of(1, 1, 1)], 0.9)).toEqual([1, 3])
    expect(energyRanks(3, [Float64Array.of(1, 1, 1), Float64Array.of(1, 1, 1)], 0.9)).toEqual([1, 1])
  })
})

describe('Iso-C and Iso-CTS', () => {
  it('flattens the spectrum of the sum', async () => {
    close(
      await merged(
        isoC(),
        [2, 2],
        [
          [3, 0, 0, 0],
          [0, 0, 0, 1],
        ],
      ),
      [2, 0, 0, 2],
    )
    const deltas = [normals(40, 1), normals(40, 2)]
    const { s } = svd(kernels, matrix(8, 5, await merged(isoC(), [8, 5], deltas)))
    const sum = svd(kernels, matrix(8, 5, await merged(taskArithmetic(), [8, 5], deltas)))
    const mean = sum.s.reduce((a, b) => a + b) / 5
    close(s, [mean, mean, mean, mean, mean])
  })

  it('leaves directions alone that no model changed', async () => {
    close(
      await merged(
        isoC(),
        [2, 2],
        [
          [3, 0, 0, 0],
          [1, 0, 0, 0],
        ],
      ),
      [4, 0, 0, 0],
    )
  })

  it('takes in what a task has outside the common directions', async () => {
    // Of 4 directions 2 are common (the sum's: axes 0 and 1), 1 is left for each task: axes 2 and 3.
    const first = [4, 0, 0, 0, 0, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    const second = [4, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    const mean = (8 + 6 + 1 + 2) / 4
    const expected = [mean, 0, 0, 0, 0, mean, 0, 0, 0, 0, mean, 0, 0, 0, 0, mean]
    close(await merged(isoCts({ common: 0.5 }), [4, 4], [first, second]), expected)
  })
})

describe('KnOTS', () => {
  it('rebuilds the changes from their parts', () => {
    const deltas = [matrix(3, 4, normals(12, 3)), matrix(3, 4, normals(12, 4))]
    const { basis, parts } = jointBasis(kernels, deltas)
    for (const [t, part] of parts.entries()) close(multiply(kernels, basis, part).data, deltas[t]!.data, 10)
  })

  it('keeps one model as it is', async () => {
    const delta = normals(12, 5)
    close(await merged(knots(), [3, 4], [delta]), delta, 10)
    close(await merged(knots(), [4, 3], [delta]), delta, 10)
  })

  it('is TIES where the basis is the axes', async () => {
    const deltas = [
      [3, -1, 0, 0],
      [1, -1, 0, 0],
    ]
    close(await merged(knots(), [1, 4], deltas), await merged(ties(), [1, 4], deltas), 10)
  })

  it('trims each part', async () => {
    close(await merged(knots({ density: 0.5 }), [1, 4], [[3, -2, 1, 0.5]]), [3, -2, 0, 0], 10)
  })
})

describe('SVC', () => {
  it('undoes what was added up twice and leaves the rest', async () => {
    close(
      await merged(
        svc(),
        [2, 2],
        [
          [3, 0, 0, 0],
          [3, 0, 0, 0],
        ],
      ),
      [3, 0, 0, 0],
    )
    close(
      await merged(
        svc(),
        [2, 2],
        [
          [3, 0, 0, 0],
          [0, 0, 0, 2],
        ],
      ),
      [3, 0, 0, 2],
    )
  })

  it('calibrates a finished merge, and leaves its vectors', async () => {
    const deltas = [
      [6, 0, 0, 0],
      [3, 0, 0, 0],
      [3, 0, 0, 0],
    ]
    close(await merged(svc({ merged: true }), [2, 2], deltas), [3, 0, 0, 0])
    const vectors = [
      [6, 1],
      [3, 0],
      [3, 0],
    ]
    close(await mergeTensors({ method: svc({ merged: true }), base: [0, 0], models: vectors }), [6, 1])
  })
})

describe('WUDI and OptMerge', () => {
  const lossOf = (shape: [number, number], taus: number[][]) => {
    const loss = emptyLoss(...shape)
    for (const tau of taus) addTask(kernels, loss, { tau: matrix(...shape, tau) })
    return loss
  }
  const optimum = (loss: ReturnType<typeof lossOf>, start: number[]) =>
    filteredOptimum(kernels, loss, matrix(loss.d.rows, loss.d.columns, start), 1e9).data

  it('tasks without interference: the sum', () => {
    const loss = lossOf(
      [2, 2],
      [
        [2, 0, 0, 0],
        [0, 0, 0, 1],
      ],
    )
    close(loss.c.data, [1, 0, 0, 1])
    close(loss.d.data, [2, 0, 0, 1])
    close(optimum(loss, [2, 0, 0, 1]), [2, 0, 0, 1])
  })

  it('one dimension: the average', () => {
    const loss = lossOf([1, 1], [[3], [-1]])
    close(loss.c.data, [2])
    close(loss.d.data, [2])
    close(optimum(loss, [2]), [1])
  })

  it('overshoots without a filter', () => {
    const loss = lossOf(
      [2, 2],
      [
        [1, 0, 0, 0],
        [-1, 1, 0, 0],
      ],
    )
    close(loss.c.data, [1.5, -0.5, -0.5, 0.5])
    close(loss.d.data, [0, 1, 0, 0])
    close(optimum(loss, [0, 1, 0, 0]), [1, 3, 0, 0])
    close(gradient(kernels, loss, matrix(2, 2, [0, 1, 0, 0])).data, [-1, -1, 0, 0])
  })

  it('the filter goes the way of gradient descent', async () => {
    const taus = [
      [1, 0, 0, 0],
      [-1, 1, 0, 0],
    ]
    const loss = lossOf([2, 2], taus)
    const w = matrix(2, 2, [0, 1, 0, 0])
    // Gradient flow for a time of strength / (2 * largest eigenvalue), in small steps.
    const largest = 1 + Math.SQRT1_2
    const time = 3 / (2 * largest)
    const steps = 20_000
    for (let i = 0; i < steps; i++) {
      const g = gradient(kernels, loss, w).data
      for (let j = 0; j < 4; j++) w.data[j]! -= (time / steps) * g[j]!
    }
    close(await merged(wudi({ strength: 3 }), [2, 2], taus), w.data, 3)
  })

  it('OptMerge finds the optimum where changes are of low rank', async () => {
    const taus = [
      [2, 0, 0, 0],
      [0, 0, 0, 1],
    ]
    // Around the mean diag(1, 0.5) the second change is denoised to diag(0, 0.5).
    close(await merged(optmerge(), [2, 2], taus), [2, 0, 0, 0.5], 2)
    close(await merged(optmerge({ lora: true, rate: 0.05, steps: 400 }), [2, 2], taus), [2, 0, 0, 1], 3)
  })
})

describe('DOGE', () => {
  it('loss, gradient and optimum of one row', () => {
    const loss = adaptiveLoss([matrix(1, 2, [1, 0]), matrix(1, 2, [-1, 1])], [0.5, 0.5])
    close(
      loss.residuals.map((rows) => rows[0]!),
      [1, 1.5],
    )
    const g = new Float64Array(2)
    expect(lossAndGradient(loss, matrix(1, 2), g)).toBeCloseTo(3.25)
    close(g, [1, -3])
    expect(lossAndGradient(loss, matrix(1, 2, [1, 2.5]), g)).toBeCloseTo(0)
    close(g, [0, 0])
  })

  it('projects a subspace out', () => {
    const g = matrix(2, 2, [1, 2, 3, 4])
    project(kernels, matrix(2, 1, [1, 0]), g)
    close(g.data, [0, 0, 3, 4])
  })

  it('coefficients', () => {
    close(adaptiveCoefficients([0.5], { eta: 0.07, coefficient: 0 }), [0.14])
    close(adaptiveCoefficients([1, 3, 0], { eta: 0.07, coefficient: 0.3 }), [0.4, 0.4 / 3, 0])
  })

  it('without steps keeps the largest elements of the model, weighted', async () => {
    const options = { coefficient: 0.5, steps: 0, keep: 0.5 }
    const deltas = [
      [4, 3, 0, 0],
      [0, 0, 4, -3],
    ]
    close(await merged(doge(options), [2, 2], deltas), [2, 1.5, 2, -1.5])
    close(await merged(doge({ ...options, keep: 0.25 }), [2, 2], deltas), [2, 0, 2, 0])
  })

  it('lowers the loss; shared directions stay', async () => {
    const deltas = [normals(48, 6), normals(48, 7), normals(48, 8)]
    const taus = deltas.map((delta) => matrix(8, 6, delta))
    const norms = taus.map(({ data }) => Math.hypot(...data))
    const coefficients = adaptiveCoefficients(norms, { eta: 1, coefficient: 0.3 })
    const loss = adaptiveLoss(taus, coefficients)
    const total = coefficients.reduce((sum, c) => sum + c, 0)
    const run = (subspace: number) =>
      merged(doge({ coefficient: 0.3, keep: 1, steps: 200, rate: 1e-2, subspace }), [8, 6], deltas)
    const plain = await merged(doge({ coefficient: 0.3, keep: 1, steps: 0 }), [8, 6], deltas)
    const correction = (values: number[]) =>
      matrix(
        8,
        6,
        values.map((x, i) => (x - plain[i]!) / total),
      )
    const g = new Float64Array(48)
    const at = (values: number[]) => lossAndGradient(loss, correction(values), g)
    expect(at(await run(0))).toBeLessThan(0.2 * at(plain))
    expect(at(await run(6))).toBeLessThan(0.9 * at(plain))
    // One direction is protected: the correction has rank 5 on its left side at most.
    expect(svd(kernels, correction(await run(3))).s.filter((x) => x > 1e-9).length).toBe(6)
    const { u } = svd(kernels, correction(await run(1)))
    expect(u.rows).toBe(8)
  })
})

describe('DOP', () => {
  it('combines gradients with least norm', () => {
    close(leastCombination(Float64Array.of(1, 0), Float64Array.of(0, 1)), [0.5, 0.5])
    close(leastCombination(Float64Array.of(1, 0), Float64Array.of(3, 0)), [1, 0])
  })

  it('keeps changes in separate subspaces whole', async () => {
    const deltas = [
      [3, 0, 0, 0],
      [0, 0, 0, 2],
    ]
    const received = await merged(dop({ steps: 2000, rate: 0.05 }), [2, 2], deltas)
    const distance = (values: number[]) => Math.hypot(...values.map((x, i) => x - [3, 0, 0, 2][i]!))
    expect(distance(received)).toBeLessThan(0.15 * distance([1.5, 0, 0, 1]))
  })
})

describe('all methods on matrices', () => {
  it.each(methods)('%s: vectors by rest, zeros, one model, blocks of any length', async (name, method) => {
    const rest = (how: string) => ({
      method: { ...method, settings: { ...method.settings, rest: how } },
      base: [1, 1],
      models: [
        [2, 1],
        [2, 3],
      ],
    })
    close(await mergeTensors(rest('mean')), [2, 2])
    close(await mergeTensors(rest('base')), [1, 1])
    const zeros = [new Float64Array(12), new Float64Array(12)]
    close(await merged(method, [4, 3], zeros), new Float64Array(12))
    const deltas = [normals(60 * 90, 1), normals(60 * 90, 2), normals(60 * 90, 3)]
    const once = await merged(method, [60, 90], deltas, { blockLength: 4096 })
    expect(await merged(method, [60, 90], deltas, { blockLength: 8192 })).toEqual(once)
    expect(once.every(Number.isFinite), name).toBe(true)
    const embedding = await merged(method, [60, 90], deltas, { name: 'embeddings.word_embeddings.weight' })
    expect(embedding.every(Number.isFinite)).toBe(true)
  })

  it.each(methods)('%s: embeddings of tokens by TIES, as the rest, or as all matrices', async (_, method) => {
    const deltas = [normals(20 * 8, 1), normals(20 * 8, 2)]
    const named = { name: 'embeddings.word_embeddings.weight' }
    const by = (embeddings: string) => ({ ...method, settings: { ...method.settings, embeddings, rest: 'mean' } })
    const elected = await merged(ties({ density: 0.2 }), [20, 8], deltas)
    // DOGE weighs the changes by its coefficients.
    if (method.name !== 'doge') close(await merged(by('ties'), [20, 8], deltas, named), elected, 12)
    const mean = await merged(taskArithmetic({ lambda: 0.5 }), [20, 8], deltas)
    close(await merged(by('rest'), [20, 8], deltas, named), mean, 12)
    expect(await merged(by('matrix'), [20, 8], deltas, named)).toEqual(await merged(method, [20, 8], deltas))
  })

  it.each(methods)('%s: not finite values are an error', async (_, method) => {
    const bad = Float64Array.of(1, Number.NaN, 3, 4, 5, 6)
    const result = merged(method, [2, 3], [bad, Float64Array.of(1, 2, 3, 4, 5, 7)])
    await expect(
      result.then((values) => values.some(Number.isNaN) && Promise.reject({ code: 'NOT_FINITE' })),
    ).rejects.toMatchObject({ code: 'NOT_FINITE' })
  })
})
