import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkGradients } from '../../../test/support/gradient-check.ts'
import { compile, Graph } from '../index.ts'
import { gru } from './gru.ts'

const size = 2
const numbers = (count: number, salt: number) =>
  Array.from({ length: count }, (_, i) => Math.sin(12.9898 * (i + 1) + 78.233 * salt) * 0.8)

/** One row by plain loops. */
function plain(gates: number[][], weight: number[], bias: number[], mask: number[], reverse: boolean): number[][] {
  let h = new Array<number>(size).fill(0)
  const out: number[][] = []
  const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
  const order = reverse ? gates.map((_, s) => gates.length - 1 - s) : gates.map((_, s) => s)
  for (const s of order) {
    const own = Array.from({ length: 3 * size }, (_, i) =>
      h.reduce((sum, x, k) => sum + x * weight[i * size + k]!, bias[i]!),
    )
    const next = h.map((before, k) => {
      const r = sigmoid(gates[s]![k]! + own[k]!)
      const z = sigmoid(gates[s]![size + k]! + own[size + k]!)
      const n = Math.tanh(gates[s]![2 * size + k]! + r * own[2 * size + k]!)
      return (1 - z) * n + z * before
    })
    h = mask[s] ? next : h
    out[s] = h
  }
  return out
}

test.each([false, true])('steps as the formula says, passing over padding (reverse %s)', async (reverse) => {
  const [S, B] = [4, 2]
  const graph = new Graph()
  const out = gru(
    graph.input('gates', 'float32', ['S', 'B', 3 * size]),
    graph.input('mask', 'float32', ['S', 'B', 1]),
    graph.parameter('w', [3 * size, size]),
    graph.parameter('b', [3 * size]),
    { reverse },
  )
  const session = await compile(graph, { out })
  const [gates, w, b] = [numbers(S * B * 3 * size, 1), numbers(3 * size * size, 2), numbers(3 * size, 3)]
  const lengths = [4, 2]
  const mask = Array.from({ length: S * B }, (_, i) => (Math.floor(i / B) < lengths[i % B]! ? 1 : 0))
  session.bind(
    new Map([
      ['w', Float32Array.from(w)],
      ['b', Float32Array.from(b)],
    ]),
  ) // prettier-ignore
  const found = await session.run(
    { gates: Float32Array.from(gates), mask: Float32Array.from(mask) },
    { dims: { S, B } },
  )
  await session.close()
  for (let row = 0; row < B; row++) {
    const own = Array.from({ length: S }, (_, s) => gates.slice((s * B + row) * 3 * size, (s * B + row + 1) * 3 * size))
    const masks = Array.from({ length: S }, (_, s) => mask[s * B + row]!)
    for (const [s, state] of plain(own, w, b, masks, reverse).entries())
      for (let k = 0; k < size; k++) expect(found['out']![(s * B + row) * size + k]).toBeCloseTo(state[k]!, 5)
  }
})

test.each([false, true])('gradients agree with central differences (reverse %s)', (reverse) =>
  fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 2 }), fc.nat(50), (S, B, salt) =>
      checkGradients(
        [
          { shape: [S, B, 3 * size], values: numbers(S * B * 3 * size, salt) },
          { shape: [3 * size, size], values: numbers(3 * size * size, salt + 1) },
          { shape: [3 * size], values: numbers(3 * size, salt + 2) },
        ],
        (gates, w, b) => {
          const mask = Float64Array.from({ length: S * B }, (_, i) => (i === S * B - 1 && S > 1 ? 0 : 1))
          return gru(gates!, gates!.graph.constant(mask, [S, B, 1], 'float64'), w!, b!, { reverse })
        },
      ),
    ),
    { numRuns: 8, seed: 7 },
  ),
)
