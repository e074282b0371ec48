import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openCheckpoint } from '../../checkpoint/checkpoint.ts'
import { writeCheckpoint } from '../../checkpoint/write-checkpoint.ts'
import { type Matrix, MatrixKernels, matrix, svd, transposed } from '../../tensor/linear-algebra/index.ts'
import { permutation, random } from '../../tensor/random.ts'
import type { EspalierError } from '../../util/errors.ts'
import { mergeExperts } from '../merge.ts'
import { alignExpert, averageExperts, averageMatrices, type Expert, neuronScores, permuteNeurons } from './expert.ts'
import type { ExpertLayer } from './expert-method.ts'
import { groupAroundDominant, groupByClusters } from './group-experts.ts'
import { denseOf, factorRank, lowRankSparse, projectOnCommon } from './low-rank.ts'
import { mcSmoe, mSmoe, subMoe } from './methods/index.ts'

const kernels = await MatrixKernels.open()
const close = (received: ArrayLike<number>, expected: readonly number[], digits = 6) => {
  expect(received.length).toBe(expected.length)
  for (const [i, value] of expected.entries()) expect(received[i]).toBeCloseTo(value, digits)
}

/** What an expert with rectified neurons gives out: silu(gate) * up where it has both, otherwise relu. */
function run({ inward, outward }: Expert, x: ArrayLike<number>): number[] {
  const product = (w: Matrix, values: ArrayLike<number>) =>
    Array.from({ length: w.rows }, (_, i) => {
      let sum = 0
      for (let k = 0; k < w.columns; k++) sum += w.data[i * w.columns + k]! * values[k]!
      return sum
    })
  const [gate, up] = inward.map((w) => product(w, x))
  const hidden = up ? gate!.map((g, i) => (g / (1 + Math.exp(-g))) * up[i]!) : gate!.map((g) => Math.max(0, g))
  return product(outward, hidden)
}

function noise(rows: number, columns: number, ...key: (string | number)[]): Matrix {
  const numbers = random('experts', ...key)
  return matrix(
    rows,
    columns,
    Float64Array.from({ length: rows * columns }, (_, i) => numbers.normal(i)),
  )
}
const randomExpert = (key: number, neurons = 6, width = 4): Expert => ({
  inward: [noise(neurons, width, key, 'gate'), noise(neurons, width, key, 'up')],
  outward: noise(width, neurons, key, 'down'),
})

describe('neurons', () => {
  const first: Expert = { inward: [matrix(2, 2, [1, 0, 0, 2])], outward: matrix(1, 2, [1, 3]) }
  const swapped = permuteNeurons(first, [1, 0])

  it('are matched before they are averaged', () => {
    close(neuronScores(first, swapped).data, [3, 2, 13, 3])
    const aligned = averageExperts([first, alignExpert(first, swapped)], [1, 1])
    close(run(aligned, [1, 1]), [7])
    close(run(averageExperts([first, swapped], [1, 1]), [1, 1]), [6])
  })

  it('calculate the same in any order', () => {
    const expert = randomExpert(1)
    const moved = permuteNeurons(expert, permutation(6, random('order')))
    close(run(moved, [1, -2, 0.5, 3]), run(expert, [1, -2, 0.5, 3]))
    close(run(alignExpert(expert, moved), [1, 0, 0, 0]), run(expert, [1, 0, 0, 0]))
    close(alignExpert(expert, moved).outward.data, Array.from(expert.outward.data))
  })

  it('weights by usage', () => {
    close(averageMatrices([matrix(1, 1, [2]), matrix(1, 1, [4])], [0.5, 0.3]).data, [2.75])
    close(averageMatrices([matrix(1, 1, [2]), matrix(1, 1, [4])], [0, 0]).data, [3])
  })
})

describe('groups', () => {
  it('around the most used experts, by the cosine of what is given', () => {
    const vectors = [
      [1, 0],
      [0, 1],
      [0.9, 0.1],
      [0.2, 1],
      [-1, 0],
    ]
    expect(groupAroundDominant([0.4, 0.3, 0.1, 0.1, 0.1], vectors, 2)).toEqual({
      groupOf: [0, 1, 0, 1, 1],
      cores: [0, 1],
    })
  })

  it('by clusters: the core is the most used member', () => {
    const found = groupByClusters(
      [0.1, 0.5, 0.4],
      [
        [1, 0],
        [2, 0.01],
        [0, 1],
      ],
      2,
      0,
    )
    expect(found).toEqual({ groupOf: [0, 0, 1], cores: [1, 2] })
  })
})

describe('low rank and sparse', () => {
  it('has the rank that the ratio allows', () => {
    expect(factorRank(32, 16, 0.15)).toBe(2)
    expect(factorRank(4, 4, 0)).toBe(1)
  })

  it('splits a diagonal', () => {
    const parts = lowRankSparse(kernels, matrix(2, 2, [3, 0, 0, 1]), { rank: 1, kept: 1 })
    close(parts.left.data.map(Math.abs), [Math.sqrt(3), 0])
    close(parts.right.data.map(Math.abs), [Math.sqrt(3), 0])
    close(parts.rest.data, [0, 0, 0, 1])
    close(denseOf(kernels, parts).data, [3, 0, 0, 1])
    const [row] = lowRankSparse(kernels, matrix(2, 2, [3, 0, 0, 1]), { rank: 1, kept: 0.5 }).rows
    expect(row).toBe(1)
  })

  it('projects the mean on common directions', () => {
    const [one, two] = [matrix(2, 2, [1, 0, 0, 1]), matrix(2, 2, [1, 2, 0, 1])]
    const mean = averageMatrices([one, two], [0.75, 0.25])
    close(mean.data, [1, 0.5, 0, 1])
    close(svd(kernels, matrix(2, 4, [1, 0, 1, 2, 0, 1, 0, 1])).s, [2.613126, 1.082392])
    close(projectOnCommon(kernels, [one, two], mean, { rank: 2, side: 'left' }).data, [1, 0.5, 0, 1])
    close(
      projectOnCommon(kernels, [one, two], mean, { rank: 1, side: 'left' }).data,
      [0.853553, 0.78033, 0.353553, 0.323223],
    )
    const right = projectOnCommon(kernels, [transposed(one), transposed(two)], transposed(mean), {
      rank: 1,
      side: 'right',
    })
    close(right.data, [0.853553, 0.353553, 0.78033, 0.323223])
  })
})

/** A layer whose experts 4 to 7 are 0 to 3 with their neurons shuffled. */
function doubled(): ExpertLayer {
  const half = [0, 1, 2, 3].map((e) => randomExpert(e))
  const copies = half.map((expert, e) => permuteNeurons(expert, permutation(6, random('shuffle', e))))
  const rows = noise(4, 4, 'router').data
  return {
    experts: [...half, ...copies],
    // Copies are called a little less.
    router: matrix(8, 4, Float64Array.from([...rows, ...rows.map((x) => 0.9 * x)])),
    statistics: {
      usage: [0.2, 0.2, 0.2, 0.2, 0.05, 0.05, 0.05, 0.05],
      outputs: [...half, ...half].map((expert) => run(expert, [1, 0.5, -1, 2])),
    },
  }
}

describe.each([
  ['m-smoe', mSmoe(), mSmoe({ align: false })],
  ['sub-moe', subMoe(), subMoe({ align: false })],
])('%s', (_name, method, unaligned) => {
  it('merges copies with shuffled neurons into what they were, if neurons are matched', () => {
    const layer = doubled()
    const change = (reduced: ReturnType<typeof method.reduce>) =>
      Math.max(
        ...layer.experts.flatMap((expert, e) => {
          const x = [1, -0.5, 2, 0.3]
          const after = run(reduced.experts[reduced.groupOf[e]!]!, x)
          return run(expert, x).map((value, i) => Math.abs(value - after[i]!))
        }),
      )
    const reduced = method.reduce(kernels, layer, 4, 0)
    expect(reduced.groupOf).toEqual([0, 1, 2, 3, 0, 1, 2, 3])
    expect(change(reduced)).toBeLessThan(1e-9)
    expect(change(unaligned.reduce(kernels, layer, 4, 0))).toBeGreaterThan(0.5)
  })

  it('works without statistics', () => {
    const { statistics: _, ...layer } = doubled()
    const reduced = method.reduce(kernels, layer, 4, 0)
    expect(new Set(reduced.groupOf).size).toBe(4)
    for (const [e, group] of reduced.groupOf.entries()) expect(group).toBe(reduced.groupOf[e % 4])
  })
})

it('mc-smoe keeps a product and the strongest rows', () => {
  const layer = doubled()
  const whole = mSmoe().reduce(kernels, layer, 4, 0)
  const exact = mcSmoe({ ratio: 1, kept: 1 }).reduce(kernels, layer, 4, 0)
  close(exact.experts[2]!.outward.data, Array.from(whole.experts[2]!.outward.data), 9)
  const small = mcSmoe({ ratio: 0.4, kept: 0 }).reduce(kernels, layer, 4, 0)
  const { s } = svd(kernels, small.experts[0]!.outward)
  expect(s[1]!).toBeLessThan(1e-9 * s[0]!)
})

describe('a Mixtral checkpoint', () => {
  let folder: string
  let model: string
  const layers = 2
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'espalier-experts-'))
    model = join(folder, 'mixtral')
    const tensors: [string, Matrix | Float64Array][] = [['model.embed_tokens.weight', noise(10, 4, 'embedding')]]
    for (let l = 0; l < layers; l++) {
      const { experts, router } = doubled()
      const prefix = `model.layers.${l}.block_sparse_moe`
      tensors.push(
        [`${prefix}.gate.weight`, router],
        [`model.layers.${l}.input_layernorm.weight`, Float64Array.of(1, 1, 1, 1)],
      )
      for (const [e, { inward, outward }] of experts.entries())
        tensors.push(
          [`${prefix}.experts.${e}.w1.weight`, inward[0]!],
          [`${prefix}.experts.${e}.w3.weight`, inward[1]!],
          [`${prefix}.experts.${e}.w2.weight`, outward],
        )
    }
    await writeCheckpoint(model, {
      config: { model_type: 'mixtral', num_local_experts: 8, num_experts_per_tok: 2, num_hidden_layers: layers },
      tensors: tensors.map(([name, value]) => {
        const values = value instanceof Float64Array ? value : value.data
        const shape = value instanceof Float64Array ? [value.length] : [value.rows, value.columns]
        return { name, dtype: 'F32' as const, shape, data: Float32Array.from(values) }
      }),
    })
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))
  const fault = (work: Promise<unknown>): Promise<EspalierError> =>
    work.then(
      () => {
        throw new Error('expected a fault')
      },
      (error: EspalierError) => error,
    )

  it('comes out with fewer experts and says so in its config', async () => {
    const out = join(folder, 'smaller')
    const result = await mergeExperts(model, { experts: 4, method: mSmoe(), out })
    expect(result.groups.map(({ layer }) => layer)).toEqual(['model.layers.0', 'model.layers.1'])
    expect(result.bytes).toBeLessThan(0.6 * result.bytesBefore)
    const checkpoint = await openCheckpoint(out)
    expect(checkpoint.config).toMatchObject({ num_local_experts: 4, num_experts_per_tok: 2 })
    expect(checkpoint.tensors.get('model.layers.1.block_sparse_moe.gate.weight')!.shape).toEqual([4, 4])
    expect([...checkpoint.tensors.keys()].filter((name) => name.includes('.experts.'))).toHaveLength(layers * 4 * 3)
    expect(checkpoint.tensors.has('model.layers.0.block_sparse_moe.experts.4.w1.weight')).toBe(false)
    const original = await openCheckpoint(model)
    // Each group's expert calculates what its core did, for the others are copies of it.
    const { groupOf } = result.groups[0]!
    const core = groupOf.indexOf(0)
    const [before, after] = await Promise.all(
      [
        [original, core],
        [checkpoint, 0],
      ].map(async ([source, e]) => {
        const read = async (part: string, rows: number, columns: number) => {
          const name = `model.layers.0.block_sparse_moe.experts.${e}.${part}.weight`
          return matrix(rows, columns, await (source as typeof original).readFloat32(name))
        }
        return run(
          { inward: [await read('w1', 6, 4), await read('w3', 6, 4)], outward: await read('w2', 4, 6) },
          [1, 2, -1, 0.5],
        )
      }),
    )
    close(after!, before!, 5)
    expect(await checkpoint.readFloat32('model.embed_tokens.weight')).toEqual(
      await original.readFloat32('model.embed_tokens.weight'),
    )
    await Promise.all([checkpoint.close(), original.close()])
    expect(JSON.parse(await readFile(join(out, 'espalier.json'), 'utf8'))).toMatchObject({
      verb: 'merge',
      method: 'm-smoe',
      experts: { before: 8, after: 4 },
    })
  })

  it('refuses what cannot be', async () => {
    const attempt = (options: object) =>
      fault(mergeExperts(model, { experts: 4, method: mSmoe(), out: join(folder, 'never'), ...options }))
    expect((await attempt({ experts: 1 })).code).toBe('OPTION_RANGE')
    expect((await attempt({ experts: 9 })).code).toBe('OPTION_RANGE')
    expect((await attempt({ statistics: [{ usage: [1] }] })).code).toBe('EXPERTS_STATISTICS')
    const usage = Array.from({ length: 8 }, () => Number.NaN)
    expect((await attempt({ statistics: [{ usage }, { usage }] })).code).toBe('EXPERTS_STATISTICS')
    const dense = join(folder, 'dense')
    await writeCheckpoint(dense, {
      config: {},
      tensors: [{ name: 'w', dtype: 'F32', shape: [1], data: Float32Array.of(1) }],
    })
    const out = join(folder, 'never')
    expect((await fault(mergeExperts(dense, { experts: 2, method: mSmoe(), out }))).code).toBe('EXPERTS_NONE')
    const broken = join(folder, 'broken')
    const name = 'model.layers.0.block_sparse_moe.experts.0.w1.weight'
    await writeCheckpoint(broken, {
      config: {},
      tensors: [{ name, dtype: 'F32', shape: [1, 1], data: Float32Array.of(1) }],
    })
    expect((await fault(mergeExperts(broken, { experts: 1, method: mSmoe(), out }))).code).toBe('EXPERTS_SHAPE')
  })
})
