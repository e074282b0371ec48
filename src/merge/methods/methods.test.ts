import { describe, expect, it } from 'vitest'
import { random } from '../../tensor/random.ts'
import type { MergeMethod } from '../merge-method.ts'
import { mergeTensors, type TensorsToMerge } from '../merge-tensors.ts'
import * as methods from './index.ts'

const {
  arceeFusion,
  breadcrumbs,
  breadcrumbsTies,
  consensus,
  dareLinear,
  dareTies,
  della,
  dellaLinear,
  karcher,
  layerSwap,
  linear,
  magmax,
  modelStock,
  multislerp,
  mwa,
  nearswap,
  nuslerp,
  passthrough,
  ram,
  ramplusTl,
  sce,
  slerp,
  taskArithmetic,
  ties,
  widen,
} = methods

async function merged(method: MergeMethod, input: Omit<TensorsToMerge, 'method'>): Promise<number[]> {
  return Array.from(await mergeTensors({ method, ...input }))
}

/** Merges differences from a base of zeros. */
const mergedDeltas = (method: MergeMethod, models: number[][], more: Partial<TensorsToMerge> = {}) =>
  merged(method, { base: models[0]!.map(() => 0), models, ...more })

function close(received: number[], expected: number[], digits = 6): void {
  expect(received.length).toBe(expected.length)
  for (const [i, value] of expected.entries()) expect(received[i]).toBeCloseTo(value, digits)
}

describe('linear and task arithmetic', () => {
  it('average', async () => {
    close(
      await merged(linear(), {
        models: [
          [1, 2],
          [3, 6],
        ],
      }),
      [2, 4],
    )
    const settings = [{ weight: 3 }, { weight: 1 }]
    close(
      await merged(linear(), {
        models: [
          [1, 2],
          [3, 6],
        ],
        settings,
      }),
      [1.5, 3],
    )
    close(
      await merged(linear({ normalize: false }), {
        models: [
          [1, 2],
          [3, 6],
        ],
        settings,
      }),
      [6, 12],
    )
  })

  it('adds scaled differences', async () => {
    close(
      await mergedDeltas(taskArithmetic({ lambda: 0.4 }), [
        [0.2, -0.4],
        [0.6, 0.4],
      ]),
      [0.32, 0],
    )
    close(await merged(taskArithmetic({ lambda: 0.3 }), { base: [1], models: [[3]] }), [1.6])
    const input = {
      base: [1, 1],
      models: [
        [2, 3],
        [4, 7],
      ],
    }
    close(await merged(taskArithmetic({ normalize: true }), input), [3, 5])
  })

  it('refuses weights that cannot be normalized', async () => {
    const settings = [{ weight: 1 }, { weight: -1 }]
    await expect(merged(linear(), { models: [[1], [2]], settings })).rejects.toMatchObject({ code: 'METHOD_OPTION' })
  })
})

describe('ties', () => {
  const first = [0.5, -0.1, 0.3, -0.8, 0.05]
  const second = [-0.4, 0.2, 0.6, -0.2, 0.1]

  it('keeps exactly the largest, elects, and averages those that agree', async () => {
    for (const scope of ['tensor', 'model'] as const)
      close(await mergedDeltas(ties({ density: 0.4, scope }), [first, second]), [0.5, 0, 0.6, -0.8, 0])
  })

  it('keeps equal magnitudes by index within a tensor, all of them within a model', async () => {
    const tie = [0.3, -0.3, 0.3, 0.1]
    close(await mergedDeltas(ties({ density: 0.5 }), [tie]), [0.3, -0.3, 0, 0])
    close(await mergedDeltas(ties({ density: 0.5, scope: 'model' }), [tie]), [0.3, -0.3, 0.3, 0])
  })

  it('takes a sum of zero as positive', async () => {
    close(await mergedDeltas(ties(), [[0.2], [-0.2]]), [0.2])
  })

  it('keeps everything at density 1 and nothing at density 0', async () => {
    close(await mergedDeltas(ties({ density: 1 }), [first]), first)
    close(await mergedDeltas(ties({ density: 0 }), [first]), [0, 0, 0, 0, 0])
  })

  it('weights before the election', async () => {
    const settings = [{ weight: 1 }, { weight: 3 }]
    close(await mergedDeltas(ties(), [[0.2], [-0.1]], { settings }), [-0.1])
    close(await mergedDeltas(ties({ normalize: false }), [[0.2], [-0.1]], { settings }), [-0.3])
  })
})

describe('random dropping', () => {
  const ones = Array.from({ length: 20_000 }, () => 1)

  it('keeps the asked share and divides by it', async () => {
    const values = await mergedDeltas(dareLinear({ density: 0.3, rescale: 'density' }), [ones])
    const kept = values.filter((value) => value !== 0)
    expect(kept.length / ones.length).toBeCloseTo(0.3, 1)
    expect(new Set(kept)).toEqual(new Set([1 / 0.3]))
  })

  it('restores the sum of magnitudes', async () => {
    const deltas = [1, 2, 3, 4].flatMap((x) => Array.from({ length: 100 }, () => x))
    const values = await mergedDeltas(dareTies({ density: 0.5 }), [deltas])
    expect(values.reduce((a, b) => a + b)).toBeCloseTo(1000, 8)
    const raw = await mergedDeltas(dareTies({ density: 0.5, rescale: false }), [deltas])
    const factor = 1000 / raw.reduce((a, b) => a + b)
    close(
      values,
      raw.map((value) => value * factor),
      9,
    )
  })

  it('depends on seed, name and model, not on the blocks', async () => {
    const method = dareLinear({ density: 0.5, rescale: false })
    const base = await mergedDeltas(method, [ones, ones])
    expect((await mergedDeltas(method, [ones, ones], { blockLength: 4096 })).join()).toBe(base.join())
    expect((await mergedDeltas(method, [ones, ones], { seed: 1 })).join()).not.toBe(base.join())
    expect((await mergedDeltas(method, [ones, ones], { name: 'other' })).join()).not.toBe(base.join())
    expect(base.some((value) => value === 1)).toBe(true) // the models drop different elements
  })

  it('keeps large changes more often', async () => {
    const rows = 400
    const deltas = Array.from({ length: rows }, () => [1, 2, 3, 4, 5]).flat()
    for (const method of [della, dellaLinear]) {
      const values = await mergedDeltas(method({ density: 0.5, epsilon: 0.4, rescale: false }), [deltas], {
        shape: [rows, 5],
      })
      const shares = [0, 1, 2, 3, 4].map(
        (column) => values.filter((value, i) => i % 5 === column && value !== 0).length / rows,
      )
      close(shares, [0.1, 0.3, 0.5, 0.7, 0.9], 0)
      for (const [i, share] of shares.entries()) expect(Math.abs(share - (0.1 + 0.2 * i))).toBeLessThan(0.08)
    }
  })

  it('refuses chances outside 0 to 1', async () => {
    const method = della({ density: 0.1, epsilon: 0.15 })
    await expect(mergedDeltas(method, [[1, 2]])).rejects.toMatchObject({ code: 'METHOD_OPTION' })
  })

  it('handles rows of one element', async () => {
    const values = await mergedDeltas(della({ density: 0.5, rescale: false }), [[1, 1, 1, 1]], { shape: [4, 1] })
    expect(values.every(Number.isFinite)).toBe(true)
  })
})

describe('breadcrumbs', () => {
  const deltas = [1, -2, 3, -4, 5, -6, 7, -8, 9, -10]

  it('drops the largest and the smallest', async () => {
    close(await mergedDeltas(breadcrumbs({ density: 0.7, gamma: 0.1 }), [deltas]), [0, 0, 3, -4, 5, -6, 7, -8, 9, 0])
    close(
      await mergedDeltas(breadcrumbsTies({ density: 0.5, gamma: 0.2 }), [deltas]),
      [0, 0, 0, -4, 5, -6, 7, -8, 0, 0],
    )
  })

  it('keeps all of the top when gamma is less than one element', async () => {
    close(await mergedDeltas(breadcrumbs({ density: 0.8, gamma: 0.01 }), [deltas]), [0, 0, ...deltas.slice(2)])
  })

  it('keeps the density when gamma is too large', async () => {
    close(await mergedDeltas(breadcrumbs({ density: 0.8, gamma: 0.5 }), [deltas]), [...deltas.slice(0, 8), 0, 0])
  })

  it('keeps the right number among equal magnitudes', async () => {
    const values = await mergedDeltas(breadcrumbs({ density: 0.5, gamma: 0.2 }), [Array.from({ length: 10 }, () => 2)])
    expect(values.filter((value) => value !== 0).length).toBe(5)
  })
})

describe('spherical methods', () => {
  it('slerp', async () => {
    close(await merged(slerp({ t: 0.25 }), { base: [1, 0], models: [[0, 1]] }), [0.92388, 0.382683])
    close(await merged(slerp({ t: 0.5 }), { base: [2, 0], models: [[0, 1]] }), [Math.SQRT2, Math.SQRT1_2])
    close(await merged(slerp({ t: 0.3 }), { base: [1, 2], models: [[2, 4]] }), [1.3, 2.6], 12)
    close(await merged(slerp({ t: 0.5 }), { base: [0, 0], models: [[2, 4]] }), [Math.SQRT1_2 * 2, Math.SQRT1_2 * 4])
  })

  it('nuslerp of tensors, rows, columns and differences', async () => {
    const settings = [{ weight: 3 }, { weight: 1 }]
    close(
      await merged(nuslerp(), {
        models: [
          [1, 0],
          [0, 1],
        ],
        settings,
      }),
      [0.92388, 0.382683],
    )
    const matrices = {
      models: [
        [1, 0, 0, 2],
        [0, 1, 2, 0],
      ],
      settings,
      shape: [2, 2],
    }
    const byRow = [0.92388, 0.382683, 0.765367, 1.847759]
    close(await merged(nuslerp({ nuslerpFlatten: false }), matrices), byRow)
    close(await merged(nuslerp({ nuslerpFlatten: false, nuslerpRowWise: true }), matrices), byRow)
    const shifted = {
      base: [5, 5],
      models: [
        [6, 5],
        [5, 6],
      ],
      settings,
    }
    close(await merged(nuslerp(), shifted), [5.92388, 5.382683])
    close(await merged(nuslerp({ nuslerpFlatten: false }), { ...shifted, shape: [1, 2] }), [5.92388, 5.382683])
    close(
      await merged(nuslerp(), {
        models: [
          [1, 1],
          [2, 2],
        ],
        settings: [{ weight: 1 }, { weight: -1 }],
      }),
      [1.5, 1.5],
    )
  })

  it('multislerp', async () => {
    const settings = [{ weight: 1 }, { weight: 1 }]
    close(
      await merged(multislerp(), {
        models: [
          [1, 0],
          [0, 3],
        ],
        settings,
      }),
      [Math.SQRT2, Math.SQRT2],
    )
    close(
      await merged(multislerp(), {
        base: [1, 1],
        models: [
          [2, 1],
          [1, 4],
        ],
        settings,
      }),
      [1 + Math.SQRT2, 1 + Math.SQRT2],
    )
    close(
      await merged(multislerp(), {
        models: [
          [1, 0],
          [-1, 0],
        ],
        settings,
      }),
      [0, 0],
    )
    const three = {
      models: [
        [1, 0],
        [-1, 0],
        [0, 0],
      ],
      settings: [...settings, { weight: 0 }],
    }
    await expect(merged(multislerp(), three)).rejects.toMatchObject({ code: 'MERGE_UNDEFINED' })
  })

  it('karcher is the midpoint of two, the centre of three, and balances the tangents', async () => {
    close(
      await merged(karcher(), {
        models: [
          [1, 0],
          [0, 1],
        ],
      }),
      [Math.SQRT1_2, Math.SQRT1_2],
    )
    const third = 1 / Math.sqrt(3)
    close(
      await merged(karcher(), {
        models: [
          [2, 0, 0],
          [0, 2, 0],
          [0, 0, 2],
        ],
      }),
      [2 * third, 2 * third, 2 * third],
    )
    const models = [0, 1, 2].map((t) => Array.from({ length: 50 }, (_, i) => 1 + 0.8 * random('k', t).normal(i)))
    const mean = await merged(karcher({ maxIter: 100, tol: 1e-12 }), { models })
    const dot = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * b[i]!, 0)
    const unit = (a: number[]) => a.map((x) => x / Math.sqrt(dot(a, a)))
    const m = unit(mean)
    const tangent = models.map(unit).reduce(
      (sum, u) => {
        const angle = Math.acos(dot(u, m))
        return sum.map((x, i) => x + (angle / Math.sin(angle)) * (u[i]! - Math.cos(angle) * m[i]!))
      },
      m.map(() => 0),
    )
    expect(Math.sqrt(dot(tangent, tangent))).toBeLessThan(1e-9)
  })

  it('model stock', async () => {
    // cosine 1/2 between the differences: t = 2 * 0.5 / 1.5
    const models = [
      [1, 0],
      [0.5, Math.sqrt(0.75)],
    ]
    const t = 2 / 3
    close(await mergedDeltas(modelStock(), models), [t * 0.75, (t * Math.sqrt(0.75)) / 2])
    close(
      await mergedDeltas(modelStock(), [
        [1, 0],
        [-1, 0],
      ]),
      [0, 0],
    )
    const rows = await mergedDeltas(
      modelStock({ filterWise: true }),
      [
        [1, 0, 1, 0],
        [0.5, Math.sqrt(0.75), 1, 0],
      ],
      {
        shape: [2, 2],
      },
    )
    close(rows, [t * 0.75, (t * Math.sqrt(0.75)) / 2, 1, 0])
  })
})

describe('element methods', () => {
  it('nearswap', async () => {
    close(await merged(nearswap({ t: 0.1 }), { base: [1, 1, 1], models: [[1.05, 2, 0.6]] }), [1.05, 1.1, 0.9])
  })

  it('passthrough', async () => {
    close(await merged(passthrough({ scale: 0.5 }), { models: [[1, 2]] }), [0.5, 1])
    close(await merged(passthrough(), { models: [[1, 2]] }), [1, 2])
  })

  it('magmax: the later model wins equal magnitudes', async () => {
    close(
      await mergedDeltas(magmax(), [
        [1, -2, 3],
        [-1, 1, -4],
      ]),
      [-1, -2, -4],
    )
    close(await mergedDeltas(magmax({ lambda: 0.5 }), [[1, -2, 3]]), [0.5, -1, 1.5])
  })

  it('ram', async () => {
    const deltas = [
      [1, 0, 2, 0],
      [0, 0, 4, -3],
    ]
    close(await mergedDeltas(ram(), deltas), [1, 0, 3, -3])
    // each model: one shared element, one lone one, so rho = 1 and the factor is 1 + r * alpha
    close(await mergedDeltas(ramplusTl({ r: 0.5, alpha: 0.4 }), deltas), [1.2, 0, 3, -3.6])
  })

  it('sce', async () => {
    close(
      await mergedDeltas(sce(), [
        [1, -1],
        [3, 1],
      ]),
      [2.666667, 1],
    )
    const deltas = [
      [2, 1, 0, -3],
      [2, -1, 4, 1],
    ]
    close(await mergedDeltas(sce({ selectTopk: 0.67 }), deltas), [0, 0, 4, -3])
    close(await mergedDeltas(sce({ selectTopk: 0 }), deltas), [0, 0, 0, 0])
  })

  it('arcee fusion takes over only outstanding changes', async () => {
    const base = Array.from({ length: 64 }, (_, i) => Math.sin(i))
    const model = base.map((x, i) => x + (i === 20 ? 3 : 0.01 * Math.cos(i)))
    const result = await merged(arceeFusion(), { base, models: [model], shape: [8, 8] })
    expect(result[20]).toBeCloseTo(model[20]!, 12)
    const taken = result.filter((x, i) => x !== base[i])
    expect(taken.length).toBeGreaterThan(0)
    expect(taken.length).toBeLessThan(16)
    close(await merged(arceeFusion(), { base, models: [base], shape: [8, 8] }), base)
  })
})

describe('weights from the models themselves', () => {
  it('widen scores columns by length and direction', async () => {
    const input = {
      base: [3, 0, 1, 4, 2, 0],
      models: [
        [3, 1, 1, 4, 2, 0],
        [6, 0, 0, 8, 2, 1],
      ],
      shape: [2, 3],
    }
    close(await merged(widen(), input), [5.25, 1, 0.25, 7, 2, 0.75])
    close(
      await mergedDeltas(widen(), [
        [0.1, 0.4, 0.1],
        [0.2, 0, 0.4],
      ]),
      [0.152498, 0.4, 0.442556],
    )
  })

  it('widen takes the rows of an embedding', async () => {
    const transposed = {
      base: [3, 4, 0, 2, 1, 0],
      models: [
        [3, 4, 1, 2, 1, 0],
        [6, 8, 0, 2, 0, 1],
      ],
      shape: [3, 2],
    }
    close(await merged(widen(), { ...transposed, name: 'embed_tokens.weight' }), [5.25, 7, 1, 2, 0.25, 0.75])
  })

  it('mwa weights by loss or step', async () => {
    const weights = async (metrics: number[], options: Parameters<typeof mwa>[0]) => {
      const models = metrics.map((_, t) => metrics.map((_, i) => (i === t ? 1 : 0)))
      return merged(mwa(options), { models, settings: metrics.map((metric) => ({ metric })) })
    }
    close(await weights([0.5, 0.25], { power: 0 }), [0.5, 0.5])
    close(await weights([0.5, 0.25], { power: 1 }), [1 / 3, 2 / 3])
    close(await weights([0.5, 0.25], { power: 2 }), [0.2, 0.8])
    close(await weights([100, 200, 300], { power: 1, better: 'higher' }), [1 / 6, 1 / 3, 1 / 2])
    close(await weights([100, 200, 300], { power: 2, better: 'higher' }), [0.071429, 0.285714, 0.642857])
    close(await weights([100, 200], { power: 1e6 }), [1, 0])
    expect(() => mwa({ metric: 0 })).toThrow('above 0')
  })

  it('layer swap takes the outer layers, half the transitions', async () => {
    const share = async (index: number, count: number, options: Parameters<typeof layerSwap>[0]) =>
      ((await merged(layerSwap(options), { base: [6], models: [[2]], layer: { index, count } }))[0]! - 6) / -4 + 0
    const shares = async (count: number, options: Parameters<typeof layerSwap>[0]) =>
      Promise.all(Array.from({ length: count }, (_, index) => share(index, count, options)))
    const wide = await shares(32, {})
    expect(wide).toEqual([1, 1, 1, 1, 1, 0.5, ...Array.from({ length: 23 }, () => 0), 0.5, 1, 1])
    expect(await shares(4, { bottom: 1, top: 0, bottomTransition: 1, topTransition: 0 })).toEqual([1, 0.5, 0, 0])
    expect(await shares(4, { bottom: 4, top: 0 })).toEqual([1, 1, 1, 1])
    const none = { bottom: 0, top: 0, bottomTransition: 0, topTransition: 0 }
    expect(await shares(4, none)).toEqual([0, 0, 0, 0])
    const outer = async (layer: 'before' | 'after', options = {}) =>
      merged(layerSwap(options), { base: [6], models: [[2]], layer })
    expect([await outer('before'), await outer('after'), await outer('before', none)]).toEqual([[2], [6], [6]])
  })

  it('consensus keeps what matters to several', async () => {
    // element 0 matters to both, 1 to the first alone, 2 to neither
    const deltas = [
      [1, 1, 0.1, 0.2],
      [1, 0.1, 0.2, -0.2],
      [0, 0, 1, 0],
    ]
    close(await mergedDeltas(consensus(), deltas), [2, 0, 0, 0])
    close(await mergedDeltas(consensus({ least: 1, lambda: 0.5 }), deltas), [1, 0.55, 0.65, 0])
  })
})

describe('every method', () => {
  const length = 20_000
  const values = (key: string) => Float64Array.from({ length }, (_, i) => random(3, key).normal(i))
  const settings = [
    { weight: 0.6, density: 0.4, gamma: 0.05, epsilon: 0.1 },
    { weight: 0.4, density: 0.7, gamma: 0.02, epsilon: 0.2 },
    { weight: 0.8, density: 0.5, gamma: 0.1, epsilon: 0.1 },
  ]

  for (const [name, factory] of Object.entries(methods)) {
    it(`${name} gives the same whatever the blocks, and nothing else than finite numbers`, async () => {
      const { definition } = factory
      const count = Math.min(3, definition.models.most ?? 3)
      const options = {
        ...('t' in definition.options ? { t: 0.3 } : {}),
        ...('metric' in definition.options ? { metric: 2 } : {}),
      }
      const method = (factory as (options?: object) => MergeMethod)(options)
      const keys = Object.keys(definition.options)
      const input = {
        method,
        ...(definition.base === 'unused' ? {} : { base: values('base') }),
        models: ['a', 'b', 'c'].slice(0, count).map(values),
        shape: [100, 200],
        settings: settings
          .slice(0, count)
          .map((table) => Object.fromEntries(Object.entries(table).filter(([key]) => keys.includes(key)))),
      }
      const whole = await mergeTensors({ ...input, blockLength: 1 << 20 })
      expect(whole.every(Number.isFinite)).toBe(true)
      const parts = await mergeTensors({ ...input, blockLength: 4096 })
      expect(Buffer.from(parts.buffer).equals(Buffer.from(whole.buffer))).toBe(true)
    })
  }
})
