/** The exact checks of HierVerb's and LH-Mix's terms, on the graph that training runs. */
import { describe, expect, it } from 'vitest'
import { add, compile, Graph, reshape, type Tensor } from '../../graph/index.ts'
import { chainLoss, contrastLoss, contrastTerms, contrastWeight } from './hierverb.ts'
import { mixedLoss, mixRatio, similarityOf, zlpr } from './lh-mix.ts'

/** Values of tensors of a graph of constants. */
async function values(build: (constant: (rows: readonly (readonly number[])[]) => Tensor, graph: Graph) => Tensor) {
  const graph = new Graph()
  // An input, so that nothing is left to fold away.
  const zero = graph.input('zero', 'float32', [])
  const constant = (rows: readonly (readonly number[])[]) => {
    const shape = [rows.length, rows[0]!.length]
    return graph.constant(rows.flat(), shape)
  }
  const session = await compile(graph, { out: add(build(constant, graph), zero) })
  const { out } = await session.run({ zero: Float32Array.of(0) })
  await session.close()
  return Array.from(out as Float32Array, (value) => Number(value.toFixed(6)))
}
const near = (received: readonly number[], expected: readonly number[]) => {
  expect(received).toHaveLength(expected.length)
  for (const [i, value] of expected.entries()) expect(received[i]).toBeCloseTo(value, 5)
}

// Leaves 0, 1 below label 0 and leaf 2 below label 1: units 0, 1, then 2, 3, 4.
const tree = { ends: [2, 5], above: [-1, -1, 0, 0, 1] }

describe('the constraint chain', () => {
  it('is minus the log of the probability added up at the node above', async () => {
    near(
      await values((c) => chainLoss(c([[1, 0, 0]]), [c([[1, 0]]), c([[1, 0, 0]])], { ...tree, compat: false })),
      [0.238183],
    )
    near(await values((c) => chainLoss(c([[1, 0, 0]]), [c([[0, 1]]), c([[0, 0, 1]])], { ...tree, compat: false })), [
      -Math.log(0.211942),
    ])
  })

  it('takes another softmax of the probabilities as released', async () => {
    near(
      await values((c) => chainLoss(c([[1, 0, 0]]), [c([[1, 0]]), c([[1, 0, 0]])], { ...tree, compat: true })),
      [0.446016],
    )
  })
})

describe('the contrast of slots', () => {
  const same = [
    [1, 1, 0],
    [1, 1, 0],
    [0, 0, 1],
  ]
  const slots = [
    [1, 0],
    [1, 0],
    [0, 1],
  ]
  it('is minus the log of the share of texts with the same label', async () => {
    const terms = await values((c) => contrastTerms(c(slots), c(same), 1))
    near(terms, [0.168848, 0.168848, 0.551445])
    expect(terms.reduce((a, b) => a + b, 0) / 9).toBeCloseTo(0.098793, 5)
  })

  it('counts a level the less, the further it is above the slot', async () => {
    expect([contrastWeight(2, 0, 1), contrastWeight(2, 1, 1)]).toEqual([0.25, 0.5])
    // Three levels whose slots are equal: slot 2 by level 1 (1/2), slot 3 by levels 1 and 2 (1/4 + 1/2).
    const three = slots.map((slot) => [...slot, ...slot, ...slot])
    const all = await values((c) => contrastLoss(reshape(c(three), [3, 3, 2]), [c(same), c(same)], 1, 1))
    near(
      all,
      [0.168848, 0.168848, 0.551445].map((term) => term * 1.25),
    )
  })
})

describe('LH-Mix', () => {
  it('mixes the more evenly, the more alike two paths are', () => {
    const ratios = (alpha: number) => [0, 0.25, 0.5, 0.9, 1].map((s) => Number(mixRatio(s, 0.75, alpha).toFixed(6)))
    expect(ratios(1)).toEqual([0.75, 0.6875, 0.625, 0.525, 0.5])
    expect(ratios(2)).toEqual([0.75, 0.734375, 0.6875, 0.5475, 0.5])
  })

  it('takes the similarity of names from their cosine', () => {
    const targets = {
      groupOffsets: new Uint32Array(),
      activeGroups: new Uint32Array(),
      unitOffsets: new Uint32Array(),
      rightUnits: new Uint32Array(),
    }
    const names = { setOf: Uint32Array.of(0, 1), vectors: Float32Array.of(1, 0, 0.6, 0.8), width: 2 }
    const similarity = similarityOf({ similarity: 'names', names }, targets, 0, 1)
    expect(similarity).toBeCloseTo(0.8, 6)
    expect(mixRatio(similarity, 0.75, 1)).toBeCloseTo(0.55, 6)
  })

  it('compares paths by the levels on which they agree, or by labels in common', () => {
    const targets = {
      groupOffsets: new Uint32Array(),
      activeGroups: new Uint32Array(),
      unitOffsets: Uint32Array.of(0, 2, 4, 6),
      rightUnits: Uint32Array.of(0, 3, 0, 4, 1, 5),
    }
    expect(similarityOf({ similarity: 'shared-depth' }, targets, 0, 1)).toBe(0.5)
    expect(similarityOf({ similarity: 'jaccard' }, targets, 0, 1)).toBeCloseTo(1 / 3, 9)
    expect(similarityOf({ similarity: 'shared-depth' }, targets, 0, 2)).toBe(0)
    expect(similarityOf({ similarity: 'jaccard' }, targets, 1, 1)).toBe(1)
  })

  it('has ZLPR of the right labels, alone and mixed', async () => {
    const logits = [[2, -1, 0.5]]
    near(await values((c) => zlpr(c(logits), c([[1, 0, 0]]))), [1.231059])
    near(await values((c) => zlpr(c(logits), c([[0, 0, 1]]))), [2.643923])
    const mixed = await values((c, graph) => {
      const pair = [c([[1, 0, 0]]), c([[0, 0, 1]])].map((right) => zlpr(c(logits), right))
      return mixedLoss(pair[0]!, pair[1]!, graph.constant([0.55], [1]), false)
    })
    near(mixed, [1.866848])
  })

  it('mixes row by row, and by the mean ratio as released', async () => {
    const mean = async (compat: boolean) => {
      const rows = await values((_, graph) =>
        mixedLoss(graph.constant([1, 3], [2]), graph.constant([0, 0], [2]), graph.constant([0.75, 0.5], [2]), compat),
      )
      return (rows[0]! + rows[1]!) / 2
    }
    expect(await mean(false)).toBeCloseTo(1.125, 6)
    expect(await mean(true)).toBeCloseTo(1.25, 6)
  })
})
