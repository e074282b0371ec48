/** The server in operation: overload, models replaced while it runs, keys, origins, and an orderly stop. */
import { spawn } from 'node:child_process'
import { cpSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { jsonLog } from '../../src/serve/index.ts'
import { espalier, main } from '../cli/espalier.ts'
import { jsonl, tickets, trainedModel } from '../cli/tickets.ts'
import { faultOf, temporaryFolder } from '../temporary-folder.ts'
import { serveForTest } from './serving.ts'

const { folder, write } = temporaryFolder()
let model: string
/** The same texts with other labels. */
let other: string

beforeAll(async () => {
  model = await trainedModel(folder, write)
  other = join(folder, 'other')
  const renamed = tickets.map(({ text, labels: [path] }) => ({ text, labels: [['new', ...path!]] }))
  expect((await espalier(['train', write('other.jsonl', jsonl(renamed)), '--out', other])).status).toBe(0)
})

const question = { input: 'where is my refund' }

describe('under overload', () => {
  it('answers with 200 or 429 and Retry-After, nothing else', async () => {
    const server = await serveForTest({ models: { model }, limits: { queueTexts: 64, requests: 4 }, workers: 1 })
    const inputs = Array.from({ length: 64 }, (_, i) => [`where is my refund ${i} `.repeat(100)])
    const replies = await Promise.all(Array.from({ length: 60 }, () => server.post('/predict', { inputs })))
    expect([...new Set(replies.map(({ status }) => status))].sort()).toEqual([200, 429])
    for (const { headers, body } of replies.filter(({ status }) => status === 429)) {
      expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
      expect(body).toMatchObject({ error_type: 'Overloaded', code: 'OVERLOADED' })
    }
    expect((await server.post('/predict', { inputs })).status).toBe(200)
    await server.server.close()
  })
})

describe('a model whose folder is replaced', () => {
  it('is loaded anew without dropping a request; a broken one changes nothing', async () => {
    const served = join(folder, 'served')
    cpSync(model, served, { recursive: true })
    const events: Record<string, unknown>[] = []
    const log = jsonLog((line) => events.push(JSON.parse(line)))
    const server = await serveForTest({ models: { tickets: served }, watchSeconds: 0.1, log })
    const first = new Set<string>()
    const failures: number[] = []
    let asking = true
    const load = async () => {
      while (asking) {
        const { status, body } = await server.post('/v1/classify', question)
        if (status === 200) first.add(body.data[0].path[0])
        else failures.push(status)
      }
    }
    const clients = [load(), load(), load()]
    cpSync(other, `${served}-next`, { recursive: true })
    renameSync(served, `${served}-old`)
    renameSync(`${served}-next`, served)
    await expect.poll(() => [...first], { timeout: 20_000 }).toEqual(['billing', 'new'])
    writeFileSync(join(served, 'labels.json'), '{"name": "root", "children": []}')
    await expect.poll(() => events.filter(({ event }) => event === 'reload').length, { timeout: 20_000 }).toBe(2)
    rmSync(served, { recursive: true })
    await pause(300)
    asking = false
    await Promise.all(clients)
    expect(failures).toEqual([])
    const { body } = await server.post('/v1/classify', question)
    expect(body.data[0].path[0]).toBe('new')
    const reloads = events.filter(({ event }) => event === 'reload')
    expect(reloads).toMatchObject([
      { level: 'info', model: 'tickets' },
      { level: 'error', code: 'TREE_EMPTY' },
    ])
    await server.server.close()
  })
})

describe('models', () => {
  it('are added and removed while the server runs', async () => {
    const server = await serveForTest({})
    expect((await server.post('/v1/classify', question)).status).toBe(404)
    await server.served.models.add('a', model)
    await server.served.models.add('b', other)
    expect((await server.post('/v1/classify', { ...question, model: 'b' })).body.data[0].path[0]).toBe('new')
    expect((await faultOf(() => server.served.models.add('a', other))).code).toBe('MODEL_NAME')
    await server.served.models.remove('b')
    expect((await server.post('/v1/classify', { ...question, model: 'b' })).body.error.code).toBe('MODEL_UNKNOWN')
    await server.server.close()
  })
})

describe('a key', () => {
  it('is asked for on every route but /health', async () => {
    const server = await serveForTest({ models: { model }, apiKey: 'sesame' })
    for (const authorization of [undefined, 'Bearer wrong', 'Basic sesame', 'Bearer ', 'sesame']) {
      const headers = authorization === undefined ? {} : { authorization }
      const answer = await server.post('/v1/classify', question, headers as Record<string, string>)
      expect([answer.status, answer.body.error.code]).toEqual([401, 'UNAUTHORIZED'])
      expect(answer.headers.get('www-authenticate')).toBe('Bearer')
      expect((await fetch(`${server.url}/metrics`, { headers: headers as HeadersInit })).status).toBe(401)
    }
    expect((await server.post('/v1/classify', question, { authorization: 'Bearer sesame' })).status).toBe(200)
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
    await server.server.close()
  })

  it('is needed where other machines can ask', async () => {
    const open = () => serveForTest({}, { host: '0.0.0.0' })
    expect(await faultOf(open)).toMatchObject({ code: 'HOST_OPEN', where: { key: '--host' } })
    for (const [options, listening] of [
      [{ apiKey: 'x' }, {}],
      [{}, { insecure: true }],
    ] as const) {
      const server = await serveForTest(options, { host: '0.0.0.0', ...listening })
      expect((await fetch(`http://127.0.0.1:${server.server.port}/health`)).status).toBe(200)
      await server.server.close()
    }
  })
})

describe('pages of other origins', () => {
  it('may ask only if they are named', async () => {
    const preflight = (url: string) =>
      fetch(`${url}/predict`, {
        method: 'OPTIONS',
        headers: {
          origin: 'https://app.example',
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'content-type',
        },
      })
    const closed = await serveForTest({ models: { model } })
    expect((await preflight(closed.url)).headers.get('access-control-allow-origin')).toBeNull()
    await closed.server.close()
    const open = await serveForTest({ models: { model }, cors: ['https://app.example'], apiKey: 'x' })
    const answer = await preflight(open.url)
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([204, 'https://app.example'])
    const refused = await open.post('/predict', { inputs: 'a' }, { origin: 'https://app.example' })
    expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([401, 'https://app.example'])
    await open.server.close()
  })
})

describe('espalier serve', () => {
  /** Starts the command and resolves once it listens. */
  async function startServe(args: readonly string[], env: Record<string, string> = {}) {
    const child = spawn(process.execPath, [main, 'serve', ...args, '--port', '0', '--json'], {
      env: { ...process.env, ...env },
    })
    let stdout = ''
    let stderr = ''
    child.stderr.on('data', (part) => (stderr += part))
    const exited = new Promise<number | null>((resolve) => child.on('close', resolve))
    await new Promise<void>((resolve) => {
      child.stdout.on('data', (part) => {
        stdout += part
        if (stdout.endsWith('}\n')) resolve()
      })
      void exited.then(() => resolve())
    })
    return { child, exited, document: JSON.parse(stdout), stderr: () => stderr }
  }

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'at %s answers what it was asked, then ends with status 0',
    async (signal) => {
      const { child, exited, document, stderr } = await startServe([`a=${model}`, other, '--workers', '2'])
      expect(document.models).toEqual(['a', 'other'])
      const inputs = Array.from({ length: 200 }, (_, i) => [`where is my refund ${i} `.repeat(50)])
      const asked = Array.from({ length: 8 }, async () => {
        const response = await fetch(`${document.url}/predict`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ inputs }),
        })
        return [response.status, ((await response.json()) as unknown[]).length]
      })
      await expect
        .poll(async () => (await (await fetch(`${document.url}/metrics`)).text()).match(/in_progress (\d+)/)?.[1])
        .not.toBe('1')
      child.kill(signal)
      expect(await Promise.all(asked)).toEqual(asked.map(() => [200, 200]))
      expect(await exited).toBe(0)
      const events = stderr()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
      expect(events.filter(({ event }) => event === 'request').length).toBeGreaterThanOrEqual(8)
      expect(events.at(-1)).toMatchObject({ level: 'info', event: 'stopped' })
    },
  )

  it('refuses other hosts without a key, an empty key, a missing model, a port in use', async () => {
    const fault = async (args: string[], env: Record<string, string> = {}) => {
      const { status, stdout } = await espalier(['serve', ...args, '--json'], { env })
      return [status, JSON.parse(stdout).error.code]
    }
    expect(await fault([model, '--host', '0.0.0.0'])).toEqual([2, 'HOST_OPEN'])
    expect(await fault([model, '--api-key-env', 'NO_SUCH_KEY'])).toEqual([2, 'KEY_MISSING'])
    expect(await fault([model, '--api-key-env', 'KEY'], { KEY: ' ' })).toEqual([2, 'KEY_MISSING'])
    expect(await fault([join(folder, 'none')])).toEqual([2, 'ENOENT'])
    expect(await fault([model, model])).toEqual([2, 'MODEL_NAME'])
    const { child, exited, document } = await startServe([model])
    expect(await fault([model, '--port', new URL(document.url).port])).toEqual([2, 'PORT_USED'])
    child.kill('SIGTERM')
    expect(await exited).toBe(0)
  })
})
