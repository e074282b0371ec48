import { expect, test } from 'vitest'
import { decode, decodeRanked, decoderNames } from './decode.ts'
import { LabelTree } from './label-tree.ts'
import type { NodeProbabilities } from './node-probabilities.ts'
import { rankedProbabilities } from './ranked-probabilities.ts'

// Ids: a 0, b 1, a1 2, a2 3, b1 4. A leaf of the less probable branch is the most probable one.
const tree = LabelTree.fromPaths([
  ['a', 'a1'],
  ['a', 'a2'],
  ['b', 'b1'],
])
const terminals = Int32Array.of(2, 3, 4)
const probabilities: NodeProbabilities = {
  marginal: Float64Array.of(0.55, 0.45, 0.3, 0.25, 0.45),
  ending: Float64Array.of(0, 0, 0.3, 0.25, 0.45),
}
const run = (name: (typeof decoderNames)[number], beam?: number, minConfidence = 0) =>
  decode(
    { name, ...(beam === undefined ? {} : { beam }) },
    tree,
    terminals,
    new Float64Array(),
    probabilities,
    minConfidence,
  )

test('each decoder makes its own choice of the same probabilities', () => {
  expect(run('leaf-up')).toEqual([1, 4])
  expect(run('joint-path')).toEqual([1, 4]) // ln .45 + ln .45 > ln .55 + ln .3
  expect(run('top-down')).toEqual([0, 2])
  expect(run('top-down', 2)).toEqual([1, 4])
  expect(run('per-level-argmax')).toEqual([0, 4]) // no path
  expect(run('threshold')).toEqual([0])
})

test('joint path weighs the levels above, leaf-up does not', () => {
  const sure: NodeProbabilities = {
    marginal: Float64Array.of(0.9, 0.1, 0.08, 0.02, 0.1),
    ending: Float64Array.of(0, 0, 0.08, 0.02, 0.1),
  }
  const of = (name: 'leaf-up' | 'joint-path') => decode({ name }, tree, terminals, new Float64Array(), sure)
  expect(of('leaf-up')).toEqual([1, 4])
  expect(of('joint-path')).toEqual([0, 2]) // .9 x .08 > .1 x .1
})

test('thresholds are each label’s own, with ancestors', () => {
  const thresholds = Float64Array.of(0.6, 0.6, 0.2, 0.6, 0.6)
  expect(decode({ name: 'threshold' }, tree, terminals, thresholds, probabilities)).toEqual([0, 2])
})

test('the least confidence cuts every decoder’s answer', () => {
  for (const name of decoderNames) expect(run(name, undefined, 0.6)).toEqual([])
})

test('a list of the best units gives the same answers as all units, where it holds them', () => {
  const layout = { activation: 'softmax' as const, unitNodes: terminals, groups: [{ parent: -1, start: 0, end: 3 }] }
  const ranked = rankedProbabilities(layout, tree)(
    Uint32Array.of(2, 0, 1),
    Float32Array.from([0.45, 0.3, 0.25].map(Math.log)),
  )
  expect(decodeRanked('leaf-up', tree, new Float64Array(), ranked)).toEqual([1, 4])
  expect(decodeRanked('threshold', tree, new Float64Array(), ranked)).toEqual([0])
  expect(decodeRanked('leaf-up', tree, new Float64Array(), ranked, 0.5)).toEqual([])
  expect(ranked.marginal.get(0)).toBeCloseTo(0.55, 6)
  const none = rankedProbabilities(layout, tree)(new Uint32Array(), new Float32Array())
  expect(decodeRanked('leaf-up', tree, new Float64Array(), none)).toEqual([])
  expect(() => rankedProbabilities(layout, tree)(Uint32Array.of(0), Float32Array.of(Number.NaN))).toThrow(
    expect.objectContaining({ code: 'SCORES_NAN' }),
  )
})
