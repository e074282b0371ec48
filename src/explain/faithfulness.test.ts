import { beforeAll, expect, test } from 'vitest'
import type { Classifier } from '../classify/classifier.ts'
import { train } from '../classify/train.ts'
import { datasetOf } from '../data/dataset.ts'
import { nodeScore } from '../labels/node-score.ts'
import { areaUnder, faithfulness, shares } from './faithfulness.ts'
import { linearExplanation, occlusion } from './methods/index.ts'

const filler = ['please tell me', 'i want to know', 'could you say', 'the question is']
const rows = ['apple', 'pear', 'oslo', 'lima'].flatMap((word) =>
  filler.map((phrase) => ({ text: `${phrase} all about the ${word} today`, labels: [[word]] })),
)
const texts = rows.map(({ text }) => text)

let model: Classifier
beforeAll(async () => {
  model = await train(datasetOf(rows), { threads: 1, dev: datasetOf(rows) })
})

test('the area of 0.9, 0.5, 0.2, 0.1 over three equal steps is 0.4', () => {
  expect(areaUnder([0.9, 0.5, 0.2, 0.1])).toBeCloseTo(0.4, 12)
})

test('a method that finds the telling word beats random attributions on all three measures', async () => {
  for (const method of [linearExplanation(), occlusion()]) {
    const result = await faithfulness(model, texts, { method, sample: 12 })
    expect(result.texts).toBe(12)
    expect(result.removals.map(({ removal }) => removal)).toEqual(['delete'])
    for (const { method, random } of [result.removals[0]!.probability, result.removals[0]!.logOdds]) {
      expect(method.comprehensiveness).toBeGreaterThan(random.comprehensiveness)
      expect(method.sufficiency).toBeLessThan(random.sufficiency)
      expect(method.deletionAuc).toBeLessThan(random.deletionAuc)
    }
  }
})

test('the numbers are those of the definition, worked out by hand for one text', async () => {
  const text = 'the pear today'
  const { removals } = await faithfulness(model, [text], { method: linearExplanation() })
  const node = model.tree.find(['pear'])!
  const { layout, temperature } = model.settings
  const score = nodeScore(
    { ...layout, unitNodes: Int32Array.from(layout.unitNodes) },
    model.tree,
    temperature,
    node,
    'probability',
  )
  const f = async (kept: string) => score.value(await model.scorer.score([kept]))
  // "pear" is the strongest word; of three words, every share takes one but the half, which takes two.
  const full = await f(text)
  const [explained] = await import('./explain.ts').then(({ explain }) =>
    explain(model, [text], { method: linearExplanation() }),
  )
  const order = explained!.tokens
    .map(({ value }, i) => [value, i] as const)
    .sort((a, b) => b[0] - a[0])
    .map(([, i]) => i)
  expect(order[0]).toBe(1)
  const words = text.split(' ')
  const keep = (kept: (i: number) => boolean) => words.map((word, i) => (kept(i) ? word : ' ')).join(' ')
  const without = async (n: number) => f(keep((i) => !order.slice(0, n).includes(i)))
  const alone = async (n: number) => f(keep((i) => order.slice(0, n).includes(i)))
  const { comprehensiveness, sufficiency, deletionAuc } = removals[0]!.probability.method
  expect(shares.map((share) => Math.ceil(share * 3))).toEqual([1, 1, 1, 1, 2])
  expect(comprehensiveness).toBeCloseTo(full - (4 * (await without(1)) + (await without(2))) / 5, 6)
  expect(sufficiency).toBeCloseTo(full - (4 * (await alone(1)) + (await alone(2))) / 5, 6)
  expect(deletionAuc).toBeCloseTo(areaUnder([full, await without(1), await without(2), await without(3)]), 6)
})

test('the sample depends on the seed alone', async () => {
  const options = { method: linearExplanation(), sample: 5 }
  const a = await faithfulness(model, texts, { ...options, seed: 1 })
  expect(await faithfulness(model, texts, { ...options, seed: 1 })).toEqual(a)
  expect(await faithfulness(model, texts, { ...options, seed: 2 })).not.toEqual(a)
})

test('bad options are refused', async () => {
  await expect(faithfulness(model, [])).rejects.toMatchObject({ code: 'DATA_EMPTY' })
  await expect(faithfulness(model, texts, { sample: 0 })).rejects.toMatchObject({ code: 'OPTION_RANGE' })
})
