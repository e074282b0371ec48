/**
 * The client of bench/serve.ts: keeps a server busy and counts its answers. It writes requests to sockets that stay open and reads no more of an
 * answer than its status and length: whatever it costs is taken from the server, which runs on the same processors.
 */
import { connect, type Socket } from 'node:net'

export interface LoadResult {
  /** Texts answered. */
  perSecond: number
  /** Processor time of this client for a text, in microseconds. */
  perText: number
  sent: number
  /** Requests by status, or by the error that ended them. */
  statuses: Record<string, number>
  /** Milliseconds of answers with status 200. */
  p50: number
  p99: number
  most: number
  p99Refused: number
}

/** Connections that each ask again when they are answered. */
export const connections = 32
const mostSockets = 1024

/** A connection with one request on its way at most. */
class Connection {
  readonly #socket: Socket
  #done: ((status: string) => void) | undefined
  #left = 0
  #status = ''
  /** Whether it can ask again. */
  isOpen = true

  constructor(url: URL) {
    this.#socket = connect(Number(url.port), url.hostname)
    this.#socket.setNoDelay(true)
    this.#socket.on('data', (part) => this.#read(part))
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#finish(error.code ?? 'error'))
    this.#socket.on('close', () => this.#finish('closed'))
  }

  ask(request: Buffer): Promise<string> {
    return new Promise((resolve) => {
      this.#done = resolve
      this.#socket.write(request)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  /** Heads of answers arrive whole: they are short, and the server writes each with its body. */
  #read(part: Buffer): void {
    if (this.#left === 0) {
      const end = part.indexOf('\r\n\r\n')
      const head = part.toString('latin1', 0, Math.max(0, end))
      const length = /^content-length: (\d+)/im.exec(head)?.[1]
      if (end < 0 || length === undefined) throw new Error(`expected the head of an answer, received ${head}`)
      this.#status = head.slice(9, 12)
      this.#left = end + 4 + Number(length)
      if (/^connection: close/im.test(head)) this.isOpen = false
    }
    this.#left -= part.length
    if (this.#left === 0) this.#answered()
  }

  #answered(): void {
    const done = this.#done
    this.#done = undefined
    done?.(this.#status)
  }

  #finish(status: string): void {
    this.isOpen = false
    this.#status = status
    this.#answered()
  }
}

/** A POST of /v1/classify. */
function requestOf(url: URL, texts: readonly string[]): Buffer {
  const body = Buffer.from(JSON.stringify({ input: texts, top_k: 1 }))
  const head = `POST /v1/classify HTTP/1.1\r\nhost: ${url.host}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), body])
}

/**
 * Asks for the labels of `texts`, `size` in a request, over and over. `rate` 0 keeps 32 connections busy; otherwise so many requests leave a
 * second, answered or not.
 */
export async function load(
  address: string,
  texts: readonly string[],
  size: number,
  seconds: number,
  rate: number,
): Promise<LoadResult> {
  const url = new URL(address)
  const requests = Array.from({ length: Math.floor(texts.length / size) }, (_, i) =>
    requestOf(url, texts.slice(i * size, (i + 1) * size)),
  )
  const answered: number[] = []
  const refused: number[] = []
  const statuses: Record<string, number> = {}
  let sent = 0
  const ask = async (connection: Connection) => {
    const from = performance.now()
    const status = await connection.ask(requests[sent++ % requests.length]!)
    statuses[status] = (statuses[status] ?? 0) + 1
    if (status === '200') answered.push(performance.now() - from)
    if (status === '429') refused.push(performance.now() - from)
  }
  const all = new Set<Connection>()
  const open = () => {
    const connection = new Connection(url)
    all.add(connection)
    return connection
  }
  const start = performance.now()
  const cpu = cpuMicros()
  const elapsed = () => (performance.now() - start) / 1000
  if (rate === 0) {
    const keepAsking = async () => {
      let connection = open()
      while (elapsed() < seconds) {
        await ask(connection)
        if (!connection.isOpen) connection = open()
      }
    }
    await Promise.all(Array.from({ length: connections }, keepAsking))
  } else {
    const idle: Connection[] = []
    const busy = new Set<Promise<void>>()
    while (elapsed() < seconds) {
      while (sent < elapsed() * rate) {
        const connection = idle.pop() ?? (all.size < mostSockets ? open() : undefined)
        if (connection === undefined) break
        const one: Promise<void> = ask(connection).then(() => {
          busy.delete(one)
          if (connection.isOpen) idle.push(connection)
          else all.delete(connection)
        })
        busy.add(one)
      }
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    await Promise.all(busy)
  }
  const took = elapsed()
  const used = cpuMicros() - cpu
  for (const connection of all) connection.close()
  const share = (values: number[], part: number) => values.sort((a, b) => a - b)[Math.floor(values.length * part)] ?? 0
  return {
    perSecond: (answered.length * size) / took,
    perText: used / (answered.length * size),
    sent,
    statuses,
    p50: share(answered, 0.5),
    p99: share(answered, 0.99),
    most: answered.at(-1) ?? 0,
    p99Refused: share(refused, 0.99),
  }
}

/** Processor time of this process so far, in microseconds. */
export function cpuMicros(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}
