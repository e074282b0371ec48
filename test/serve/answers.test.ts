/** What the server answers: the shapes that clients of text-embeddings-inference and OpenAI expect, and values equal to those of the library. */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadClassifier } from '../../src/classify/load-classifier.ts'
import { predict } from '../../src/classify/predict.ts'
import { espalier } from '../cli/espalier.ts'
import { jsonl, tickets } from '../cli/tickets.ts'
import { temporaryFolder } from '../temporary-folder.ts'
import { serveForTest, type TestServer, ticketModels } from './serving.ts'

const { folder, write } = temporaryFolder()
let models: { ngram: string; mini: string }
let server: TestServer

beforeAll(async () => {
  models = await ticketModels(folder, write)
  server = await serveForTest({ models })
})
afterAll(() => server.server.close())

const texts = ['where is my refund', 'the app crashes again', 'I cannot log in']

describe('/predict', () => {
  it('gives one text a list of labels with scores, best first, and a batch a list of lists', async () => {
    const { status, body: one } = await server.post('/predict', { inputs: texts[0] })
    expect(status).toBe(200)
    expect(one.map(({ label }: { label: string }) => label).sort()).toEqual([
      'app › crash',
      'app › login',
      'billing › invoice',
      'billing › refund',
    ])
    expect(one[0].label).toBe('billing › refund')
    const scores = one.map(({ score }: { score: number }) => score)
    expect(scores).toEqual([...scores].sort((a, b) => b - a))
    expect(scores.reduce((sum: number, score: number) => sum + score, 0)).toBeCloseTo(1, 6)
    const { body: batch } = await server.post('/predict', { inputs: texts.map((text) => [text]) })
    expect(batch).toHaveLength(3)
    expect(batch[0]).toEqual(one)
    expect((await server.post('/predict', { inputs: [texts[0]] })).body).toEqual(one)
  })

  it('gives logits as raw scores', async () => {
    const { body } = await server.post('/predict', { inputs: texts[0], raw_scores: true, model: 'mini' })
    const model = await loadClassifier(models.mini)
    const logits = await model.scorer.score([texts[0]!])
    await model.close()
    expect(body.map(({ score }: { score: number }) => score)).toEqual([...logits].sort((a, b) => b - a))
  })

  it('refuses pairs: no model here reads them', async () => {
    const { status, body } = await server.post('/predict', { inputs: ['one', 'two'] })
    expect(status).toBe(422)
    expect(body).toMatchObject({ error_type: 'Validation', code: 'PAIR_UNSUPPORTED' })
  })
})

describe.each(['ngram', 'mini'] as const)('/v1/classify of %s', (name) => {
  it('answers as predict does, with every level', async () => {
    const model = await loadClassifier(models[name])
    const expected = await predict(model, texts, { topK: 2 })
    await model.close()
    const { status, body } = await server.post('/v1/classify', { input: texts, model: name, top_k: 2 })
    expect(status).toBe(200)
    expect(body).toMatchObject({ object: 'list', model: name })
    for (const [index, answer] of body.data.entries()) {
      const { path, confidence, paths, top } = expected[index]!
      expect(answer).toMatchObject({
        index,
        path,
        abstained: false,
        paths: [{ path }],
        top: top.map(({ path }) => ({ path })),
      })
      // Texts of one batch are padded to one length, which moves the last digits.
      for (const [level, value] of confidence.entries()) expect(answer.confidence[level]).toBeCloseTo(value, 5)
      expect(answer.paths).toHaveLength(paths.length)
      expect(answer.levels.map(({ level }: { level: number }) => level)).toEqual([1, 2])
      expect(answer.levels[0].labels).toContainEqual({ path: path.slice(0, 1), probability: answer.confidence[0] })
      const [best, second] = answer.levels[0].labels
      expect(best.probability).toBeGreaterThanOrEqual(second.probability)
      expect(answer.levels[1].labels).toHaveLength(2)
    }
  })

  it('abstains where nothing is sure enough', async () => {
    const { body } = await server.post('/v1/classify', { input: 'zzz qqq', model: name, min_confidence: 1 })
    expect(body.data[0]).toMatchObject({ path: [], confidence: [], paths: [], abstained: true })
    expect(body.data[0].levels[0].labels[0].probability).toBeGreaterThan(0)
  })
})

describe('/embed', () => {
  it('gives vectors of length 1, mean-pooled, the same for a text alone and in a batch', async () => {
    const { status, body } = await server.post('/embed', { inputs: texts, model: 'mini' })
    expect(status).toBe(200)
    expect(body).toHaveLength(3)
    const { body: alone } = await server.post('/models/mini/embed', { inputs: texts[1] })
    for (const [i, value] of alone[0].entries()) expect(body[1][i]).toBeCloseTo(value, 5)
    expect(alone[0]).toHaveLength(128)
    expect(Math.hypot(...alone[0])).toBeCloseTo(1, 5)
    const { body: raw } = await server.post('/embed', { inputs: texts[1], model: 'mini', normalize: false })
    expect(Math.hypot(...raw[0])).not.toBeCloseTo(1, 2)
    const { body: short } = await server.post('/embed', { inputs: texts[1], model: 'mini', dimensions: 8 })
    expect(short[0]).toHaveLength(8)
    expect(Math.hypot(...short[0])).toBeCloseTo(1, 5)
  })

  it('says that an ngram model has no embeddings', async () => {
    const { status, body } = await server.post('/embed', { inputs: texts, model: 'ngram' })
    expect(status).toBe(424)
    expect(body).toMatchObject({ error_type: 'Backend', code: 'NO_EMBEDDING' })
  })
})

describe('/rerank', () => {
  it('orders texts by their cosine to the query', async () => {
    const request = { query: texts[0], texts, model: 'mini', return_text: true }
    const { status, body } = await server.post('/rerank', request)
    expect(status).toBe(200)
    expect(body[0]).toMatchObject({ index: 0, text: texts[0] })
    expect(body[0].score).toBeCloseTo(1, 5)
    expect(body.map(({ index }: { index: number }) => index).sort()).toEqual([0, 1, 2])
    const { body: vectors } = await server.post('/embed', { inputs: texts, model: 'mini' })
    const { body: raw } = await server.post('/rerank', { ...request, raw_scores: true })
    for (const { index, score } of raw) {
      const cosine = vectors[0].reduce((sum: number, value: number, i: number) => sum + value * vectors[index][i], 0)
      expect(score).toBeCloseTo(cosine, 5)
      expect(body.find((rank: { index: number }) => rank.index === index).score).toBeCloseTo((1 + cosine) / 2, 5)
    }
  })
})

describe('/v1/embeddings', () => {
  it('answers as OpenAI does, in floats or base64', async () => {
    const { status, body } = await server.post('/v1/embeddings', { input: texts, model: 'mini', user: 'x' })
    expect(status).toBe(200)
    expect(body).toMatchObject({ object: 'list', model: 'mini' })
    expect(body.data[2]).toMatchObject({ object: 'embedding', index: 2 })
    expect(body.usage.prompt_tokens).toBeGreaterThan(9)
    expect(body.usage.total_tokens).toBe(body.usage.prompt_tokens)
    const { body: packed } = await server.post('/v1/embeddings', {
      input: texts,
      model: 'mini',
      encoding_format: 'base64',
    })
    const bytes = Uint8Array.from(Buffer.from(packed.data[2].embedding, 'base64'))
    expect([...new Float32Array(bytes.buffer)]).toEqual(body.data[2].embedding)
  })

  it('sends faults as OpenAI does', async () => {
    const { status, body } = await server.post('/v1/embeddings', { input: 'x', model: 'mimi' })
    expect(status).toBe(404)
    expect(body.error).toMatchObject({
      type: 'invalid_request_error',
      code: 'MODEL_UNKNOWN',
      help: 'did you mean "mini"?',
    })
  })
})

describe('a merged model with a head for each task', () => {
  it('answers under MODEL:HEAD, and embeds under its own name', async () => {
    const other = join(folder, 'mini-other')
    const rows = tickets.map(({ text, labels: [path] }) => ({ text, labels: [['other', path![0]!]] }))
    const options = ['--encoder', models.mini, '--epochs', '1', '--out', other, '--threads', '1']
    expect((await espalier(['train', write('other.jsonl', jsonl(rows)), ...options])).status).toBe(0)
    const merged = join(folder, 'merged')
    const recipe = {
      merge_method: 'linear',
      models: [models.mini, other].map((model) => ({ model, parameters: { weight: 0.5 } })),
    }
    const done = await espalier(['merge', write('recipe.yml', JSON.stringify(recipe)), merged])
    expect(done.status, done.stderr).toBe(0)
    const heads = await serveForTest({ models: { merged } })
    const { data } = await (await fetch(`${heads.url}/v1/models`)).json()
    const names = data.map(({ id }: { id: string }) => id)
    expect(names).toHaveLength(2)
    const answers = await Promise.all(names.map((model: string) => heads.post('/v1/classify', { input: texts, model })))
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(answers.map(({ body }) => body.data[0].path[0]).sort()).toContain('other')
    const { status, body } = await heads.post('/embed', { inputs: texts, model: 'merged' })
    expect([status, body.length]).toEqual([200, 3])
    const refused = await heads.post('/v1/classify', { input: texts, model: 'merged' })
    expect([refused.status, refused.body.error.code]).toEqual([424, 'NO_CLASSIFIER'])
    await heads.server.close()
  })
})

describe('the routes about the server', () => {
  it('says what is served', async () => {
    const models = await (await fetch(`${server.url}/v1/models`)).json()
    expect(models.data).toMatchObject([
      { id: 'ngram', tasks: ['predict', 'classify'], labels: { count: 6, levels: 2 } },
      { id: 'mini', tasks: ['predict', 'classify', 'embed', 'rerank'], dimensions: 128, pooling: 'mean' },
    ])
    const health = await fetch(`${server.url}/health`)
    expect([health.status, await health.json()]).toEqual([200, { status: 'ok', models: ['ngram', 'mini'] }])
  })

  it('describes itself as OpenAPI', async () => {
    const document = await (await fetch(`${server.url}/openapi.json`)).json()
    expect(document.openapi).toBe('3.1.0')
    const { schema } = document.paths['/v1/classify'].post.requestBody.content['application/json']
    expect(schema.required).toEqual(['input'])
    expect(schema.properties.top_k).toMatchObject({ type: 'integer', minimum: 1, default: 3 })
    for (const path of ['/predict', '/embed', '/rerank', '/v1/embeddings', '/health', '/metrics'])
      expect(document.paths).toHaveProperty([path])
  })

  it('counts requests for Prometheus, in its format', async () => {
    await server.post('/predict', { inputs: texts[0] })
    await server.post('/no-such-route', {})
    const response = await fetch(`${server.url}/metrics`)
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
    const text = await response.text()
    for (const line of text.trimEnd().split('\n'))
      expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? -?[\d.e+-]+)$/)
    expect(text).toMatch(/^espalier_requests_total\{route="\/predict",status="200"\} [1-9]/m)
    expect(text).toMatch(/^espalier_requests_total\{route="unknown",status="404"\} [1-9]/m)
    expect(text).toMatch(/^espalier_queue_texts\{model="mini"\} 0$/m)
    expect(text).not.toContain('no-such-route')
  })
})

describe('the app', () => {
  it('answers the same when it is asked without a socket, as inside of another app', async () => {
    const body = JSON.stringify({ input: texts, model: 'ngram' })
    const headers = { 'content-type': 'application/json' }
    const response = await server.served.app.request('/v1/classify', { method: 'POST', headers, body })
    expect(response.status).toBe(200)
    expect(response.headers.get('x-request-id')).toMatch(/^[\da-f-]{36}$/)
    const overSocket = await server.post('/v1/classify', { input: texts, model: 'ngram' })
    expect(await response.json()).toEqual(overSocket.body)
    expect(overSocket.headers.get('x-request-id')).toMatch(/^[\da-f-]{36}$/)
  })
})
