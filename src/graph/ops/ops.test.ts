import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type CheckedInput, type CheckOptions, checkGradients } from '../../../test/support/gradient-check.ts'
import { compile, Graph, gradients, mul, reduceSum, type Tensor } from '../index.ts'
import * as ops from './index.ts'

/** Values at least 0.05 away from 0 and from each other's multiples of 0.1, so that no kink lies within a difference step. */
function values(length: number, { positive = false } = {}): fc.Arbitrary<number[]> {
  return fc
    .uniqueArray(fc.integer({ min: 1, max: 40 }), { minLength: length, maxLength: length, selector: (v) => v })
    .chain((steps) =>
      fc
        .array(fc.boolean(), { minLength: length, maxLength: length })
        .map((signs) => steps.map((step, i) => (positive || signs[i] ? 1 : -1) * (0.05 + step * 0.045))),
    )
}

const size = fc.integer({ min: 1, max: 3 })
const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1)
const input = (shape: readonly number[], options = {}): fc.Arbitrary<CheckedInput> =>
  values(product(shape), options).map((v) => ({ shape, values: v }))
const shape = (minLength = 1, maxLength = 3) => fc.array(size, { minLength, maxLength })

/** Two shapes that broadcast against each other. */
const broadcastPair = fc
  .tuple(
    shape(0, 3),
    fc.array(fc.constantFrom('same', 'left one', 'right one'), { minLength: 3, maxLength: 3 }),
    fc.nat(3),
    fc.boolean(),
  )
  .map(([full, kinds, cut, shortLeft]) => {
    const left = full.map((dim, i) => (kinds[i] === 'left one' ? 1 : dim))
    const right = full.map((dim, i) => (kinds[i] === 'right one' ? 1 : dim))
    return shortLeft
      ? ([left.slice(Math.min(cut, left.length)), right] as const)
      : ([left, right.slice(Math.min(cut, right.length))] as const)
  })

function property(
  name: string,
  inputs: fc.Arbitrary<CheckedInput[]>,
  f: (...x: Tensor[]) => Tensor,
  options?: CheckOptions,
) {
  test(name, () =>
    fc.assert(
      fc.asyncProperty(inputs, (given) => checkGradients(given, f, options)),
      { numRuns: 12, seed: 42 },
    ),
  )
}

const one = (options = {}) => shape().chain((s) => fc.tuple(input(s, options)))
const pair = (options = {}) => broadcastPair.chain(([a, b]) => fc.tuple(input(a, options), input(b, options)))

describe('gradients agree with central differences', () => {
  property('add', pair(), ops.add)
  property('sub', pair(), ops.sub)
  property('mul', pair(), ops.mul)
  property('div', pair({ positive: true }), (a, b) => ops.div(a, ops.add(b, 1)))
  // Where both sides could be equal the larger one has a kink: positive against negative values and swapped signs stay clear of it.
  property('maximum', pair(), (a, b) => ops.maximum(a, ops.mul(b, 1.013)))
  property('minimum', pair(), (a, b) => ops.minimum(a, ops.mul(b, 1.013)))
  property('pow', one({ positive: true }), (x) => ops.pow(x, 2.5))
  property('neg', one(), ops.neg)
  property('exp', one(), ops.exp)
  property('log', one({ positive: true }), ops.log)
  property('sqrt', one({ positive: true }), ops.sqrt)
  property('square', one(), ops.square)
  property('abs', one(), ops.abs)
  property('tanh', one(), ops.tanh)
  property('sigmoid', one(), ops.sigmoid)
  property('relu', one(), ops.relu)
  property('softplus', one(), ops.softplus)
  property('geluTanh', one(), ops.geluTanh)
  property('where', pair(), (a, b) => ops.where(ops.greater(a, 0), b, ops.square(a)))
  property('cast', one(), (x) => ops.cast(ops.square(x), 'float64'))

  // ONNX Runtime's CPU kernels of these are float32 only.
  const float32: CheckOptions = { dtype: 'float32' }
  property('erf', one(), ops.erf, float32)
  property('gelu', one(), ops.gelu, float32)
  property('erfGate', one(), ops.erfGate, float32)
  property(
    'sigmoidCrossEntropy',
    shape().chain((s) => fc.tuple(input(s), input(s))),
    ops.sigmoidCrossEntropy,
    float32,
  )
  property('cast between float types', one(), (x) => ops.cast(ops.square(ops.cast(x, 'float64')), 'float32'), float32)

  const normalised = fc
    .tuple(shape(1, 2), fc.integer({ min: 2, max: 4 }))
    .chain(([s, width]) => fc.tuple(input([...s, width]), input([width]), input([width])))
  property('layerNormalization', normalised, (x, scale, bias) => ops.layerNormalization(x, scale, bias, 1e-3), float32)

  const withAxis = shape().chain((s) => fc.tuple(input(s), fc.nat(s.length - 1)))
  for (const [name, op] of Object.entries({ softmax: ops.softmax, logSoftmax: ops.logSoftmax }))
    test(name, () =>
      fc.assert(
        fc.asyncProperty(withAxis, ([x, axis]) => checkGradients([x], (t) => op(t, axis))),
        { numRuns: 12, seed: 42 },
      ),
    )
  property(
    'softmaxCrossEntropy',
    shape().chain((s) => fc.tuple(input(s), input(s))),
    ops.softmaxCrossEntropy,
  )

  for (const [name, op] of Object.entries({
    reduceSum: ops.reduceSum,
    reduceMean: ops.reduceMean,
    reduceMax: ops.reduceMax,
  }))
    test(name, () =>
      fc.assert(
        fc.asyncProperty(
          shape().chain((s) =>
            fc.tuple(input(s), fc.option(fc.subarray(s.map((_, i) => i)), { nil: undefined }), fc.boolean()),
          ),
          ([x, axes, keepDims]) => checkGradients([x], (t) => op(t, axes, { keepDims })),
        ),
        { numRuns: 16, seed: 42 },
      ),
    )

  test('matmul', () =>
    fc.assert(
      fc.asyncProperty(
        fc
          .tuple(broadcastPair, size, size, size, fc.boolean(), fc.boolean())
          .chain(([[a, b], m, k, n, transA, transB]) =>
            fc.tuple(
              input([...a.slice(0, 1), ...(transA ? [k, m] : [m, k])]),
              input([...b.slice(0, a.length === 0 ? 1 : 0), ...(transB ? [n, k] : [k, n])]),
              fc.constant({ transA, transB, alpha: 0.7 }),
              fc.constantFrom('float32', 'float64'),
            ),
          ),
        ([a, b, options, dtype]) =>
          checkGradients([a, b], (x, y) => ops.matmul(x, y, options), { dtype: dtype as 'float32' }),
      ),
      { numRuns: 24, seed: 42 },
    ))

  const affine = fc
    .tuple(shape(1, 2), size, size)
    .chain(([rows, inner, out]) => fc.tuple(input([...rows, inner]), input([out, inner]), input([out])))
  property('linear', affine, (x, w, b) => ops.linear(x, w, b, { alpha: 0.6, beta: 1.4 }))
  property(
    'blockedLinear',
    fc.tuple(size, size).chain(([rows, out]) => fc.tuple(input([rows, 3]), input([out, 3]), input([out]))),
    ops.blockedLinear,
  )
  property('linear without bias', affine, (x, w, b) => ops.add(ops.linear(x, w), b))

  const heads = fc
    .tuple(size, size, size, fc.integer({ min: 1, max: 2 }))
    .chain(([batch, queries, keys, width]) =>
      fc.tuple(input([batch, queries, width]), input([batch, keys, width]), input([batch, keys, width])),
    )
  property('attention', heads, (q, k, v) => ops.attention(q, k, v))
  property('attention with a mask', heads, (q, k, v) => {
    const keys = k.shape[1] as number
    const mask = q.graph.constant(
      Array.from({ length: keys }, (_, i) => (i === 1 ? -1e9 : 0)),
      [1, 1, keys],
      'float64',
    )
    return ops.attention(q, k, v, { mask, scale: 0.8 })
  })

  property('attention with dropout', heads, (q, k, v) => ops.attention(q, k, v, { dropout: { rate: 0.4, name: 'd' } }))
  property('dropout', one(), (x) => ops.dropout(x, 0.4, 'd'))

  test('gather', () =>
    fc.assert(
      fc.asyncProperty(
        shape().chain((s) =>
          fc
            .nat(s.length - 1)
            .chain((axis) =>
              fc.tuple(
                input(s),
                fc.constant(axis),
                fc.array(fc.nat(s[axis]! - 1), { minLength: 1, maxLength: 4 }),
                fc.constantFrom('int32', 'int64'),
              ),
            ),
        ),
        ([x, axis, picks, dtype]) =>
          checkGradients([x], (t) => ops.gather(t, t.graph.constant(picks, [1, picks.length], dtype as 'int32'), axis)),
      ),
      { numRuns: 16, seed: 42 },
    ))
  property(
    'scatterAdd',
    size.chain((n) => fc.tuple(input([3, n]))),
    (x) => ops.scatterAdd([2, x.shape[1]!], x.graph.constant([1, 0, 1], [3], 'int64'), x),
  )
  property('slice', fc.tuple(input([2, 4, 3])), (x) => ops.slice(x, 1, 1, 2))
  property('pad', fc.tuple(input([2, 2])), (x) => ops.pad(x, -1, 1, 4))
  property(
    'concat',
    size.chain((n) => fc.tuple(input([2, n]), input([2, 2]))),
    (a, b) => ops.concat([a, b, a], 1),
  )
  property('expand', fc.tuple(input([2, 1])), (x) => ops.expand(x, [3, 2, 4]))
  property('reshape', fc.tuple(input([2, 3])), (x) => ops.reshape(x, [3, 1, 2]))
  property('transpose', fc.tuple(input([2, 3, 1])), (x) => ops.transpose(x, [2, 0, 1]))
})

describe('second derivatives', () => {
  /** f(x) is replaced by the gradient of its weighted sum, whose own gradients are then checked. */
  const once = (f: (x: Tensor) => Tensor) => (x: Tensor) => {
    const y = f(x)
    const weight = x.graph.constant(
      Array.from({ length: product(y.shape as number[]) }, (_, i) => 1 + 0.5 * Math.cos(i)),
      y.shape as number[],
      x.dtype,
    )
    return gradients(reduceSum(mul(y, weight)), [x])[0]!
  }
  property(
    'of softmax',
    one(),
    once((x) => ops.softmax(x)),
  )
  property(
    'of a product',
    one(),
    once((x) => ops.mul(x, ops.tanh(x))),
  )
  property('of gelu', one(), once(ops.gelu), { dtype: 'float32' })
  property(
    'of layerNormalization',
    fc.tuple(input([2, 3])),
    once((x) => {
      const ones = x.graph.constant([1, 1.2, 0.8], [3])
      return ops.layerNormalization(x, ones, ones, 0.05)
    }),
    { dtype: 'float32' },
  )
  property(
    'of attention',
    fc.tuple(input([2, 2])),
    once((x) => ops.attention(x, ops.tanh(x), x)),
  )
})

test('values of operators that tests of gradients cannot tell apart', async () => {
  const graph = new Graph()
  const x = graph.input('x', 'float32', [4])
  const outputs = {
    softplus: ops.softplus(x),
    gelu: ops.gelu(x),
    geluTanh: ops.geluTanh(x),
    relu: ops.relu(x),
    erf: ops.erf(x),
  }
  const session = await compile(graph, outputs)
  const out = await session.run({ x: Float32Array.of(-100, -0.5, 1.5, 100) })
  const expected = {
    softplus: [0, 0.474077, 1.701413, 100],
    gelu: [0, -0.154269, 1.399789, 100],
    geluTanh: [0, -0.154286, 1.399572, 100],
    relu: [0, 0, 1.5, 100],
    erf: [-1, -0.5205, 0.966105, 1],
  }
  for (const [name, values] of Object.entries(expected))
    for (const [i, value] of values.entries()) expect(Number(out[name]![i]), `${name} ${i}`).toBeCloseTo(value, 5)
  await session.close()
})
