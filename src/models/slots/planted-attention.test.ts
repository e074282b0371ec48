import { expect, test } from 'vitest'
import { compile, Graph, gradients, reduceSum, square } from '../../graph/index.ts'
import { encoderModel } from '../architectures.ts'
import { miniConfig } from '../mini.ts'
import { batchFeeds, gatherRows, tokenBatch } from '../token-batch.ts'
import { initialWeights } from '../weights.ts'
import { planted } from './planted-parameters.ts'

const vocabulary = 30
const units = 3
const config = miniConfig({ vocabularySize: vocabulary, layers: 1, hiddenSize: 8, heads: 2, maxLength: 16, dropout: 0 })
const texts = [
  [2, 7, 9, 8, 3],
  [2, 11, 3],
]

function modelOf(parts: ('table' | 'ranker' | 'linear')[], mix: 'sum' | 'learned' = 'sum') {
  const slots = { kind: 'planted-attention', parts, factors: 4, keep: { table: 2, ranker: 2 }, mix } as const
  const model = encoderModel({ ...config, slots }, { units })
  const weights = initialWeights(model, 1)
  const table = weights.get(planted.table)
  if (table) for (let i = 0; i < table.length; i++) table[i] = (i * 7) % 5 === 0 ? 0 : ((i * 13) % 10) / 10
  return { model, weights }
}

async function run({ model, weights }: ReturnType<typeof modelOf>) {
  const graph = new Graph()
  const { logits, hidden, slots } = model.build(graph)
  const session = await compile(graph, { logits: logits!, hidden: hidden!, attention: slots['attention']! })
  session.bind(new Map([...weights].filter(([name]) => session.has(name))))
  const batch = tokenBatch(texts, model)
  const rows = gatherRows(batch, weights.get(model.tokenTable)!, config.hiddenSize)
  const out = await session.run(batchFeeds(batch, rows, model), { dims: { B: batch.B, S: batch.S } })
  await session.close()
  return { S: batch.S, logits: out['logits']!, hidden: out['hidden']!, attention: out['attention']! }
}

/** The k largest of the scores, the others replaced. */
function kept(scores: readonly number[], k: number, other: number): number[] {
  const least = [...scores].sort((a, b) => b - a)[Math.min(k, scores.length) - 1]!
  return scores.map((score) => (score >= least ? score : other))
}

function softmaxOf(scores: readonly number[]): number[] {
  const exps = scores.map(Math.exp)
  return exps.map((value) => value / exps.reduce((a, b) => a + b))
}

test('table and ranker are looked up by token, keep the best, and add up', async () => {
  const setup = modelOf(['table', 'ranker'])
  const { S, logits, hidden, attention } = await run(setup)
  const { weights } = setup
  const [table, tokens, bias, factors, output] = [
    planted.table,
    planted.tokens,
    planted.tokenBias,
    planted.units,
    'slots.output.weight',
  ].map((name) => weights.get(name)!)
  for (const [b, text] of texts.entries())
    for (let unit = 0; unit < units; unit++) {
      const byTable = kept(
        text.map((token) => table![token * units + unit]!),
        2,
        0,
      )
      const byRanker = text.map((token) => {
        let score = bias![token]!
        for (let k = 0; k < 4; k++) score += tokens![token * 4 + k]! * factors![unit * 4 + k]!
        return score
      })
      const weight = softmaxOf(kept(byRanker, 2, -1e9)).map((value, s) => value + byTable[s]!)
      let logit = 0
      for (const [s, value] of weight.entries()) {
        expect(Number(attention[(b * units + unit) * S + s])).toBeCloseTo(value, 5)
        for (let i = 0; i < 8; i++) logit += value * Number(hidden[(b * S + s) * 8 + i]) * output![unit * 8 + i]!
      }
      expect(Number(logits[b * units + unit])).toBeCloseTo(logit, 5)
      for (let s = text.length; s < S; s++) expect(Number(attention[(b * units + unit) * S + s])).toBe(0)
    }
})

test('mixed attentions are weighed', async () => {
  const setup = modelOf(['table', 'linear'], 'learned')
  setup.weights.get(planted.mix)!.set([2, 0])
  const mixed = await run(setup)
  const alone = await run(modelOf(['table']))
  for (const [i, value] of alone.attention.entries())
    expect(Number(mixed.attention[i])).toBeCloseTo(2 * Number(value), 5)
})

test('the ranker is trained through its attention; an exported graph needs ids alone', async () => {
  const { model, weights } = modelOf(['table', 'ranker', 'linear'], 'learned')
  const graph = new Graph()
  const built = model.build(graph, { tokens: 'ids' })
  expect([...graph.inputs].filter(([, { kind }]) => kind === 'input').map(([name]) => name)).toEqual([
    'input_ids',
    'attention_mask',
  ])
  const loss = reduceSum(square(built.logits!))
  const [gradient] = gradients(loss, [built.parameters.get(planted.tokens)!])
  const session = await compile(graph, { gradient: gradient! })
  session.bind(new Map([...weights].filter(([name]) => session.has(name))))
  const ids = BigInt64Array.from(texts[0]!, BigInt)
  const feeds = { input_ids: ids, attention_mask: BigInt64Array.from(ids, () => 1n) }
  const found = Array.from((await session.run(feeds, { dims: { B: 1, S: ids.length } }))['gradient'] as Float32Array)
  await session.close()
  const touched = new Set(found.flatMap((value, i) => (value === 0 ? [] : [Math.floor(i / 4)])))
  expect(touched.size).toBeGreaterThan(0)
  for (const token of touched) expect(texts[0]).toContain(token)
})
