import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import {
  type ScriptedCall,
  type ScriptedChat,
  type ScriptedReply,
  scriptedChat,
} from '../../test/support/scripted-chat.ts'
import { temporaryFolder } from '../../test/temporary-folder.ts'
import { datasetOf } from '../data/dataset.ts'
import { evaluate } from './evaluate.ts'
import { loadClassifier } from './load-classifier.ts'
import { htcLlm } from './methods/htc-llm.ts'
import { planTrain } from './plan-train.ts'
import { predict } from './predict.ts'
import { rateDataset } from './rate.ts'
import { train } from './train.ts'

const rows = [
  ['travel', 'flights', 'book me a plane to rome'],
  ['travel', 'flights', 'my plane is late'],
  ['travel', 'hotels', 'a room with a view'],
  ['travel', 'hotels', 'the room was dirty'],
  ['money', 'cards', 'my card was stolen'],
  ['money', 'cards', 'the card does not work'],
  ['money', 'transfers', 'send ten euros to ann'],
  ['money', 'transfers', 'where is the money I sent'],
].map(([area, topic, text]) => ({ text: text!, labels: [[area!, topic!]] }))
const data = datasetOf(rows)

const words: [RegExp, string, string][] = [
  [/plane/, 'travel', 'flights'],
  [/room/, 'travel', 'hotels'],
  [/card/, 'money', 'cards'],
  [/sen[dt]/, 'money', 'transfers'],
]
/** The right label among those offered, whatever they are called. */
const right = ({ text, offered }: ScriptedCall): string => {
  const [, area, topic] = words.find(([word]) => word.test(text))!
  return offered.find((label) => [area, topic, `${area} > ${topic}`].includes(label))!
}

let chat: ScriptedChat
const start = async (
  reply: (call: ScriptedCall, number: number) => ScriptedReply,
  options?: { countTokens: boolean },
) => {
  chat = await scriptedChat(reply, options)
  return chat.url
}
afterEach(() => chat?.close())

const { folder } = temporaryFolder()
const usual = { model: 'scripted', retries: 2, concurrency: 2 } as const
const ask = ['the plane', 'a room', 'card', 'I sent it']

describe('htc-llm', () => {
  it.each(['direct-leaf', 'direct-hierarchical', 'top-down', 'retrieve'] as const)(
    'answers by %s',
    async (strategy) => {
      const endpoint = await start(right)
      const model = await train(data, { method: htcLlm({ ...usual, endpoint, strategy, candidates: 3 }) })
      const answers = await predict(model, ask)
      expect(answers.map(({ path }) => path.at(-1))).toEqual(['flights', 'hotels', 'cards', 'transfers'])
      expect(chat.calls).toHaveLength(strategy === 'top-down' ? 8 : 4)
      expect(chat.calls[0]!.offered).toHaveLength({ 'top-down': 2, retrieve: 3 }[strategy as string] ?? 4)
      expect(chat.calls[0]!.body).toMatchObject({ model: 'scripted', temperature: 0 })
      const usage = model.scorer.usage!()
      expect(usage).toMatchObject({
        texts: 4,
        calls: chat.calls.length,
        retries: 0,
        repairs: 0,
        unparsed: 0,
        estimatedCalls: 0,
      })
    },
  )

  it('shows examples of the offered labels, and orders options anew for each text', async () => {
    const endpoint = await start(right)
    const model = await train(data, { method: htcLlm({ ...usual, endpoint, shots: 1 }) })
    await predict(model, ['plane 1', 'plane 2', 'plane 3', 'plane 4'])
    const orders = new Set(chat.calls.map(({ offered }) => offered.join()))
    expect(orders.size).toBeGreaterThan(1)
    const { messages } = chat.calls[0]!.body as { messages: { content: string }[] }
    expect(messages[0]!.content.match(/^Label: /gm)).toHaveLength(4)
    const again = await train(data, { method: htcLlm({ ...usual, endpoint, shots: 1 }) })
    const before = chat.calls.map(({ offered }) => offered.join()).sort()
    await predict(again, ['plane 1', 'plane 2', 'plane 3', 'plane 4'])
    expect(
      chat.calls
        .slice(4)
        .map(({ offered }) => offered.join())
        .sort(),
    ).toEqual(before)
  })

  it('asks again after a reply that names no label, then gives no answer rather than a guess', async () => {
    const endpoint = await start((call) => (call.text.includes('room') || !call.again ? 'something else' : right(call)))
    const model = await train(data, { method: htcLlm({ ...usual, endpoint, strategy: 'direct-leaf' }) })
    const [plane, room] = await predict(model, ['the plane', 'a room'])
    expect(plane!.path).toEqual(['travel', 'flights'])
    expect(room).toMatchObject({ path: [], confidence: [], paths: [] })
    expect(model.scorer.usage!()).toMatchObject({ calls: 4, repairs: 2, unparsed: 1 })
    const { metrics } = await evaluate(model, data)
    expect(metrics.exactPath).toBeCloseTo(6 / 8, 12)
  })

  it('tries again where the endpoint is busy, and counts the requests', async () => {
    const endpoint = await start((call, number) =>
      number < 2 ? { status: number === 0 ? 429 : 503, headers: { 'retry-after': '0' } } : right(call),
    )
    const model = await train(data, { method: htcLlm({ ...usual, endpoint, concurrency: 1 }) })
    expect((await predict(model, ['card']))[0]!.path).toEqual(['money', 'cards'])
    expect(model.scorer.usage!()).toMatchObject({ calls: 1, retries: 2 })
  }, 20_000)

  it('estimates tokens where the endpoint does not count them', async () => {
    const endpoint = await start(right, { countTokens: false })
    const model = await train(data, { method: htcLlm({ ...usual, endpoint, priceInput: 2, priceOutput: 4 }) })
    await predict(model, ['card'])
    const usage = model.scorer.usage!()
    expect(usage).toMatchObject({ calls: 1, estimatedCalls: 1 })
    expect(usage['price']).toBeCloseTo((2 * usage['inputTokens']! + 4 * usage['outputTokens']!) / 1e6, 12)
  })

  it.each([
    [{ status: 401 }, /HTTP 401/, /SCRIPTED_KEY/],
    [{ status: 404 }, /HTTP 404/, /name of the model/],
    [{ status: 200, body: '<html>' }, /no answer/, /run the same command again/],
  ] as const)('says what to do about %j', async (fault, message, help) => {
    const endpoint = await start(() => fault)
    const method = htcLlm({ ...usual, endpoint, retries: 0, apiKeyEnv: 'SCRIPTED_KEY' })
    const model = await train(data, { method })
    await expect(predict(model, ask)).rejects.toMatchObject({
      code: 'LLM_CALL',
      message: expect.stringMatching(message),
      help: expect.stringMatching(help),
    })
  })

  it('gives up on an endpoint that does not answer in time', async () => {
    const endpoint = await start(() => undefined)
    const model = await train(data, { method: htcLlm({ ...usual, endpoint, retries: 0, timeoutSeconds: 0.2 }) })
    await expect(predict(model, ['card'])).rejects.toMatchObject({ code: 'LLM_CALL' })
  })

  it('stops when asked to', async () => {
    const endpoint = await start(() => undefined)
    const model = await train(data, { method: htcLlm({ ...usual, endpoint }) })
    const stop = new AbortController()
    setTimeout(() => stop.abort(), 50)
    await expect(predict(model, ['card'], { signal: stop.signal })).rejects.toMatchObject({ code: 'INTERRUPTED' })
  })

  it('saves and loads; the key is read from the environment and never written', async () => {
    const endpoint = await start(right)
    process.env['SCRIPTED_KEY'] = 'sesame'
    try {
      const out = join(folder, 'model')
      const method = htcLlm({
        ...usual,
        endpoint,
        strategy: 'retrieve',
        candidates: 2,
        shots: 1,
        apiKeyEnv: 'SCRIPTED_KEY',
      })
      await train(data, { method, out, dev: data })
      expect(chat.calls).toHaveLength(0)
      const loaded = await loadClassifier(out)
      expect((await predict(loaded, ['card']))[0]!.path).toEqual(['money', 'cards'])
      expect(chat.calls[0]!.headers['authorization']).toBe('Bearer sesame')
      for (const file of ['config.json', 'classifier.json', 'espalier.json'])
        expect(await readFile(join(out, file), 'utf8')).not.toContain('sesame')
    } finally {
      delete process.env['SCRIPTED_KEY']
    }
  })

  it('plans the cost of all strategies before anything is spent', async () => {
    const endpoint = await start(right)
    const plan = await planTrain(data, { method: htcLlm({ ...usual, endpoint, priceInput: 1 }) })
    expect(plan.warnings.filter((line) => line.includes('a text, '))).toHaveLength(4)
    expect(plan.warnings.find((line) => line.includes('(chosen)'))).toMatch(/^direct-leaf: 1 call a text, \d+ input/)
    expect(chat.calls).toHaveLength(0)
  })

  it('refuses several labels per row, a missing model name, an endpoint that is no URL', async () => {
    const several = datasetOf([
      ...rows,
      {
        text: 'both',
        labels: [
          ['money', 'cards'],
          ['travel', 'hotels'],
        ],
      },
    ])
    await expect(train(several, { method: htcLlm({ model: 'm' }) })).rejects.toMatchObject({ code: 'METHOD_DATA' })
    await expect(train(data, { method: htcLlm() })).rejects.toMatchObject({ code: 'METHOD_OPTION' })
    await expect(train(data, { method: htcLlm({ model: 'm', endpoint: 'localhost' }) })).rejects.toMatchObject({
      code: 'LLM_ENDPOINT',
    })
  })

  it('rates rows by the prompt they need, in order or by a selector, and counts the calls', async () => {
    // The script solves flights at level 1, hotels at 4 (three calls: about, group, label), cards at 5 (three statements and the label), transfers never.
    const reply = ({ text, body }: ScriptedCall): string => {
      const { messages } = body as { messages: { content: string }[] }
      const prompt = messages[0]!.content
      const user = messages[1]!.content
      if (prompt.startsWith('How elaborate')) return user.includes('wrong') ? '4' : '2'
      if (/plane/.test(text)) return 'Thinking...\nLabel: flights'
      if (/room/.test(text) && /found out/.test(prompt)) return 'Label: hotels'
      if (/card/.test(text) && user.includes('Knowledge: ')) return 'Label: cards'
      return 'who knows'
    }
    const endpoint = await start((call) => reply(call))
    const model = await train(data, { method: htcLlm({ ...usual, endpoint, shots: 1 }) })
    const manual = await rateDataset(model, data, { penalty: 2 })
    expect(manual.items.map(({ level }) => level)).toEqual([1, 1, 4, 4, 5, 5, undefined, undefined])
    expect(manual.score).toBe((1 + 1 + 4 + 4 + 5 + 5 + 7 + 7) / 8)
    expect(model.scorer.usage!()).toMatchObject({ calls: 2 * 1 + 2 * (3 + 3) + 4 * (3 + 3 + 4) })
    const adaptive = await rateDataset(model, data, { penalty: 2, adaptive: true, rows: 3 })
    expect(adaptive.items.map(({ level, rounds, score }) => [level, rounds, score])).toEqual([
      [2, 1, 3],
      [2, 1, 3],
      [4, 2, 6],
    ])
  })

  it('rates with chat models that have examples to show, and with no other model', async () => {
    const endpoint = await start(right)
    const bare = await train(data, { method: htcLlm({ ...usual, endpoint }) })
    await expect(rateDataset(bare, data, { penalty: 1 })).rejects.toMatchObject({ code: 'METHOD_OPTION' })
    await expect(rateDataset(await train(data), data, { penalty: 1 })).rejects.toMatchObject({ code: 'METHOD_DATA' })
  })
})
