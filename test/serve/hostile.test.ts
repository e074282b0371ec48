/** Requests that no friend would send, over real sockets: each gets a typed 4xx answer, and the server answers the next one. */
import { request } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { trainedModel } from '../cli/tickets.ts'
import { temporaryFolder } from '../temporary-folder.ts'
import { rawRequest, serveForTest, type TestServer } from './serving.ts'

const { folder, write } = temporaryFolder()
let server: TestServer

beforeAll(async () => {
  const limits = { bodyBytes: 3_000_000, requestTexts: 8, textLength: 1000, receiveSeconds: 1 }
  server = await serveForTest({ models: { tickets: await trainedModel(folder, write) }, limits })
})
afterAll(() => server.server.close())
afterEach(async () => {
  const { status } = await server.post('/predict', { inputs: 'where is my refund' })
  expect(status).toBe(200)
})

const deep = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`

describe('a body', () => {
  it.each([
    ['no JSON', '{"inputs": ', 400, 'REQUEST_MALFORMED'],
    ['empty', '', 400, 'REQUEST_MALFORMED'],
    ['a million brackets that never close', '['.repeat(1_000_000), 400, 'REQUEST_MALFORMED'],
    ['JSON a million levels deep', deep(1_000_000), 400, 'REQUEST_MALFORMED'],
    ['deep JSON as inputs', `{"inputs": ${deep(500_000)}}`, 400, 'REQUEST_MALFORMED'],
    ['nested a little', `{"inputs": ${deep(20)}}`, 422, 'REQUEST_SHAPE'],
    ['a list', '[]', 422, 'REQUEST_SHAPE'],
    ['null', 'null', 422, 'REQUEST_SHAPE'],
    ['without inputs', '{}', 422, 'REQUEST_SHAPE'],
    ['inputs of a wrong type', '{"inputs": 5}', 422, 'REQUEST_SHAPE'],
    ['a batch of wrong types', '{"inputs": [["a"], [5]]}', 422, 'REQUEST_SHAPE'],
    ['an empty batch', '{"inputs": []}', 422, 'REQUEST_SHAPE'],
    ['a flag of a wrong type', '{"inputs": "a", "raw_scores": "yes"}', 422, 'REQUEST_SHAPE'],
    ['a foreign prototype', '{"__proto__": {"inputs": "a"}}', 422, 'REQUEST_SHAPE'],
    ['an empty text', '{"inputs": "  "}', 422, 'TEXT_EMPTY'],
    ['a text that is too long', JSON.stringify({ inputs: 'a'.repeat(1001) }), 413, 'TEXT_TOO_LONG'],
    ['too many texts', JSON.stringify({ inputs: Array(9).fill(['a']) }), 413, 'BATCH_TOO_LARGE'],
    ['too many bytes', JSON.stringify({ inputs: 'a'.repeat(3_000_000) }), 413, 'BODY_TOO_LARGE'],
    ['an unknown model', '{"inputs": "a", "model": "constructor"}', 404, 'MODEL_UNKNOWN'],
  ])('%s', async (_, body, status, code) => {
    const answer = await server.post('/predict', body)
    expect(answer.status).toBe(status)
    expect(answer.body).toMatchObject({ code, error_type: 'Validation' })
    expect(typeof answer.body.error).toBe('string')
    expect(JSON.stringify(answer.body).length).toBeLessThan(1000)
  })

  it('that is not UTF-8', async () => {
    const body = Buffer.concat([Buffer.from('{"inputs": "'), Buffer.of(0xc3, 0x28), Buffer.from('"}')])
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${server.url}/predict`, { method: 'POST', headers, body })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ code: 'REQUEST_MALFORMED', error: 'The body is not valid UTF-8' })
  })

  it.each(['\\ud800 lone surrogate', 'nul \\u0000 inside', '\\u202e reversed', '😀'])(
    'with the odd text %s is answered',
    async (text) => {
      const { status, body } = await server.post('/predict', `{"inputs": "${text}"}`)
      expect(status).toBe(200)
      expect(body).toHaveLength(4)
    },
  )

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    '',
  ])('of content type "%s"', async (type) => {
    const { status, body } = await server.post('/predict', { inputs: 'a' }, { 'content-type': type })
    expect([status, body.code]).toEqual([415, 'CONTENT_TYPE'])
  })

  it('that is compressed', async () => {
    const { status, body } = await server.post('/predict', { inputs: 'a' }, { 'content-encoding': 'gzip' })
    expect([status, body.code]).toEqual([415, 'CONTENT_TYPE'])
  })

  it('without a stated length that goes on and on', async () => {
    const answer = await new Promise<{ status: number; code: string }>((resolve, reject) => {
      const sent = request(
        `${server.url}/predict`,
        { method: 'POST', headers: { 'content-type': 'application/json' } },
        (response) => {
          let text = ''
          response.on('data', (part) => (text += part))
          response.on('end', () => resolve({ status: response.statusCode!, code: JSON.parse(text).code }))
        },
      )
      sent.on('error', reject)
      let pieces = 0
      const send = () => {
        if (pieces++ < 100 && !sent.destroyed) sent.write('x'.repeat(65_536), send)
      }
      send()
    })
    expect(answer).toEqual({ status: 413, code: 'BODY_TOO_LARGE' })
  })
})

describe('a connection', () => {
  const code = ({ body }: { body: string }) => JSON.parse(body).error.code

  it('that sends its headers drop by drop', async () => {
    const drops = Array.from({ length: 60 }, (_, i) => (i === 0 ? 'POST /predict HTTP/1.1\r\n' : `x-${i}: 1\r\n`))
    const answer = await rawRequest(server, drops, 100)
    expect([answer.status, code(answer)]).toEqual([408, 'RECEIVE_LIMIT'])
  })

  it('that sends its body drop by drop', async () => {
    const head = `POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n`
    const answer = await rawRequest(server, [head, ...Array(60).fill(' ')], 100)
    expect([answer.status, code(answer)]).toEqual([408, 'RECEIVE_LIMIT'])
  })

  it.each([
    ['no HTTP', 'GOOD MORNING\r\n\r\n'],
    ['another protocol', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['two lengths', 'POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nabcde'],
    [
      'a length and chunks',
      'POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
  ])('that speaks %s', async (_, bytes) => {
    const answer = await rawRequest(server, [bytes])
    expect([answer.status, code(answer)]).toEqual([400, 'REQUEST_MALFORMED'])
  })

  it('with headers beyond measure', async () => {
    const head = `GET /health HTTP/1.1\r\nhost: localhost\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`
    const answer = await rawRequest(server, [head])
    expect([answer.status, code(answer)]).toEqual([431, 'HEADERS_TOO_LARGE'])
  })

  it('under a name that is not this machine', async () => {
    const answer = await rawRequest(server, ['GET /health HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n'])
    expect([answer.status, code(answer)]).toEqual([421, 'HOST_REFUSED'])
  })

  it.each(['GET', 'PUT', 'DELETE'])('with the method %s', async (method) => {
    const response = await fetch(`${server.url}/predict`, { method })
    expect([response.status, (await response.json()).code]).toEqual([405, 'METHOD_NOT_ALLOWED'])
  })

  it('to a route that does not exist', async () => {
    const response = await fetch(`${server.url}/..%2f..%2fetc/passwd`)
    expect([response.status, (await response.json()).error.code]).toEqual([404, 'ROUTE_UNKNOWN'])
  })
})
