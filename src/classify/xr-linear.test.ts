import { createHash } from 'node:crypto'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { datasetOf } from '../data/dataset.ts'
import { XrLinearModel } from '../models/xr-linear.ts'
import { random } from '../tensor/random.ts'
import { evaluate } from './evaluate.ts'
import { loadClassifier } from './load-classifier.ts'
import { xrLinear } from './methods/index.ts'
import { planTrain } from './plan-train.ts'
import { predict } from './predict.ts'
import { train } from './train.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-xr-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const areas = 12
const perArea = 10

/** Rows of 120 labels in 12 areas; words of the label, of its area, and words that say nothing. */
function rows(count: number, key: string, several = false) {
  const r = random('xr rows', key)
  let at = 0
  const below = (n: number) => Math.floor(r.uniform(at++) * n)
  return Array.from({ length: count }, (_, i) => {
    const label = i < areas * perArea ? i : below(areas * perArea)
    const labels = several && below(2) === 0 ? [label, (label + areas) % (areas * perArea)] : [label]
    const words = Array.from({ length: 10 }, () => {
      const source = below(10)
      const own = labels[below(labels.length)]!
      return source < 5 ? `own${own}x${below(4)}` : source < 7 ? `area${own % areas}x${below(3)}` : `filler${below(50)}`
    })
    return { text: words.join(' '), labels: labels.map((id) => [`area ${id % areas}`, `label ${id}`]) }
  })
}
const single = datasetOf(rows(1200, 'train'))
const several = datasetOf(rows(1200, 'train', true))
const test1 = datasetOf(rows(300, 'test'))
const small = { branching: 4, leafSize: 8, beam: 6 } as const
const digest = async (out: string) =>
  createHash('sha256')
    .update(await readFile(join(out, 'model.safetensors')))
    .digest('hex')

test.each([
  ['learnt', 'tfn', 'words'],
  ['learnt', 'tfn+man', 'characters'],
  ['labels', 'tfn', 'words'],
] as const)(
  'learns one label a row (tree %s, negatives %s, %s), and is the same after saving',
  async (tree, negatives, features) => {
    const out = join(folder, `${tree}-${negatives}`)
    const model = await train(single, { method: xrLinear({ ...small, tree, negatives, features }), out, threads: 1 })
    const { metrics } = await evaluate(model, test1)
    expect(metrics.precisionAt!['1']).toBeGreaterThan(0.95)
    expect(metrics.consistency).toBe(1)
    const loaded = await loadClassifier(out)
    const texts = rows(20, 'other').map(({ text }) => text)
    expect(await predict(loaded, texts, { topK: 3 })).toEqual(await predict(model, texts, { topK: 3 }))
    await loaded.close()
  },
)

test('learns several labels a row', async () => {
  const model = await train(several, { method: xrLinear(small), threads: 1, dev: datasetOf(rows(300, 'dev', true)) })
  expect(model.settings.multiLabel).toBe(true)
  const { metrics } = await evaluate(model, datasetOf(rows(300, 'test', true)))
  expect(metrics.microF1).toBeGreaterThan(0.85)
})

test('gives the same bytes on one thread and on two', async () => {
  const digests = []
  for (const threads of [1, 2]) {
    const out = join(folder, `threads-${threads}`)
    await train(single, { method: xrLinear({ ...small, negatives: 'tfn+man' }), out, threads })
    digests.push(await digest(out))
  }
  expect(digests[1]).toBe(digests[0])
})

test('an interrupted run goes on to the same bytes', async () => {
  const options = { method: xrLinear(small), threads: 1 }
  const whole = join(folder, 'whole')
  await train(single, { ...options, out: whole })
  const out = join(folder, 'resumed')
  const controller = new AbortController()
  const stopped = train(single, {
    ...options,
    out,
    signal: controller.signal,
    onProgress: ({ step, done }) => step === 'train xr-linear' && done >= 5 && controller.abort(),
  })
  await expect(stopped).rejects.toMatchObject({ code: 'INTERRUPTED' })
  await train(single, { ...options, out, resume: true })
  expect(await digest(out)).toBe(await digest(whole))
})

test('a search with a beam as wide as the tree finds what looking at every label finds', async () => {
  const model = await train(single, { method: xrLinear(small), threads: 1 })
  const texts = rows(30, 'wide').map(({ text }) => text)
  const all = await model.scorer.rank!(texts, areas * perArea, { beam: 1000 })
  const dense = await model.scorer.score(texts, {})
  for (let row = 0; row < texts.length; row++) {
    const units = all.units.subarray(all.offsets[row]!, all.offsets[row + 1]!)
    expect(new Set(units).size).toBe(areas * perArea)
    const logits = Array.from(units, (_, i) => all.logits[all.offsets[row]! + i]!)
    expect(logits).toEqual([...logits].sort((a, b) => b - a))
    const own = dense.subarray(row * areas * perArea, (row + 1) * areas * perArea)
    expect(own[units[0]!]).toBe(Math.max(...own))
  }
})

test('other decoders than leaf-up and threshold are refused', async () => {
  const model = await train(single, { method: xrLinear(small), threads: 1 })
  await expect(predict(model, ['own3x1'], { decoder: { name: 'top-down' } })).rejects.toMatchObject({
    code: 'DECODER_RANKED',
  })
  const [answer] = await predict(model, ['own3x1 own3x2 area3x0'], { decoder: { name: 'leaf-up' } })
  expect(answer!.path).toEqual(['area 3', 'label 3'])
})

test('a transformer is refused; a plan says what it would cost', async () => {
  await expect(train(single, { method: xrLinear(), encoder: 'mini' })).rejects.toMatchObject({ code: 'METHOD_DATA' })
  const plan = await planTrain(single, { method: xrLinear() })
  expect(plan.labels.units).toBe(areas * perArea)
  expect(plan.peakMemoryBytes).toBeGreaterThan(1e8)
})

test('damaged files are refused', async () => {
  const out = join(folder, 'damaged')
  await train(single, { method: xrLinear(small), out, threads: 1 })
  const file = await open(join(out, 'model.safetensors'), 'r+')
  const { size } = await file.stat()
  const weights = (await readFile(join(out, 'model.safetensors'))).subarray(size - 4000)
  await file.write(new Uint8Array(weights.length).fill(255), 0, weights.length, size - weights.length)
  await file.close()
  const model = await XrLinearModel.load(out)
  expect(() =>
    model.rank(
      rows(200, 'test').map(({ text }) => text),
      5,
    ),
  ).toThrow(expect.objectContaining({ code: 'XR_TENSORS' }))
  model.close()
})
