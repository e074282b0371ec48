import { describe, expect, it } from 'vitest'
import { LabelTree } from '../../labels/label-tree.ts'
import { drawExamples } from './example-bank.ts'
import { parseReply } from './parse-reply.ts'
import { planCalls } from './plan-calls.ts'
import { askForLabel } from './prompt.ts'
import { choose, leafOffers } from './strategies.ts'
import { estimateTokens, priceOf, TokenLedger } from './token-ledger.ts'

/** 10 domains of 15 intents; with "- " and the line's end a name is 16 characters, 4 tokens. */
const domains = Array.from({ length: 10 }, (_, d) => `domain-${String(d).padStart(6, '0')}`)
const tree = LabelTree.fromPaths(
  domains.flatMap((domain, d) =>
    Array.from({ length: 15 }, (_, i) => [domain, `intent-${String(d * 15 + i).padStart(6, '0')}`]),
  ),
)
const bank = tree.nodes.map(() => [])

describe('the ledger', () => {
  it('prices the calls of the catalogue', () => {
    const prices = { input: 0.15, output: 0.6 }
    expect(priceOf({ inputTokens: 680, outputTokens: 5 }, prices)).toBeCloseTo(0.000105, 12)
    expect(priceOf({ inputTokens: 260, outputTokens: 10 }, prices)).toBeCloseTo(0.000045, 12)
    expect(priceOf({ inputTokens: 680, outputTokens: 5, cachedTokens: 600 }, { ...prices, cached: 0.015 })).toBeCloseTo(
      (80 * 0.15 + 600 * 0.015 + 3) / 1e6,
      12,
    )
  })

  it('plans the tokens of each strategy: instruction + text + options, summed over calls', () => {
    const plan = planCalls({
      tree,
      ends: tree.leaves,
      bank,
      textTokens: 20,
      candidates: 15,
      prices: { input: 1, output: 1 },
    })
    const [leaf, hierarchical, topDown, retrieve] = plan
    const { system, user } = askForLabel({ text: '', offers: [], examples: [] })
    const instruction = estimateTokens(system) + estimateTokens(user)
    const exact = (tokens: number) => (value: number) => expect(Math.abs(value - tokens)).toBeLessThan(1)
    exact(instruction + 20 + 150 * 4)(leaf!.inputTokens)
    exact(instruction + 20 + 10 * 4 + instruction + 20 + 15 * 4)(topDown!.inputTokens)
    exact(instruction + 20 + 15 * 4)(retrieve!.inputTokens)
    // A path has both names and a mark of 3 characters; its line is 32 characters, 8 tokens. The instruction says what paths are.
    const paths = askForLabel({ text: '', offers: [], examples: [], paths: true })
    exact(estimateTokens(paths.system) + estimateTokens(paths.user) + 20 + 150 * 8)(hierarchical!.inputTokens)
    expect([leaf!.calls, hierarchical!.calls, topDown!.calls, retrieve!.calls]).toEqual(
      [1, 1, 2, 1].map((n) => expect.closeTo(n, 9)),
    )
  })

  it('counts every request, and estimates only what the endpoint did not count', () => {
    const ledger = new TokenLedger({ input: 1, output: 2 })
    const prompt = { system: 'x'.repeat(40), user: 'y'.repeat(8), maxOutputTokens: 9 }
    ledger.call(prompt, { text: 'abc', attempts: 3, inputTokens: 11, outputTokens: 2 })
    ledger.call(prompt, { text: 'abcde', attempts: 1 })
    ledger.text(true)
    ledger.text(false)
    expect(ledger.total).toEqual({
      texts: 2,
      calls: 2,
      retries: 2,
      repairs: 0,
      unparsed: 1,
      inputTokens: 23,
      cachedTokens: 0,
      outputTokens: 4,
      estimatedCalls: 1,
      price: expect.closeTo(31e-6, 12),
    })
  })
})

describe('parseReply', () => {
  const offered = ['book_flight', 'book_hotel', 'Tire Pressure', 'yes', 'no']
  it.each([
    ['book_hotel', 1],
    ['  "book_hotel".\nbecause it is one', 1],
    ['- tire pressure', 2],
    ['tire_pressure', 2],
    ['Label: Tire', 2],
    ['{"label": "book flight"}', 0],
    ['book_fligth', 0],
    ['**yes**', 3],
    ['ye', 3],
  ])('reads %j', (reply, index) => expect(parseReply(reply, offered)).toBe(index))

  it.each(['book', 'boat', '', '\n\n', 'I cannot tell', '{"label": 3}', 'yo'])('refuses %j', (reply) =>
    expect(parseReply(reply, offered)).toBeUndefined(),
  )
})

describe('strategies', () => {
  const small = LabelTree.fromPaths([
    ['a', 'other'],
    ['a', 'x'],
    ['b', 'other'],
    ['c', 'only'],
  ])
  const node = (...path: string[]) => small.find(path)!

  it('names two leaves of one name by their paths', () => {
    expect(leafOffers(small, small.leaves).map(({ label }) => label)).toEqual(['a > other', 'x', 'b > other', 'only'])
  })

  it('takes a single child without a call', async () => {
    const asked: string[][] = []
    const found = await choose('top-down', {
      tree: small,
      ends: small.leaves,
      async ask(offers) {
        asked.push(offers.map(({ label }) => label))
        return offers.find(({ label }) => label === 'c')
      },
    })
    expect(found).toBe(node('c', 'only'))
    expect(asked).toEqual([['a', 'b', 'c']])
  })

  it('goes back where none of the children fits', async () => {
    const answers = ['a', 'none of these', 'c']
    const found = await choose('top-down', {
      tree: small,
      ends: small.leaves,
      goBack: true,
      async ask(offers) {
        const label = answers.shift() ?? 'only'
        return offers.find((offer) => offer.label === label)
      },
    })
    expect(found).toBe(node('c', 'only'))
  })

  it('offers the label itself where a path may end at it', async () => {
    const found = await choose('top-down', {
      tree: small,
      ends: [...small.leaves, node('a')],
      ask: async (offers) => offers.find(({ label }) => label === 'a (in general)') ?? offers[0],
    })
    expect(found).toBe(node('a'))
  })
})

describe('drawExamples', () => {
  it('spreads the texts of an inner node over its children', () => {
    const small = LabelTree.fromPaths([
      ['a', 'x'],
      ['a', 'y'],
    ])
    const x = small.find(['a', 'x'])!
    const y = small.find(['a', 'y'])!
    const rows = { texts: ['x1', 'x2', 'x3', 'y1'], labels: [[x], [x], [x], [y]] }
    const drawn = drawExamples(small, rows, 2, 0)
    expect(drawn[x]).toHaveLength(2)
    expect(drawn[y]).toEqual(['y1'])
    expect(drawn[small.find(['a'])!]!.map((text) => text[0]).sort()).toEqual(['x', 'y'])
    expect(drawExamples(small, rows, 2, 0)).toEqual(drawn)
  })
})
