import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { readFixtureTensors } from '../../test/support/safetensors.ts'
import { compile, Graph, gradients, type HostArray, type RuntimeName } from '../graph/index.ts'
import type { HeadLayout, HeadTargets } from '../labels/head-layout.ts'
import { headLoss, lossFeeds } from '../train/head-loss.ts'
import { encoderModel, gatherRows, readEncoderConfig, tokenBatch } from './index.ts'

const folder = fileURLToPath(new URL('../../test/fixtures/bert-step', import.meta.url))
const fixture: { config: Record<string, unknown>; ids: number[][]; labels: number[]; losses: number[] } = JSON.parse(
  readFileSync(`${folder}/step.json`, 'utf8'),
)
const start = new Map([...readFixtureTensors(`${folder}/start.safetensors`)].map(([name, { data }]) => [name, data]))
const expected = readFixtureTensors(`${folder}/gradients.safetensors`)

const layout: HeadLayout = {
  activation: 'softmax',
  unitNodes: Int32Array.of(0, 1, 2, 3, 4, 5),
  groups: [{ parent: -1, start: 0, end: 6 }],
}
const rows = Uint32Array.from(fixture.labels, (_, i) => i)
const targets: HeadTargets = {
  groupOffsets: Uint32Array.of(0, 1, 2, 3, 4),
  activeGroups: Uint32Array.of(0, 0, 0, 0),
  unitOffsets: Uint32Array.of(0, 1, 2, 3, 4),
  rightUnits: Uint32Array.from(fixture.labels),
}

/** Loss and gradients by state dict key of the fixture's first step. */
async function step(runtime: RuntimeName) {
  const model = encoderModel(readEncoderConfig(fixture.config), { units: 6 })
  const { hiddenSize } = model.config
  const graph = new Graph()
  const built = model.build(graph, { dropout: true })
  const loss = headLoss(built.logits!, layout)
  const names = [...built.parameters.keys()]
  const found = gradients(loss, [built.tokens, ...built.parameters.values()])
  const outputs = Object.fromEntries(names.map((name, i) => [`d ${name}`, found[i + 1]!]))
  const session = await compile(graph, { loss, rows: found[0]!, ...outputs }, { runtime })
  session.bind(new Map<string, HostArray>([...start].filter(([name]) => session.has(name))))
  const batch = tokenBatch(fixture.ids, model)
  const { feeds, dims } = lossFeeds(layout, targets, rows, rows.length, { labelSmoothing: 0 })
  const out = await session.run(
    {
      tokenRows: gatherRows(batch, start.get(model.tokenTable)!, hiddenSize),
      attention_mask: batch.mask,
      ...feeds,
    },
    { dims: { B: batch.B, S: batch.S, ...dims } },
  )
  await session.close()
  const result = new Map(names.map((name) => [name, out[`d ${name}`] as Float32Array]))
  const table = new Float32Array(model.config.vocabularySize * hiddenSize)
  for (const [i, id] of batch.ids.entries())
    if (id >= 0)
      for (let j = 0; j < hiddenSize; j++) table[id * hiddenSize + j]! += out['rows']![i * hiddenSize + j] as number
  return { loss: out['loss']![0] as number, gradients: result.set(model.tokenTable, table) }
}

for (const runtime of ['native', 'wasm'] as const)
  test(`loss and every gradient of a BERT training step agree with PyTorch (${runtime})`, async () => {
    const { loss, gradients } = await step(runtime)
    expect(Math.abs(loss / fixture.losses[0]! - 1)).toBeLessThan(1e-4)
    expect([...gradients.keys()].sort()).toEqual([...expected.keys()].sort())
    for (const [name, { data }] of expected) {
      const got = gradients.get(name)!
      // Relative to the norm of the tensor's gradient. Key biases have none but rounding: softmax ignores what is added to a whole row.
      let [error, norm] = [0, 0]
      for (const [i, value] of data.entries()) {
        error += (value - got[i]!) ** 2
        norm += value ** 2
      }
      if (name.endsWith('key.bias')) expect(Math.sqrt(error), name).toBeLessThan(1e-6)
      else expect(Math.sqrt(error / norm), name).toBeLessThan(1e-4)
    }
  })
