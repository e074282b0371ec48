/**
 * `espalier serve` under load from another process: its throughput beside the same model called in a loop, and a minute at twice its capacity
 * (status counts, latency, memory). Writes docs/results/serve.md. Run `npm run build` first.
 *
 *     npx tsx bench/serve.ts [--seconds 60] [--rounds 3] [--probe 4] [--out docs/results/serve.md]
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { median, provenance, table, writePage } from './results-page.ts'

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    rounds: { type: 'string', default: '3' },
    probe: { type: 'string', default: '4' },
    out: { type: 'string', default: 'docs/results/serve.md' },
    // Folders of trained models, instead of training them first:
    ngram: { type: 'string' },
    mini: { type: 'string' },
    // The parts that run as processes of their own:
    role: { type: 'string' },
    model: { type: 'string' },
    url: { type: 'string' },
    size: { type: 'string' },
    rate: { type: 'string' },
  },
})
const root = fileURLToPath(new URL('..', import.meta.url))
const main = join(root, 'dist/cli/main.js')
/** Seconds that the server is given for an answer; p99 must stay below. */
const timeLimit = 3
const connections = 32

const lines = (name: string): string[] =>
  gunzipSync(readFileSync(join(root, 'data/clinc150', name)))
    .toString()
    .trim()
    .split('\n')
const testTexts = (): string[] => lines('test.jsonl.gz').map((line) => (JSON.parse(line) as { text: string }).text)

/** Texts in groups of `size`, over and over. */
function* groups(size: number): Generator<string[]> {
  const texts = testTexts()
  for (let at = 0; ; at = (at + size) % (texts.length - size)) yield texts.slice(at, at + size)
}

/** Role loop: the model called as a library, as fast as it goes. Prints texts a second. */
async function runLoop(model: string, size: number, seconds: number): Promise<void> {
  const { loadClassifier, predict } = await import(join(root, 'dist/index.js'))
  const classifier = await loadClassifier(model, { threads: 1 })
  const source = groups(size)
  for (let i = 0; i < 20; i++) await predict(classifier, source.next().value)
  const start = performance.now()
  let texts = 0
  while (performance.now() - start < seconds * 1000) {
    await predict(classifier, source.next().value)
    texts += size
  }
  console.log(JSON.stringify({ perSecond: texts / ((performance.now() - start) / 1000) }))
  await classifier.close()
}

interface LoadResult {
  perSecond: number
  sent: number
  statuses: Record<string, number>
  /** Milliseconds of answers with status 200. */
  p50: number
  p99: number
  most: number
  p99Refused: number
}

/**
 * Role client: `rate` 0 keeps 32 connections busy, each asking again when it is answered; otherwise requests leave at that rate a second,
 * answered or not.
 */
async function runClient(url: string, size: number, seconds: number, rate: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: rate > 0 ? 1024 : connections })
  const source = groups(size)
  const target = new URL('/v1/classify', url)
  const answered: number[] = []
  const refused: number[] = []
  const statuses: Record<string, number> = {}
  let sent = 0
  const ask = () =>
    new Promise<void>((resolve) => {
      const body = JSON.stringify({ input: source.next().value, top_k: 1 })
      const start = performance.now()
      sent++
      const done = (status: string) => {
        statuses[status] = (statuses[status] ?? 0) + 1
        if (status === '200') answered.push(performance.now() - start)
        if (status === '429') refused.push(performance.now() - start)
        resolve()
      }
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
      const call = request(target, { method: 'POST', agent, headers }, (response) => {
        response.on('end', () => done(String(response.statusCode)))
        response.on('error', () => done('broken answer'))
        response.resume()
      })
      call.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? 'error'))
      call.end(body)
    })
  const start = performance.now()
  const elapsed = () => (performance.now() - start) / 1000
  if (rate === 0) {
    const keepAsking = async () => {
      while (elapsed() < seconds) await ask()
    }
    await Promise.all(Array.from({ length: connections }, keepAsking))
  } else {
    const open = new Set<Promise<void>>()
    while (elapsed() < seconds) {
      while (sent < elapsed() * rate) {
        const one: Promise<void> = ask().finally(() => open.delete(one))
        open.add(one)
      }
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    await Promise.all(open)
  }
  const took = elapsed()
  agent.destroy()
  const share = (values: number[], part: number) => values.sort((a, b) => a - b)[Math.floor(values.length * part)] ?? 0
  const result: LoadResult = {
    perSecond: (answered.length * size) / took,
    sent,
    statuses,
    p50: share(answered, 0.5),
    p99: share(answered, 0.99),
    most: answered.at(-1) ?? 0,
    p99Refused: share(refused, 0.99),
  }
  console.log(JSON.stringify(result))
}

/** Runs a role of this script as a process and returns what it printed. */
function role<T>(name: string, options: Record<string, string | number>): Promise<T> {
  const args = Object.entries(options).flatMap(([key, value]) => [`--${key}`, String(value)])
  const script = fileURLToPath(import.meta.url)
  const child = spawn(process.execPath, ['--import', 'tsx', script, '--role', name, ...args], { cwd: root })
  let out = ''
  let err = ''
  child.stdout.on('data', (part) => (out += part))
  child.stderr.on('data', (part) => (err += part))
  return new Promise((resolve, reject) =>
    child.on('close', (status) => (status === 0 ? resolve(JSON.parse(out) as T) : reject(new Error(err)))),
  )
}

async function startServer(model: string): Promise<{ child: ChildProcess; url: string }> {
  const options = ['--port', '0', '--threads', '1', '--time-limit', String(timeLimit), '--json']
  const child = spawn(process.execPath, [main, 'serve', model, ...options], { stdio: ['ignore', 'pipe', 'ignore'] })
  let out = ''
  await new Promise<void>((resolve, reject) => {
    child.stdout!.on('data', (part) => {
      out += part
      if (out.endsWith('}\n')) resolve()
    })
    child.on('close', () => reject(new Error('the server ended')))
  })
  return { child, url: (JSON.parse(out) as { url: string }).url }
}

const metric = async (url: string, name: string): Promise<number> => {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
}

interface Outcome {
  name: string
  size: number
  loop: number[]
  served: number[]
  load: LoadResult
  rate: number
  /** Resident megabytes of the server, once a second under load. */
  memory: number[]
  loopDelay: number
}

async function measure(name: string, model: string, size: number): Promise<Outcome> {
  const probe = Number(flags.probe)
  const { child, url } = await startServer(model)
  const loop: number[] = []
  const served: number[] = []
  for (let round = 0; round < Number(flags.rounds); round++) {
    loop.push((await role<LoadResult>('loop', { model, size, seconds: probe })).perSecond)
    served.push((await role<LoadResult>('client', { url, size, seconds: probe, rate: 0 })).perSecond)
  }
  const rate = (2 * median(served)) / size
  const memory: number[] = []
  const watch = setInterval(async () => {
    const bytes = await metric(url, 'process_resident_memory_bytes').catch(() => Number.NaN)
    if (bytes > 0) memory.push(bytes / 1e6)
  }, 1000)
  const load = await role<LoadResult>('client', { url, size, seconds: flags.seconds, rate })
  clearInterval(watch)
  const loopDelay = await metric(url, 'espalier_event_loop_delay_seconds')
  child.kill('SIGTERM')
  await new Promise((resolve) => child.on('close', resolve))
  console.error(name, size, load)
  return { name, size, loop, served, load, rate, memory, loopDelay }
}

async function runAll(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'espalier-serve-'))
  const train = (out: string, options: string[]) => {
    const { status, stderr } = spawnSync(process.execPath, [main, 'train', ...options, '--out', join(folder, out)])
    if (status !== 0) throw new Error(String(stderr))
    return join(folder, out)
  }
  const startLoad = loadavg()[0]!
  const ngram = flags.ngram ?? train('ngram', [join(root, 'data/clinc150/train.jsonl.gz')])
  // What an encoder answers does not matter here, only how fast.
  writeFileSync(
    join(folder, 'rows.jsonl'),
    lines('train.jsonl.gz')
      .filter((_, i) => i % 10 === 0)
      .join('\n'),
  )
  const mini =
    flags.mini ?? train('mini', [join(folder, 'rows.jsonl'), '--encoder', 'mini', '--epochs', '1', '--threads', '1'])
  const outcomes = [await measure('ngram', ngram, 32), await measure('mini (4 layers x 128)', mini, 8)]
  rmSync(folder, { recursive: true })
  await report(outcomes, startLoad)
}

const whole = (value: number) => Math.round(value).toLocaleString('en-US')
const range = (values: number[]) => `${whole(Math.min(...values))} to ${whole(Math.max(...values))}`

async function report(outcomes: Outcome[], startLoad: number): Promise<void> {
  const throughput = outcomes.map(({ name, size, loop, served }) => [
    name,
    String(size),
    `${whole(median(loop))} (${range(loop)})`,
    `${whole(median(served))} (${range(served)})`,
    (median(served) / median(loop)).toFixed(2),
  ])
  const underLoad = outcomes.map(({ name, rate, load, memory, loopDelay }) => {
    const { statuses, p50, p99, most, p99Refused } = load
    const settled = memory.slice(Math.min(10, memory.length >> 1))
    const half = settled.length >> 1
    return [
      name,
      `${whole(rate)}`,
      Object.entries(statuses)
        .sort()
        .map(([status, count]) => `${status}: ${whole(count)}`)
        .join(', '),
      `${whole(p50)} / ${whole(p99)} / ${whole(most)} ms`,
      `${whole(p99Refused)} ms`,
      `${whole(median(settled.slice(0, half)))} → ${whole(median(settled.slice(half)))} MB`,
      `${whole(loopDelay * 1000)} ms`,
    ]
  })
  const clean = outcomes.every(({ load }) =>
    Object.keys(load.statuses).every((status) => ['200', '429'].includes(status)),
  )
  const overloaded = outcomes.filter(({ load }) => (load.statuses['429'] ?? 0) > 0).map(({ name }) => name)
  const missed = outcomes.filter(({ name }) => !overloaded.includes(name)).map(({ name }) => name)
  const within = outcomes.every(({ load }) => load.p99 < timeLimit * 1000)
  const fast = outcomes.every(({ loop, served }) => median(served) >= median(loop))
  await writePage(
    flags.out,
    `# Serving under load

\`espalier serve\` with one inference thread, asked by another process on the same machine (POST /v1/classify, CLINC150's test queries).

## Throughput

Texts a second: the model called as a library in a loop with as many texts at once as a request holds, and the server with ${connections} connections that each
ask again when answered. Medians (least to most) of ${flags.rounds} alternating rounds of ${flags.probe} s.

${table(['model', 'texts a request', 'called in a loop', 'served', 'served / loop'], throughput)}

${fast ? 'The server answers at least as many texts as the loop: requests that wait run together.' : 'The server does not reach the loop for every model.'}
Client, HTTP and inference share the processors, so the server has less of them than the loop.

## Twice the capacity

${flags.seconds} s of requests that leave at twice the rate just measured, answered or not. Time limit of the server: ${timeLimit} s.

${table(['model', 'requests a second', 'answers', '200: p50 / p99 / most', '429: p99', 'memory, first → second half', 'event loop delay p99'], underLoad)}

${clean ? 'No answer but 200 and 429.' : 'There were answers other than 200 and 429.'} ${within ? `p99 is within the time limit.` : 'p99 is NOT within the time limit.'}
${missed.length === 0 ? '' : `For ${missed.join(', ')} no request was refused: the machine was slower while the capacity was measured than under load, so this was no overload.`}
Memory is the resident memory of the server process, median of each half after the first 10 s. The event loop delay is measured in the server's main thread.

${provenance(`npx tsx bench/serve.ts --seconds ${flags.seconds} --rounds ${flags.rounds} --probe ${flags.probe}`).join('\n')}
- load of the machine before the runs: ${startLoad.toFixed(1)}${startLoad > 1 ? '; other work ran beside them' : ''}
`,
  )
}

const size = Number(flags.size)
if (flags.role === 'loop') await runLoop(flags.model!, size, Number(flags.seconds))
else if (flags.role === 'client') await runClient(flags.url!, size, Number(flags.seconds), Number(flags.rate))
else await runAll()
