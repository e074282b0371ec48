import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Classifier } from '../classify/classifier.ts'
import { conditionalSoftmax, flat, perNode } from '../classify/methods/index.ts'
import { train } from '../classify/train.ts'
import { datasetOf } from '../data/dataset.ts'
import { encoderModel, initialWeights, miniConfig, openEncoder } from '../models/index.ts'
import { tokenizerFrom } from '../text/tokenizer.ts'
import { trainWordPiece } from '../text/train-wordpiece.ts'
import { explain } from './explain.ts'
import type { Explainable } from './explainable.ts'
import {
  attentionRollout,
  integratedGradients,
  kernelShap,
  lime,
  linearExplanation,
  occlusion,
} from './methods/index.ts'

const words: Record<string, [string, string[]]> = {
  apple: ['fruit', ['an apple a day', 'red apple, please', 'the apple tree apple']],
  pear: ['fruit', ['a ripe pear', 'pear or plum', 'the pear tree']],
  oslo: ['city', ['fly to oslo', 'oslo in winter', 'the road to oslo']],
  tokyo: ['city', ['fly to 東京', '東京 in spring', 'trains in 東京']],
}
const rows = Object.entries(words).flatMap(([leaf, [parent, texts]]) =>
  texts.map((text) => ({ text, labels: [[parent, leaf]] })),
)
const heads = [flat(), conditionalSoftmax(), perNode()]
const text = 'The apple, the APPLE: trains to 東京!'

let ngrams: Classifier[]
let encoder: Explainable
let closeEncoder: () => Promise<void>
beforeAll(async () => {
  ngrams = []
  for (const method of heads) ngrams.push(await train(datasetOf(rows), { method, threads: 1, dev: datasetOf(rows) }))
  const tokenizer = await tokenizerFrom(
    trainWordPiece(
      rows.map((row) => row.text),
      { vocabularySize: 200 },
    ),
  )
  const config = miniConfig({
    vocabularySize: tokenizer.vocabularySize,
    layers: 2,
    hiddenSize: 32,
    heads: 4,
    maxLength: 24,
  })
  const [first] = ngrams
  const model = encoderModel(config, { units: first!.scorer.units })
  const weights = initialWeights(model, 5)
  const runtime = await openEncoder(model, weights, 'logits')
  closeEncoder = () => runtime.close()
  const { tree, settings, terminals, probabilities } = first!
  const parts = { kind: 'encoder' as const, model, weights, tokenizer, maxLength: 24, threads: 1 }
  encoder = {
    tree,
    settings,
    terminals,
    probabilities,
    scorer: { kind: 'bert', parts: { ...parts, run: (ids: readonly Int32Array[]) => runtime.run(ids) } },
  }
})
afterAll(() => closeEncoder())

const sumOf = (tokens: readonly { value: number }[]) => tokens.reduce((sum, { value }) => sum + value, 0)

describe('linear', () => {
  test('words with their offsets; what they add sums with the empty text to the logit', async () => {
    for (const model of ngrams) {
      const leaf = model.settings.method.name === 'flat' ? ['fruit', 'apple'] : ['fruit']
      const [explanation] = await explain(model, [text], { method: linearExplanation(), score: 'logit', label: leaf })
      const { tokens, score, truncated } = explanation!
      expect(tokens.map((token) => token.text)).toEqual([
        'The',
        'apple',
        ',',
        'the',
        'APPLE',
        ':',
        'trains',
        'to',
        '東',
        '京',
        '!',
      ])
      for (const token of tokens) expect(text.slice(token.start, token.end)).toBe(token.text)
      expect(truncated).toBe(false)
      const unit = model.settings.layout.unitNodes.indexOf(model.tree.find(leaf)!)
      const logit = (await model.scorer.score([text]))[unit]!
      const bias = (await model.scorer.score(['']))[unit]!
      expect(score.base).toBe(bias)
      expect(score.value).toBe(logit)
      expect(Math.abs(bias + sumOf(tokens) - logit)).toBeLessThan(1e-5)
      expect(score.error).toBeLessThan(1e-5)
      // Both places of a repeated word have their part, and it speaks for its label.
      expect(tokens[1]!.value).toBeGreaterThan(0)
      expect(tokens[4]!.value).toBeGreaterThan(0)
    }
  })

  test('log-odds and probability of every node, leaf or inner, are complete', async () => {
    for (const model of ngrams)
      for (const node of model.tree.nodes)
        for (const score of ['log-odds', 'probability'] as const) {
          const [found] = await explain(model, [text], {
            method: linearExplanation(),
            score,
            label: model.tree.path(node.id),
          })
          expect(found!.score.error).toBeLessThan(1e-4)
          const [{ marginal }] = [model.probabilities(await model.scorer.score([text]))]
          expect(found!.probability).toBeCloseTo(marginal[node.id]!, 6)
        }
  })

  test('is refused for encoders', async () => {
    await expect(explain(encoder, [text], { method: linearExplanation() })).rejects.toMatchObject({
      code: 'EXPLAIN_METHOD',
    })
  })
})

describe('integrated gradients', () => {
  test('are complete, the better the more steps; offsets are those of the tokens', async () => {
    const errors: number[] = []
    for (const steps of [4, 16, 128]) {
      const [found] = await explain(encoder, [text], { method: integratedGradients({ steps }), label: ['city'] })
      errors.push(found!.score.error!)
      expect(found!.details['steps']).toBe(steps)
      for (const token of found!.tokens) expect(text.slice(token.start, token.end)).toBe(token.text)
    }
    expect(errors[2]).toBeLessThan(1e-4)
    expect(errors[2]!).toBeLessThan(errors[0]! + 1e-6)
  })

  test.each(['mask', 'pad', 'zero'] as const)('from a baseline of %s, towards a leaf and a logit', async (baseline) => {
    const method = integratedGradients({ steps: 200, baseline })
    const [logOdds] = await explain(encoder, ['fly to oslo'], { method })
    const label = ['city', 'oslo']
    const [logit] = await explain(encoder, ['fly to oslo'], { method, label, score: 'logit' })
    expect(logOdds!.score.error).toBeLessThan(2e-3)
    expect(logit!.score.error).toBeLessThan(2e-3)
  })

  test('are refused for n-grams', async () => {
    const refused = explain(ngrams[0]!, [text], { method: integratedGradients() })
    await expect(refused).rejects.toMatchObject({ code: 'EXPLAIN_METHOD' })
  })
})

test('attention rollout is what the layers pass on: not negative, at most one in all, the same for every label', async () => {
  const [a] = await explain(encoder, [text], { method: attentionRollout(), label: ['city'] })
  const [b] = await explain(encoder, [text], { method: attentionRollout(), label: ['fruit'] })
  expect(a!.tokens).toEqual(b!.tokens)
  for (const { value } of a!.tokens) expect(value).toBeGreaterThan(0)
  expect(sumOf(a!.tokens)).toBeLessThan(1)
})

describe.each(['ngram', 'encoder'])('any-model methods on an %s', (kind) => {
  const model = () => (kind === 'ngram' ? ngrams[1]! : encoder)

  test('occlusion is the loss without each token', async () => {
    const method = occlusion({ removal: 'delete' })
    const [whole] = await explain(model(), ['fly to oslo'], { method, label: ['city'] })
    expect(whole!.tokens.map((token) => token.text)).toEqual(['fly', 'to', 'oslo'])
    const [without] = await explain(model(), ['fly to'], { method, label: ['city'] })
    expect(whole!.tokens[2]!.value).toBeCloseTo(whole!.score.value - without!.score.value, 5)
  })

  test('kernel-shap sums to the score and says that it is exact', async () => {
    const [found] = await explain(model(), ['fly to 東京 in winter'], { method: kernelShap(), label: ['city'] })
    expect(found!.score.error).toBeLessThan(1e-9)
    expect(found!.details['exact']).toBe(1)
  })

  test('lime is the same for the same seed, and near kernel-shap in its order', async () => {
    const options = { method: lime({ samples: 300 }), seed: 4 }
    const [a] = await explain(model(), ['fly to 東京'], options)
    const [b] = await explain(model(), ['fly to 東京'], options)
    expect(a).toEqual(b)
    expect(a!.details['r2']).toBeGreaterThan(0)
  })
})

test('what is left out of a long text is said', async () => {
  const long = Array.from({ length: 40 }, () => 'oslo').join(' ')
  const [found] = await explain(encoder, [long], { method: occlusion() })
  expect(found!.truncated).toBe(true)
  expect(found!.tokens.length).toBeLessThanOrEqual(22)
})

test('bad input is refused with typed errors', async () => {
  const [flatModel] = ngrams
  await expect(explain(flatModel!, ['a', ' '])).rejects.toMatchObject({ code: 'TEXT_EMPTY' })
  await expect(explain(flatModel!, ['a'], { label: ['fruit', 'plum'] })).rejects.toMatchObject({
    code: 'LABEL_UNKNOWN',
  })
  await expect(explain(flatModel!, ['a'], { label: ['fruit'], score: 'logit' })).rejects.toMatchObject({
    code: 'EXPLAIN_LOGIT',
  })
  const masked = explain(flatModel!, ['a'], { method: occlusion({ removal: 'mask' }) })
  await expect(masked).rejects.toMatchObject({ code: 'EXPLAIN_MASK' })
  expect(() => lime({ samples: 1 })).toThrow(expect.objectContaining({ code: 'METHOD_OPTION' }))
  const controller = new AbortController()
  controller.abort()
  await expect(explain(flatModel!, ['a'], { signal: controller.signal })).rejects.toMatchObject({ code: 'INTERRUPTED' })
})
