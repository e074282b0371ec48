import { describe, expect, test } from 'vitest'
import {
  add,
  compile,
  dropout,
  encodeOnnx,
  Graph,
  gradients,
  linear,
  loadRuntime,
  matmul,
  mul,
  program,
  reduceMean,
  reduceSum,
  reshape,
  square,
  type Tensor,
} from './index.ts'

/** mean(square(x w' + b)) over a batch of symbolic size. */
function regression() {
  const graph = new Graph()
  const x = graph.input('x', 'float32', ['B', 3])
  const w = graph.parameter('w', [2, 3])
  const b = graph.parameter('b', [2])
  const loss = reduceMean(square(linear(x, w, b)))
  return { graph, x, w, b, loss }
}

const w = Float32Array.of(1, -2, 0.5, 0.25, 3, -1)
const b = Float32Array.of(0.1, -0.2)

/** The same loss in plain arithmetic. */
function reference(x: ArrayLike<number>): number {
  const rows = x.length / 3
  let sum = 0
  for (let r = 0; r < rows; r++)
    for (let o = 0; o < 2; o++) {
      let y = b[o]!
      for (let i = 0; i < 3; i++) y += x[r * 3 + i]! * w[o * 3 + i]!
      sum += y * y
    }
  return sum / (rows * 2)
}

describe('sessions', () => {
  test('one session serves every batch size', async () => {
    const { graph, loss } = regression()
    const session = await compile(graph, { loss })
    session.bind({ w, b })
    for (const B of [1, 2, 5]) {
      const x = Float32Array.from({ length: B * 3 }, (_, i) => Math.sin(i))
      const out = await session.run({ x }, { dims: { B } })
      expect(out['loss']![0]).toBeCloseTo(reference(x), 5)
    }
    await session.close()
  })

  test.each(['native', 'wasm'] as const)(
    'weights are read in place, gradients land in bound buffers (%s)',
    async (runtime) => {
      const { graph, w: tensor, loss } = regression()
      const [dw] = gradients(loss, [tensor])
      const session = await compile(graph, { loss, dw: dw! }, { runtime })
      const weights = w.slice()
      const gradient = new Float32Array(6)
      session.bind({ w: weights, b, dw: gradient })
      const x = Float32Array.of(1, 2, 3)
      const first = await session.run({ x }, { dims: { B: 1 } })
      expect(first['dw']).toBe(gradient)
      for (let i = 0; i < 6; i++) weights[i]! -= 0.01 * gradient[i]!
      const second = await session.run({ x }, { dims: { B: 1 } })
      expect(second['loss']![0]!).toBeLessThan(first['loss']![0] as number)
      await session.close()
    },
  )

  test('buffers may be parts of larger ones', async () => {
    const { graph, loss } = regression()
    const session = await compile(graph, { loss })
    const large = new Float32Array(20)
    large.set(w, 3)
    large.set(b, 12)
    large.set([1, 2, 3], 16)
    session.bind(
      new Map([
        ['w', large.subarray(3, 9)],
        ['b', large.subarray(12, 14)],
      ]),
    )
    const out = await session.run({ x: large.subarray(16, 19) }, { dims: { B: 1 } })
    expect(out['loss']![0]).toBeCloseTo(reference([1, 2, 3]), 4)
    await session.close()
  })

  test('a tensor may be an output twice, and inputs and constants may be outputs', async () => {
    const graph = new Graph()
    const x = graph.input('x', 'float32', [2])
    const y = mul(x, 2)
    const session = await compile(graph, { a: y, b: y, x2: x, c: graph.constant([5, 6], [2]) })
    const out = await session.run({ x: Float32Array.of(3, 4) })
    expect(Object.fromEntries(Object.entries(out).map(([k, v]) => [k, Array.from(v as Float32Array)]))).toEqual({
      a: [6, 8],
      b: [6, 8],
      x2: [3, 4],
      c: [5, 6],
    })
    await session.close()
  })

  test('frozen parameters have no gradient nodes', () => {
    const { graph, w: weight, b: bias, loss } = regression()
    const nodes = (wrt: Tensor[]) =>
      program(graph, Object.fromEntries(gradients(loss, wrt).map((g, i) => [`g${i}`, g]))).nodes.map(({ op }) => op)
    expect(nodes([weight, bias])).toContain('FusedMatMul')
    expect(nodes([bias])).not.toContain('FusedMatMul')
  })

  test('sizes that are products of symbols', async () => {
    const graph = new Graph()
    const x = graph.input('x', 'float32', ['B', 'S', 4])
    const flat = reshape(x, ['B*S', 4])
    const heads = reshape(mul(flat, 2), ['B', 'S', 2, 2])
    const sum = reduceSum(heads, [0, 2])
    const session = await compile(graph, { sum })
    const out = await session.run({ x: new Float32Array(2 * 3 * 4).fill(1) }, { dims: { B: 2, S: 3 } })
    expect(Array.from(out['sum'] as Float32Array)).toEqual([8, 8, 8, 8, 8, 8])
    await session.close()
  })

  test('an exported file holds the weights and gives the same values', async () => {
    const { graph, loss } = regression()
    const bytes = encodeOnnx(
      graph,
      program(graph, { loss }),
      new Map([
        ['w', w],
        ['b', b],
      ]),
    )
    const { ort } = await loadRuntime('native')
    const session = await ort.InferenceSession.create(bytes)
    expect(session.inputNames).toEqual(['x'])
    const out = await session.run({ x: new ort.Tensor('float32', Float32Array.of(1, 2, 3), [1, 3]) })
    expect(out['loss']!.data[0]).toBeCloseTo(reference([1, 2, 3]), 4)
  })
})

describe('dropout', () => {
  const build = () => {
    const graph = new Graph()
    const x = graph.input('x', 'float32', ['N'])
    return { graph, outputs: { one: dropout(x, 0.25, 'one'), two: dropout(x, 0.25, 'two') } }
  }
  const draw = async (runtime: 'native' | 'wasm', seed: number, step: number) => {
    const { graph, outputs } = build()
    const session = await compile(graph, outputs, { runtime })
    const out = await session.run({ x: new Float32Array(4096).fill(3) }, { dims: { N: 4096 }, random: { seed, step } })
    await session.close()
    return out
  }

  test('drops the stated share and keeps the expectation', async () => {
    const { one } = await draw('native', 1, 0)
    const kept = (one as Float32Array).filter((value) => value !== 0)
    expect(new Set(kept)).toEqual(new Set([4]))
    expect(kept.length / 4096).toBeGreaterThan(0.72)
    expect(kept.length / 4096).toBeLessThan(0.78)
  })

  test('depends on seed, step and name, and is the same on both runtimes', async () => {
    const base = await draw('native', 1, 0)
    expect(await draw('native', 1, 0)).toEqual(base)
    expect(await draw('wasm', 1, 0)).toEqual(base)
    expect((await draw('native', 2, 0))['one']).not.toEqual(base['one'])
    expect((await draw('native', 1, 1))['one']).not.toEqual(base['one'])
    expect(base['one']).not.toEqual(base['two'])
  })

  test('its gradient passes where the value passed', async () => {
    const graph = new Graph()
    const x = graph.input('x', 'float32', [64])
    const y = dropout(x, 0.5, 'd')
    const [dx] = gradients(reduceSum(y), [x])
    const session = await compile(graph, { y, dx: dx! })
    const out = await session.run({ x: new Float32Array(64).fill(1) }, { random: { seed: 3, step: 9 } })
    expect(out['dx']).toEqual(out['y'])
    await session.close()
  })
})

describe('faults', () => {
  const code = async (run: () => unknown) => {
    try {
      await run()
    } catch (error) {
      return (error as { code: string }).code
    }
    return 'none'
  }

  test('shapes, types and names that do not fit are refused while building', async () => {
    const { graph, x, w: weight } = regression()
    const other = new Graph().input('x', 'float32', [3])
    expect(await code(() => add(x, weight))).toBe('GRAPH_SHAPE')
    expect(await code(() => matmul(x, weight))).toBe('GRAPH_SHAPE')
    expect(await code(() => reshape(weight, [4]))).toBe('GRAPH_SHAPE')
    expect(await code(() => add(weight, graph.constant([1, 2, 3], [3], 'int64')))).toBe('GRAPH_DTYPE')
    expect(await code(() => graph.constant(new Float32Array(2), [2], 'int64'))).toBe('GRAPH_DTYPE')
    expect(await code(() => add(weight, other))).toBe('GRAPH_MIXED')
    expect(await code(() => graph.input('w', 'float32', [1]))).toBe('GRAPH_NAME')
    expect(await code(() => reduceSum(x, [2]))).toBe('GRAPH_AXIS')
    expect(await code(() => dropout(x, 1, 'd'))).toBe('DROPOUT_RATE')
    expect(await code(() => gradients(x, [weight]))).toBe('GRADIENT_SCALAR')
    expect(await code(() => gradients(reduceSum(x), [weight]))).toBe('GRADIENT_NONE')
  })

  test('feeds that do not fit are refused before the run', async () => {
    const { graph, loss } = regression()
    const session = await compile(graph, { loss })
    session.bind({ w })
    const x = new Float32Array(6)
    expect(await code(() => session.run({ x }, { dims: { B: 2 } }))).toBe('GRAPH_FEED')
    session.bind({ b })
    expect(await code(() => session.run({ x }, { dims: { B: 3 } }))).toBe('GRAPH_SHAPE')
    expect(await code(() => session.run({ x }))).toBe('GRAPH_DIM')
    expect(await code(() => session.run({ x: new Float64Array(6) }, { dims: { B: 2 } }))).toBe('GRAPH_DTYPE')
    expect(await code(() => session.run({ x, y: x }, { dims: { B: 2 } }))).toBe('GRAPH_NAME')
    expect(await code(() => session.bind({ w: new Float32Array(5) }))).toBe('GRAPH_SHAPE')
    await session.close()
  })

  test('a graph with dropout asks for a seed', async () => {
    const graph = new Graph()
    const y = dropout(graph.input('x', 'float32', [2]), 0.5, 'd')
    const session = await compile(graph, { y })
    expect(await code(() => session.run({ x: new Float32Array(2) }))).toBe('GRAPH_RANDOM')
    await session.close()
  })
})
