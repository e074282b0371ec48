import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { openSafetensors } from '../checkpoint/safetensors-file.ts'
import type { HeadLayout, HeadTargets } from '../labels/head-layout.ts'
import { encoderModel } from '../models/architectures.ts'
import { readEncoderConfig } from '../models/encoder-config.ts'
import { adamWDefaults } from './adamw.ts'
import { plainAdamW, simdAdamW } from './adamw-kernel.ts'
import { packTokens } from './batches.ts'
import { objective } from './objectives/index.ts'
import { Optimizer } from './optimizer.ts'
import { parameterRules } from './parameter-rules.ts'
import { TrainingStep } from './training-step.ts'

interface Fixture {
  config: Record<string, unknown>
  ids: number[][]
  labels: number[]
  losses: number[]
  optimizer: { learningRate: number; weightDecay: number }
}
const folder = new URL('../../test/fixtures/bert-step/', import.meta.url)
const fixture = JSON.parse(await readFile(new URL('step.json', folder), 'utf8')) as Fixture

async function tensors(name: string): Promise<Map<string, Float32Array>> {
  const file = await openSafetensors(fileURLToPath(new URL(name, folder)))
  const values = new Map<string, Float32Array>()
  for (const { name, bytes } of file.tensors.values()) {
    const buffer = new Uint8Array(bytes)
    await file.readInto(name, buffer)
    values.set(name, new Float32Array(buffer.buffer))
  }
  await file.close()
  return values
}

const layout: HeadLayout = {
  activation: 'softmax',
  unitNodes: Int32Array.of(0, 1, 2, 3, 4, 5),
  groups: [{ parent: -1, start: 0, end: 6 }],
}
const rows = fixture.labels.length
const targets: HeadTargets = {
  groupOffsets: Uint32Array.from({ length: rows + 1 }, (_, i) => i),
  activeGroups: new Uint32Array(rows),
  unitOffsets: Uint32Array.from({ length: rows + 1 }, (_, i) => i),
  rightUnits: Uint32Array.from(fixture.labels),
}

test.each([
  ['the SIMD kernel', 4],
  ['the SIMD kernel and micro-batches', 3],
  ['the plain loop', 4],
])('five steps of a BERT match PyTorch with %s', async (kernelName, microBatchSize) => {
  const model = encoderModel(readEncoderConfig(fixture.config), { units: 6, pooling: 'head' })
  const weights = await tensors('start.safetensors')
  const expected = await tensors('after5.safetensors')
  expect([...weights.keys()].sort()).toEqual(model.parameters.map(({ name }) => name).sort())
  const rules = parameterRules(model.parameters, [], () => false, 1)
  const part = (lookup: boolean) =>
    model.parameters
      .filter((parameter) => parameter.lookup === lookup)
      .map(({ name, shape }) => ({ name, weights: weights.get(name)!, width: shape.at(-1)!, ...rules.get(name)! }))
  const kernel =
    kernelName === 'the plain loop' ? plainAdamW : await simdAdamW(part(false).map((tensor) => tensor.weights.length))
  const { learningRate, weightDecay } = fixture.optimizer
  const optimizer = new Optimizer(part(false), part(true), kernel, { ...adamWDefaults, weightDecay })
  const step = await TrainingStep.create(
    {
      model,
      weights,
      rules,
      layout,
      objective: objective(),
      loss: { labelSmoothing: 0 },
      rows: packTokens(fixture.ids.map((ids) => Int32Array.from(ids))),
      targets,
      microBatchSize,
      seed: 0,
      threads: 1,
    },
    optimizer,
  )
  for (const [index, expectedLoss] of fixture.losses.entries()) {
    const { loss } = await step.run(Uint32Array.of(0, 1, 2, 3), learningRate, 0)
    expect(Math.abs(loss / expectedLoss - 1), `loss of step ${index + 1}`).toBeLessThan(1e-4)
  }
  await step.close()
  for (const [name, wanted] of expected) {
    const found = name === model.tokenTable ? optimizer.table(name) : weights.get(name)!
    const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    const difference = found.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted[i]!)), 0)
    // A key's bias does not change the attention: its gradient is rounding noise, which Adam brings to full size in either engine.
    if (name.endsWith('key.bias')) expect(difference, name).toBeLessThan(2 * 5 * learningRate)
    else expect(difference / largest, name).toBeLessThan(1e-4)
  }
})
