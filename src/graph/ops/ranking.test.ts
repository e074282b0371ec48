import { expect, test } from 'vitest'
import { checkGradients } from '../../../test/support/gradient-check.ts'
import { compile, Graph, greaterOrEqual, kthLargest, softmax, where } from '../index.ts'

const values = [0.1, 0.5, 0.3, 0.9, 0.2]

async function run(rows: number[][], k: number, runtime: 'native' | 'wasm' = 'native') {
  const graph = new Graph()
  const x = graph.input('x', 'float32', ['B', 'S'])
  const kept = where(greaterOrEqual(x, kthLargest(x, k)), x, -1e9)
  const session = await compile(graph, { least: kthLargest(x, k), weights: softmax(kept) }, { runtime })
  const out = await session.run({ x: Float32Array.from(rows.flat()) }, { dims: { B: rows.length, S: rows[0]!.length } })
  await session.close()
  return { least: Array.from(out.least as Float32Array), weights: Array.from(out.weights as Float32Array) }
}

test('the k-th largest of each row; all of a row that is shorter', async () => {
  expect((await run([values, [5, 4, 3, 2, 1]], 2)).least.map((value) => Number(value.toFixed(6)))).toEqual([0.5, 4])
  expect((await run([values], 9)).least[0]).toBeCloseTo(0.1, 6)
})

test('in browsers too', async () => {
  const { least, weights } = await run([values], 2, 'wasm')
  expect(least[0]).toBeCloseTo(0.5, 6)
  for (const [i, weight] of (await run([values], 2)).weights.entries()) expect(weights[i]).toBeCloseTo(weight, 6)
})

test('what is not kept gets no weight, which a score of 0 would give it', async () => {
  const { weights } = await run([values], 2)
  const sum = Math.exp(0.5) + Math.exp(0.9)
  const expected = [0, Math.exp(0.5) / sum, 0, Math.exp(0.9) / sum, 0]
  for (const [i, weight] of weights.entries()) expect(weight).toBeCloseTo(expected[i]!, 6)
  // As released, for k = 2: three are kept, and zeros stand for the others.
  const zeroed = (await run([[0, 0.5, 0.3, 0.9, 0]], 5)).weights
  expect(zeroed[0]).toBeCloseTo(0.134081, 6)
})

test('gradients pass through what is kept', () =>
  checkGradients([{ shape: [1, 5], values }], (x) => softmax(where(greaterOrEqual(x, kthLargest(x, 2)), x, -1e9)), {
    dtype: 'float32',
  }))
