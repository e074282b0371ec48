import { expect, test } from 'vitest'
import { compile, Graph, gradients, type HostArray } from '../graph/index.ts'
import type { HeadLayout } from '../labels/head-layout.ts'
import { headLoss, lossFeeds } from '../train/head-loss.ts'
import { encoderModel, encoderThreads, gatherRows, initialWeights, miniConfig, tokenBatch } from './index.ts'

interface Case {
  hiddenSize: number
  units: number
  length: number
  activation: HeadLayout['activation']
}

/** Loss and all gradients of a step, as bytes. */
async function step({ hiddenSize, units, length, activation }: Case, threads: number): Promise<Map<string, Buffer>> {
  const config = miniConfig({ vocabularySize: 300, layers: 2, hiddenSize })
  const model = encoderModel(config, { units })
  const weights = initialWeights(model, 0)
  const rows = Uint32Array.from({ length: 17 }, (_, i) => i)
  const layout: HeadLayout = {
    activation,
    unitNodes: Int32Array.from({ length: units }, (_, i) => i),
    groups: [{ parent: -1, start: 0, end: units }],
  }
  const targets = {
    groupOffsets: rows,
    activeGroups: new Uint32Array(16),
    unitOffsets: rows,
    rightUnits: Uint32Array.from({ length: 16 }, (_, i) => i % units),
  }
  const graph = new Graph()
  const built = model.build(graph, { dropout: true })
  const loss = headLoss(built.logits!, layout)
  const names = [...built.parameters.keys()]
  const found = gradients(loss, [built.tokens, ...built.parameters.values()])
  const outputs = Object.fromEntries(names.map((name, i) => [`gradient ${name}`, found[i + 1]!]))
  const session = await compile(
    graph,
    { loss, rows: found[0]!, ...outputs },
    { threads: encoderThreads(config, threads) },
  )
  session.bind(new Map<string, HostArray>([...weights].filter(([name]) => session.has(name))))
  const texts = Array.from({ length: 16 }, (_, b) =>
    Int32Array.from({ length: length + (b % 3) }, (_, s) => (b * 31 + s * 7) % 300),
  )
  const batch = tokenBatch(texts, model)
  const { feeds, dims } = lossFeeds(layout, targets, rows.subarray(0, 16), 16, { labelSmoothing: 0 })
  const tokenRows = gatherRows(batch, weights.get(model.tokenTable)!, hiddenSize)
  const out = await session.run(
    { tokenRows, attention_mask: batch.mask, ...feeds },
    { dims: { B: batch.B, S: batch.S, ...dims }, random: { seed: 1, step: 0 } },
  )
  await session.close()
  return new Map(
    Object.entries(out).map(([name, { buffer, byteOffset, byteLength }]) => [
      name,
      Buffer.from(buffer, byteOffset, byteLength),
    ]),
  )
}

test.each<Case>([
  { hiddenSize: 128, units: 150, length: 4, activation: 'softmax' },
  { hiddenSize: 256, units: 5, length: 8, activation: 'softmax' },
  { hiddenSize: 256, units: 50, length: 20, activation: 'sigmoid' },
  { hiddenSize: 384, units: 130, length: 3, activation: 'sigmoid' },
])('a training step gives the same bytes on any number of threads: %j', async (given) => {
  const one = await step(given, 1)
  for (const threads of [2, 3, 4]) {
    const many = await step(given, threads)
    const different = [...one.keys()].filter((name) => !one.get(name)!.equals(many.get(name)!))
    expect(different, `${threads} threads`).toEqual([])
  }
})

test('narrow encoders use fewer threads than they may', () => {
  const threads = (hiddenSize: number) => encoderThreads(miniConfig({ vocabularySize: 9, hiddenSize }), 8)
  expect([64, 128, 256, 384, 768].map(threads)).toEqual([1, 1, 3, 4, 8])
})
