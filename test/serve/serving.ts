/** For the server's tests: models trained on the tickets, a server on a port of its own, and raw sockets for what no HTTP client would send. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { expect } from 'vitest'
import {
  type Listening,
  type ListenOptions,
  listen,
  type ServedApp,
  type ServeOptions,
  serveApp,
} from '../../src/serve/index.ts'
import { espalier } from '../cli/espalier.ts'
import { jsonl, tickets, trainedModel } from '../cli/tickets.ts'

type Write = (name: string, content: string) => string

/** An `ngram` model and a `mini` encoder of the tickets. */
export async function ticketModels(folder: string, write: Write): Promise<{ ngram: string; mini: string }> {
  const ngram = await trainedModel(folder, write)
  const mini = join(folder, 'mini')
  const options = ['--encoder', 'mini', '--epochs', '2', '--out', mini, '--threads', '1']
  const { status, stderr } = await espalier(['train', write('mini.jsonl', jsonl(tickets)), ...options])
  expect(status, stderr).toBe(0)
  return { ngram, mini }
}

export interface TestServer {
  readonly url: string
  readonly served: ServedApp
  readonly server: Listening
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Reply>
}

export interface Reply {
  status: number
  headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: answers have many shapes, and the tests say which
  body: any
}

export async function serveForTest(options: ServeOptions, listening: ListenOptions = {}): Promise<TestServer> {
  const served = await serveApp(options)
  const server = await listen(served.app, {
    port: 0,
    hasKey: options.apiKey !== undefined,
    onStopping: served.stopping,
    onStop: served.close,
    ...(options.limits ? { limits: options.limits } : {}),
    ...listening,
  })
  return {
    url: server.url,
    served,
    server,
    async post(path, body, headers = {}) {
      const text = typeof body === 'string' ? body : JSON.stringify(body)
      const request = { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: text }
      const response = await fetch(server.url + path, request)
      return { status: response.status, headers: response.headers, body: await response.json() }
    },
  }
}

/** Sends bytes over a plain socket, piece by piece, and returns all that comes back until the server closes. */
export async function rawRequest(
  { server: { port } }: TestServer,
  pieces: readonly (string | Uint8Array)[],
  pauseMs = 0,
): Promise<{ status: number; text: string; body: string }> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  let text = ''
  socket.setEncoding('utf8')
  socket.on('data', (part) => (text += part))
  socket.on('error', () => undefined) // the server may close while we still send
  const closed = once(socket, 'close')
  for (const piece of pieces) {
    if (socket.destroyed) break
    socket.write(piece)
    if (pauseMs > 0) await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, pauseMs))])
  }
  await closed
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]), text, body: text.slice(text.indexOf('\r\n\r\n') + 4) }
}
