import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { datasetOf } from '../data/dataset.ts'
import { asymmetricLoss, focalLoss, treeMarginLoss, treeSmoothingLoss, zlprLoss } from '../train/losses/index.ts'
import { evaluate } from './evaluate.ts'
import { flat, perNode, xrLinear } from './methods/index.ts'
import { planTrain } from './plan-train.ts'
import { train } from './train.ts'

const words = { visa: ['travel', 'visa'], room: ['travel', 'hotel'], pin: ['bank', 'card'] }
const rows = (count: number, offset = 0, several = false) =>
  Object.entries(words).flatMap(([word, path], topic) =>
    Array.from({ length: count }, (_, i) => {
      const other = Object.entries(words)[(topic + 1) % 3]!
      const both = several && i % 3 === 0
      return {
        text: `please tell me about the ${word}${both ? ` and the ${other[0]}` : ''} ${i + offset}`,
        labels: both ? [path, other[1]] : [path],
      }
    }),
  )

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-loss-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const shared = { encoder: 'mini', epochs: 8, threads: 1 } as const

test.each([
  ['tree-smoothing', treeSmoothingLoss({ share: 0.2 }), false],
  ['tree-margin', treeMarginLoss(), false],
  ['zlpr', zlprLoss(), true],
])(
  'a head is trained with %s',
  async (name, loss, several) => {
    const out = join(folder, name)
    const dev = datasetOf(rows(4, 500, several))
    const model = await train(datasetOf(rows(24, 0, several)), { ...shared, method: flat(), loss, out, dev })
    expect((await evaluate(model, datasetOf(rows(6, 1000, several)))).metrics.exactPath).toBeGreaterThan(0.8)
    expect(JSON.parse(await readFile(join(out, 'espalier.json'), 'utf8')).loss).toEqual(loss)
    await model.close()
  },
  60_000,
)

test('a plan names the loss', async () => {
  const plan = await planTrain(datasetOf(rows(8)), { ...shared, loss: focalLoss({ gamma: 1 }) })
  expect(plan.loss).toEqual({ name: 'focal', options: { gamma: 1 } })
})

test.each([
  ['LOSS_UNUSED', { loss: focalLoss() }],
  ['LOSS_UNUSED', { ...shared, encoder: 'ngram', method: xrLinear(), loss: focalLoss() }],
  ['LOSS_DATA', { ...shared, method: flat(), loss: zlprLoss() }],
  ['LOSS_DATA', { ...shared, method: perNode(), loss: treeMarginLoss() }],
])('%s where it has no use or no sense', async (code, options) => {
  await expect(train(datasetOf(rows(4)), options)).rejects.toMatchObject({ code })
  await expect(planTrain(datasetOf(rows(4)), options)).rejects.toMatchObject({ code })
})

test('losses over the tree need one', async () => {
  const data = datasetOf(rows(6, 0, true))
  await expect(train(data, { ...shared, method: flat(), loss: treeSmoothingLoss() })).rejects.toMatchObject({
    code: 'LOSS_DATA',
  })
  await expect(planTrain(data, { ...shared, method: flat(), loss: asymmetricLoss() })).resolves.toBeDefined()
})
