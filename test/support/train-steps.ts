/**
 * A few steps of plain gradient descent on a small encoder with dropout. The source of the function is sent to a browser too, so it stands alone.
 */
import type * as GraphModule from '../../src/graph/index.ts'
import type * as ModelsModule from '../../src/models/index.ts'
import type * as LossModule from '../../src/train/head-loss.ts'

export interface Modules {
  graph: typeof GraphModule
  models: typeof ModelsModule
  train: typeof LossModule
}

/** The losses of `steps` steps. */
export async function trainSteps(
  { graph, models, train }: Modules,
  runtime: 'native' | 'wasm',
  steps = 5,
): Promise<number[]> {
  const config = models.miniConfig({
    vocabularySize: 60,
    layers: 2,
    hiddenSize: 32,
    heads: 4,
    maxLength: 16,
    dropout: 0.1,
  })
  const model = models.encoderModel(config, { units: 4 })
  const weights = models.initialWeights(model, 11)
  const layout = {
    activation: 'softmax' as const,
    unitNodes: Int32Array.of(0, 1, 2, 3),
    groups: [
      { parent: -1, start: 0, end: 2 },
      { parent: 0, start: 2, end: 4 },
    ],
  }
  const targets = {
    groupOffsets: Uint32Array.of(0, 2, 3, 5),
    activeGroups: Uint32Array.of(0, 1, 0, 0, 1),
    unitOffsets: Uint32Array.of(0, 2, 3, 5),
    rightUnits: Uint32Array.of(0, 3, 1, 0, 2),
  }
  const g = new graph.Graph()
  const built = model.build(g, { dropout: true })
  const loss = train.headLoss(built.logits!, layout)
  const names = [...built.parameters.keys()]
  const found = graph.gradients(loss, [built.tokens, ...built.parameters.values()])
  const outputs = Object.fromEntries(names.map((name, i) => [`d ${name}`, found[i + 1]!]))
  const session = await graph.compile(g, { loss, rows: found[0]!, ...outputs }, { runtime })
  session.bind(new Map([...weights].filter(([name]) => session.has(name))))

  const batch = models.tokenBatch(
    [
      [2, 17, 33, 5, 3],
      [2, 41, 3],
      [2, 8, 9, 59, 10, 11, 3],
    ],
    model,
  )
  const table = weights.get(model.tokenTable)!
  const { feeds, dims } = train.lossFeeds(layout, targets, Uint32Array.of(0, 1, 2), 3, { labelSmoothing: 0 })
  const descend = (weight: Float32Array, gradient: Float32Array) => {
    for (let i = 0; i < weight.length; i++) weight[i]! -= 0.3 * gradient[i]!
  }
  const losses: number[] = []
  for (let step = 0; step < steps; step++) {
    const out = await session.run(
      { tokenRows: models.gatherRows(batch, table, config.hiddenSize), attention_mask: batch.mask, ...feeds },
      { dims: { B: batch.B, S: batch.S, ...dims }, random: { seed: 5, step } },
    )
    losses.push(Number(out['loss']![0]))
    for (const name of names) descend(weights.get(name)!, out[`d ${name}`] as Float32Array)
    for (const [i, id] of batch.ids.entries()) {
      const start = i * config.hiddenSize
      if (id >= 0)
        descend(
          table.subarray(id * config.hiddenSize, (id + 1) * config.hiddenSize),
          (out['rows'] as Float32Array).subarray(start, start + config.hiddenSize),
        )
    }
  }
  await session.close()
  return losses
}
