/** An app on a socket: bounded times and sizes below HTTP's own level, typed answers to what is no HTTP, and an orderly stop. */
import { createServer, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { getRequestListener } from '@hono/node-server'
import { type EspalierError, InputError, systemError } from '../util/errors.ts'
import { checkBinding, checkHost, isLoopback } from './access.ts'
import { errorBody, errorHeaders, statusOf } from './http-error.ts'
import { defaultLimits, type Limits } from './limits.ts'

export interface ListenOptions {
  /** Default `127.0.0.1`: this machine only. */
  host?: string
  /** Default 8080; 0 lets the system choose. */
  port?: number
  /** Whether the app asks for a key. Without one, other hosts than this machine are refused, and so are requests under a foreign name. Default false. */
  hasKey?: boolean
  /** Bind to any host without a key. Default false. */
  insecure?: boolean
  limits?: Partial<Pick<Limits, 'receiveSeconds' | 'stopSeconds'>>
  /** Stops the server in order when it fires. */
  signal?: AbortSignal
  /** Called when the server begins to stop, before it waits for requests in progress. */
  onStopping?: () => void
  /** Called when no request is in progress any more: close what the app uses. */
  onStop?: () => Promise<void> | void
}

export interface Listening {
  /** `http://127.0.0.1:8080` */
  readonly url: string
  readonly port: number
  /** Settles when the server has stopped. */
  readonly closed: Promise<void>
  /** Takes no new connections, answers the requests in progress, then closes. */
  close(): Promise<void>
}

/** What can answer requests: a Hono app, or anything with its `fetch`. */
export interface Fetching {
  fetch(request: Request, env?: unknown): Response | Promise<Response>
}

/**
 * Listens with an app.
 * @throws InputError `HOST_OPEN` (see `insecure`), `PORT_USED`, `HOST_UNKNOWN`, `EACCES`.
 * @example
 * const server = await listen(app, { port: 8080 })
 * server.url // 'http://127.0.0.1:8080'
 */
export async function listen(app: Fetching, options: ListenOptions = {}): Promise<Listening> {
  const { host = '127.0.0.1', port = 8080, hasKey = false, insecure = false, signal } = options
  const { receiveSeconds, stopSeconds } = { ...defaultLimits, ...options.limits }
  checkBinding(host, hasKey, insecure)
  const guarded = isLoopback(host) && !hasKey && !insecure
  const answer = getRequestListener((request, env) => {
    if (guarded)
      try {
        checkHost(request.headers.get('host'))
      } catch (error) {
        return refuse(error as EspalierError)
      }
    return app.fetch(request, env)
  })
  const settings: ServerOptions = {
    headersTimeout: Math.min(10, receiveSeconds) * 1000,
    requestTimeout: receiveSeconds * 1000,
    connectionsCheckingInterval: Math.min(1000, receiveSeconds * 250),
    // Longer than clients and proxies keep idle connections: whoever closes first should be the one that asks.
    keepAliveTimeout: 65_000,
    maxHeaderSize: 16_384,
  }
  const connections = new Connections()
  const server = createServer(settings, (incoming, outgoing) => {
    connections.busy(incoming.socket, outgoing)
    void answer(incoming, outgoing)
  })
  server.on('connection', (socket) => connections.add(socket))
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => answerBroken(error, socket))
  await bind(server, host, port)

  const bound = (server.address() as AddressInfo).port
  const closed = new Promise<void>((resolve) => server.on('close', resolve))
  let stopping: Promise<void> | undefined
  const close = () => {
    stopping ??= stop(server, connections, stopSeconds, options)
    return stopping
  }
  signal?.addEventListener('abort', () => void close(), { once: true })
  if (signal?.aborted) await close()
  const done = closed.then(() => stopping)
  return { url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`, port: bound, closed: done, close }
}

function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(bindingError(error, host, port)))
    server.listen(port, host, resolve)
  })
}

function bindingError(error: NodeJS.ErrnoException, host: string, port: number): unknown {
  if (error.code === 'EADDRINUSE')
    return new InputError('PORT_USED', `Another program listens on port ${port}`, {
      where: { key: '--port' },
      help: 'stop it, or choose another --port',
    })
  if (error.code === 'ENOTFOUND' || error.code === 'EADDRNOTAVAIL' || error.code === 'EAI_AGAIN')
    return new InputError('HOST_UNKNOWN', `This machine has no address "${host}"`, { where: { key: '--host' } })
  return systemError(error) ?? error
}

/** Connections and requests that are on their way when the server is told to stop still get through for so long. */
const graceMs = 250

/** The open sockets, and which of them owe an answer. Node's own closing cuts answers that have been written but not yet sent. */
class Connections {
  readonly #sockets = new Map<Socket, number>()
  #stopping = false

  add(socket: Socket): void {
    this.#sockets.set(socket, 0)
    socket.on('close', () => this.#sockets.delete(socket))
  }

  busy(socket: Socket, answer: ServerResponse): void {
    this.#count(socket, 1)
    answer.on('close', () => {
      this.#count(socket, -1)
      if (this.#stopping && this.#sockets.get(socket) === 0) socket.end()
    })
  }

  #count(socket: Socket, by: number): void {
    const count = this.#sockets.get(socket)
    if (count !== undefined) this.#sockets.set(socket, count + by)
  }

  /** Ends every connection as soon as it owes nothing. */
  stop(): void {
    this.#stopping = true
    for (const [socket, owed] of this.#sockets) if (owed === 0) socket.end()
  }
}

async function stop(server: Server, connections: Connections, seconds: number, options: ListenOptions): Promise<void> {
  options.onStopping?.()
  await delay(graceMs)
  const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()))
  connections.stop()
  const limit = setTimeout(() => server.closeAllConnections(), seconds * 1000)
  await closed
  clearTimeout(limit)
  server.close() // ends the clock that watched the connections
  await options.onStop?.()
}

function refuse(error: EspalierError): Response {
  return new Response(JSON.stringify(errorBody(error, 'openai')), {
    status: statusOf(error),
    headers: errorHeaders(error),
  })
}

/** What Node's parser refuses, or what did not arrive in time, gets a typed answer too, if the connection still stands. */
function answerBroken(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const fault =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? new InputError('RECEIVE_LIMIT', 'The request did not arrive in time')
      : error.code === 'HPE_HEADER_OVERFLOW'
        ? new InputError('HEADERS_TOO_LARGE', 'The headers are larger than 16 KiB')
        : new InputError('REQUEST_MALFORMED', 'This is no HTTP request')
  const body = JSON.stringify(errorBody(fault, 'openai'))
  const status = statusOf(fault)
  const headers = { ...errorHeaders(fault), 'content-length': Buffer.byteLength(body), connection: 'close' }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  socket.end(`HTTP/1.1 ${status} ${reasons[status]}\r\n${lines.join('\r\n')}\r\n\r\n${body}`)
}

const reasons: Record<number, string> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
}
