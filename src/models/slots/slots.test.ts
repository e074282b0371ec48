/** The exact checks of the slot heads, on the graph that models run. */
import { describe, expect, it } from 'vitest'
import { add, compile, Graph, gradients, reduceSum, slice, type Tensor } from '../../graph/index.ts'
import { encoderModel } from '../architectures.ts'
import { miniConfig } from '../mini.ts'
import { gatherRows, tokenBatch } from '../token-batch.ts'
import { initialWeights } from '../weights.ts'
import { ownPromptLogits } from './layer-prompts.ts'
import { attentionSpecs, lowRankScores, tokenWeights } from './pooled-attention.ts'
import type { SlotConfig } from './slot-config.ts'

async function values(build: (graph: Graph) => Record<string, Tensor>) {
  const graph = new Graph()
  const zero = graph.input('zero', 'float32', [])
  const made = build(graph)
  const outputs = Object.fromEntries(Object.entries(made).map(([name, tensor]) => [name, add(tensor, zero)]))
  const session = await compile(graph, outputs)
  const out = await session.run({ zero: Float32Array.of(0) })
  await session.close()
  return Object.fromEntries(Object.entries(out).map(([name, array]) => [name, Array.from(array as Float32Array)]))
}
const near = (received: readonly number[], expected: readonly number[]) => {
  expect(received).toHaveLength(expected.length)
  for (const [i, value] of expected.entries()) expect(received[i]).toBeCloseTo(value, 5)
}

describe('LAMA', () => {
  const factors = (graph: Graph) => ({
    p: graph.constant([1, 0, 0, 1], [2, 2]),
    q: graph.constant([1, 1, 1, -1], [2, 2]),
    context: graph.constant([1, 2], [1, 2]),
  })
  it('scores tokens by c P Q h, and weighs them by a softmax without padding', async () => {
    const graph = new Graph()
    const states = graph.input('states', 'float32', ['B', 'S', 2])
    const mask = graph.input('mask', 'float32', ['B', 'S'])
    const { p, q, context } = factors(graph)
    const scores = lowRankScores(states, context, p, q, 1, false)
    const session = await compile(graph, { scores, weights: tokenWeights(scores, mask) })
    const feeds = { states: Float32Array.of(1, 0, 0, 1, 1, 1, 9, 9), mask: Float32Array.of(1, 1, 1, 0) }
    const out = await session.run(feeds, { dims: { B: 1, S: 4 } })
    await session.close()
    const [scored, weights] = [out['scores'], out['weights']].map((array) => Array.from(array as Float32Array))
    near([...scored!.slice(0, 3), ...scored!.slice(4, 7)], [1, 1, 2, 2, -2, 0])
    near(weights!, [0.211942, 0.211942, 0.576117, 0, 0.866813, 0.015876, 0.11731, 0])
  })

  it('adds up the ranks of a head', async () => {
    const graph = new Graph()
    const states = graph.input('states', 'float32', ['B', 'S', 2])
    const { p, q, context } = factors(graph)
    const session = await compile(graph, { scores: lowRankScores(states, context, p, q, 2, false) })
    const out = await session.run({ states: Float32Array.of(1, 0, 0, 1, 1, 1) }, { dims: { B: 1, S: 3 } })
    await session.close()
    near(Array.from(out['scores'] as Float32Array), [3, -1, 2])
  })

  it('has fewer parameters than a hidden layer and a vector per head', () => {
    const count = (config: Parameters<typeof attentionSpecs>[0]) =>
      attentionSpecs(config, 512).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0)
    const shared = { kind: 'pooled-attention', heads: 15 } as const
    expect(count({ ...shared, form: 'low-rank', rank: 1, context: 'mean', bounded: true })).toBe(15360)
    expect(count({ ...shared, form: 'structured', inner: 350 })).toBe(184450)
  })
})

describe('TransHP', () => {
  it('scores a class by its own prompt alone', async () => {
    const { logits } = await values((graph) => ({
      logits: ownPromptLogits(
        graph.constant([1, 0, 0, 2, 1, 1], [1, 3, 2]),
        graph.constant([0.5, 0.5, 1, 0, 0, 1], [3, 2]),
      ),
    }))
    near(logits!, [0.5, 0, 1])
    const all = logits!.reduce((sum, logit) => sum + Math.exp(logit), 0)
    near(
      logits!.map((logit) => Math.exp(logit) / all),
      [0.307196, 0.186324, 0.50648],
    )
  })

  const config = miniConfig({ vocabularySize: 30, layers: 3, hiddenSize: 8, heads: 2, maxLength: 16, dropout: 0 })
  const slots: SlotConfig = { kind: 'layer-prompts', prompts: [{ layer: 1, units: 3 }] }
  const model = encoderModel({ ...config, slots }, { units: 7 })
  const texts = [
    [2, 7, 9, 3],
    [2, 11, 3],
  ]
  const batch = tokenBatch(texts, model)
  async function run(
    weights: ReadonlyMap<string, Float32Array>,
    outputs: (built: ReturnType<typeof model.build>) => Record<string, Tensor>,
  ) {
    const graph = new Graph()
    const built = model.build(graph)
    const session = await compile(graph, outputs(built))
    session.bind(new Map([...weights].filter(([name]) => session.has(name))))
    const feeds = {
      tokenRows: gatherRows(batch, weights.get(model.tokenTable)!, config.hiddenSize),
      attention_mask: batch.mask,
    }
    const out = await session.run(feeds, { dims: { B: batch.B, S: batch.S } })
    await session.close()
    return Object.fromEntries(Object.entries(out).map(([name, array]) => [name, Array.from(array as Float32Array)]))
  }

  it('gives back as many tokens as the layer was fed, and does not care for the order of classes', async () => {
    const weights = initialWeights(model, 1)
    const first = await run(weights, ({ logits, hidden }) => ({ logits: logits!, hidden: hidden! }))
    expect(first['hidden']).toHaveLength(batch.B * batch.S * config.hiddenSize)
    const swapped = new Map(weights)
    for (const name of ['slots.prompts.1.weight', 'slots.output.weight']) {
      const values = weights.get(name)!.slice()
      values.set(weights.get(name)!.subarray(0, 8), 16)
      values.set(weights.get(name)!.subarray(16, 24), 0)
      swapped.set(name, values)
    }
    const second = await run(swapped, ({ logits }) => ({ logits: logits! }))
    for (let b = 0; b < batch.B; b++) {
      near(second['logits']!.slice(b * 7 + 3, b * 7 + 7), first['logits']!.slice(b * 7 + 3, b * 7 + 7))
      near(
        [2, 1, 0].map((c) => second['logits']![b * 7 + c]!),
        first['logits']!.slice(b * 7, b * 7 + 3),
      )
    }
  })

  it('is not hidden by padding, and hides padding', async () => {
    const weights = initialWeights(model, 1)
    const both = await run(weights, ({ logits }) => ({ logits: logits! }))
    const graph = new Graph()
    const built = model.build(graph)
    const session = await compile(graph, { logits: built.logits! })
    session.bind(new Map([...weights].filter(([name]) => session.has(name))))
    const alone = tokenBatch([texts[1]!], model)
    const out = await session.run(
      { tokenRows: gatherRows(alone, weights.get(model.tokenTable)!, config.hiddenSize), attention_mask: alone.mask },
      { dims: { B: 1, S: alone.S } },
    )
    await session.close()
    near(both['logits']!.slice(7), Array.from(out['logits'] as Float32Array))
  })

  it('gives the vectors of a level without weight no gradient', async () => {
    const weights = initialWeights(model, 1)
    const { gradient } = await run(weights, ({ logits, parameters }) => {
      const fine = reduceSum(slice(logits!, 1, 3, 4))
      return { gradient: gradients(fine, [parameters.get('slots.output.weight')!])[0]! }
    })
    expect(gradient!.slice(0, 24).every((value) => value === 0)).toBe(true)
    expect(gradient!.slice(24).some((value) => value !== 0)).toBe(true)
  })
})

describe('slots of levels', () => {
  const config = miniConfig({ vocabularySize: 30, layers: 1, hiddenSize: 8, heads: 2, maxLength: 16, dropout: 0 })
  it.each([undefined, 16])('score the labels of a level by the state at its place (cosine %s)', async (cosine) => {
    const slots: SlotConfig = {
      kind: 'levels',
      prefix: 5,
      places: [1, 3],
      ends: [2, 5],
      transform: false,
      ...(cosine ? { cosine } : {}),
    }
    const model = encoderModel({ ...config, slots }, { units: 5 })
    const weights = initialWeights(model, 1)
    const graph = new Graph()
    const built = model.build(graph)
    const session = await compile(graph, { logits: built.logits!, hidden: built.hidden! })
    session.bind(new Map([...weights].filter(([name]) => session.has(name))))
    const batch = tokenBatch(
      [
        [2, 7, 9, 3],
        [2, 11, 3],
      ],
      model,
    )
    expect(batch.S).toBe(9)
    const rows = gatherRows(batch, weights.get(model.tokenTable)!, 8)
    const out = await session.run({ tokenRows: rows, attention_mask: batch.mask }, { dims: { B: 2, S: 9 } })
    await session.close()
    const output = weights.get('slots.output.weight')!
    const hidden = out['hidden'] as Float32Array
    for (let b = 0; b < 2; b++)
      for (let unit = 0; unit < 5; unit++) {
        const state = hidden.subarray((b * 9 + 1 + (unit < 2 ? 1 : 3)) * 8).subarray(0, 8)
        const vector = output.subarray(unit * 8, unit * 8 + 8)
        const dot = state.reduce((sum, value, k) => sum + value * vector[k]!, 0)
        const expected = cosine ? (cosine * dot) / Math.hypot(...state) / Math.hypot(...vector) : dot
        expect(Number(out['logits']![b * 5 + unit])).toBeCloseTo(expected, 4)
      }
  })
})
