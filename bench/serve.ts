/**
 * `espalier serve` under load from another process: its throughput beside the same model called in a loop, and a minute at twice its capacity
 * (status counts, latency, memory). Writes docs/results/serve.md. Run `npm run build` first.
 *
 *     npx tsx bench/serve.ts [--seconds 60] [--rounds 3] [--probe 4] [--out docs/results/serve.md]
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { median, provenance, table, writePage } from './results-page.ts'
import { connections, cpuMicros, type LoadResult, load } from './serve-load.ts'

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

interface LoopResult {
  /** Texts. */
  perSecond: number
  /** Processor time in microseconds. */
  perText: number
}

/** Role loop: the model called as a library, as fast as it goes. */
async function runLoop(model: string, size: number, seconds: number): Promise<void> {
  const { loadClassifier, predict } = await import(join(root, 'dist/index.js'))
  const classifier = await loadClassifier(model, { threads: 1 })
  const source = groups(size)
  for (let i = 0; i < 20; i++) await predict(classifier, source.next().value)
  const start = performance.now()
  const cpu = cpuMicros()
  let texts = 0
  while (performance.now() - start < seconds * 1000) {
    await predict(classifier, source.next().value)
    texts += size
  }
  const perSecond = texts / ((performance.now() - start) / 1000)
  console.log(JSON.stringify({ perSecond, perText: (cpuMicros() - cpu) / texts } satisfies LoopResult))
  await classifier.close()
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

/** A model asked with so many texts in a request. */
interface Throughput {
  name: string
  size: number
  loop: LoopResult[]
  served: LoadResult[]
  /** Processor time of the server for a text, in microseconds, per round. */
  server: number[]
}

interface Overload {
  name: string
  load: LoadResult
  rate: number
  /** Resident megabytes of the server, once a second under load. */
  memory: number[]
  loopDelay: number
}

async function throughput(name: string, model: string, url: string, size: number): Promise<Throughput> {
  const seconds = Number(flags.probe)
  const outcome: Throughput = { name, size, loop: [], served: [], server: [] }
  // A first round that does not count: code is compiled while it runs.
  await role<LoadResult>('client', { url, size, seconds, rate: 0 })
  for (let round = 0; round < Number(flags.rounds); round++) {
    outcome.loop.push(await role<LoopResult>('loop', { model, size, seconds }))
    const before = await metric(url, 'process_cpu_seconds_total')
    const served = await role<LoadResult>('client', { url, size, seconds, rate: 0 })
    const used = (await metric(url, 'process_cpu_seconds_total')) - before
    outcome.served.push(served)
    outcome.server.push((1e6 * used) / (size * (served.statuses['200'] ?? 0)))
  }
  console.error(name, size, outcome.loop.map(perSecond), outcome.served.map(perSecond))
  return outcome
}

async function overload(name: string, url: string, { size, served }: Throughput): Promise<Overload> {
  const rate = (2 * median(served.map(perSecond))) / size
  const memory: number[] = []
  const watch = setInterval(async () => {
    const bytes = await metric(url, 'process_resident_memory_bytes').catch(() => Number.NaN)
    if (bytes > 0) memory.push(bytes / 1e6)
  }, 1000)
  const load = await role<LoadResult>('client', { url, size, seconds: flags.seconds, rate })
  clearInterval(watch)
  const loopDelay = await metric(url, 'espalier_event_loop_delay_seconds')
  console.error(name, size, load)
  return { name, load, rate, memory, loopDelay }
}

/** Throughput with each number of texts in a request, then twice the capacity with the last of them. */
async function measure(name: string, model: string, sizes: readonly number[]): Promise<[Throughput[], Overload]> {
  const { child, url } = await startServer(model)
  const outcomes: Throughput[] = []
  for (const size of sizes) outcomes.push(await throughput(name, model, url, size))
  const last = await overload(name, url, outcomes.at(-1)!)
  child.kill('SIGTERM')
  await new Promise((resolve) => child.on('close', resolve))
  return [outcomes, last]
}

const perSecond = (result: { perSecond: number }) => result.perSecond
const perText = (result: { perText: number }) => result.perText

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
  const measured = [await measure('ngram', ngram, [1, 32]), await measure('mini (4 layers x 128)', mini, [1, 8])]
  rmSync(folder, { recursive: true })
  await report(
    measured.flatMap(([throughputs]) => throughputs),
    measured.map(([, last]) => last),
    startLoad,
  )
}

const whole = (value: number) => Math.round(value).toLocaleString('en-US')
const range = (values: number[]) => `${whole(Math.min(...values))} to ${whole(Math.max(...values))}`

async function report(throughputs: Throughput[], overloads: Overload[], startLoad: number): Promise<void> {
  const ratio = ({ loop, served }: Throughput) => median(served.map(perSecond)) / median(loop.map(perSecond))
  const speeds = throughputs.map((outcome) => {
    const { name, size, loop, served, server } = outcome
    const [looped, answered] = [loop.map(perSecond), served.map(perSecond)]
    return [
      name,
      String(size),
      `${whole(median(looped))} (${range(looped)})`,
      `${whole(median(answered))} (${range(answered)})`,
      ratio(outcome).toFixed(2),
      whole(median(loop.map(perText))),
      whole(median(server)),
      whole(median(served.map(perText))),
    ]
  })
  const underLoad = overloads.map(({ name, rate, load, memory, loopDelay }) => {
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
  const clean = overloads.every(({ load }) =>
    Object.keys(load.statuses).every((status) => ['200', '429'].includes(status)),
  )
  const overloaded = overloads.filter(({ load }) => (load.statuses['429'] ?? 0) > 0).map(({ name }) => name)
  const missed = overloads.filter(({ name }) => !overloaded.includes(name)).map(({ name }) => name)
  const within = overloads.every(({ load }) => load.p99 < timeLimit * 1000)
  const verdicts = [
    ['Asked in batches', throughputs.filter(({ size }) => size > 1)],
    ['Asked one text at a time', throughputs.filter(({ size }) => size === 1)],
  ] as const
  const verdict = ([how, of]: (typeof verdicts)[number]) => {
    const slow = of.filter((outcome) => ratio(outcome) < 1).map(({ name }) => name)
    return slow.length === 0
      ? `${how}, the server answers at least as many texts as the loop.`
      : `${how}, it does not reach the loop for ${slow.join(', ')}.`
  }
  await writePage(
    flags.out,
    `# Serving under load

\`espalier serve --threads 1\`, asked by another process on the same machine (POST /v1/classify, CLINC150's test queries). An \`ngram\` model has one
inference thread for each core, an encoder one.

## Throughput

Texts a second: the model called as a library in a loop with as many texts at once as a request holds, and the server with ${connections} connections that each
ask again when answered. Medians (least to most) of ${flags.rounds} alternating rounds of ${flags.probe} s. Beside them the processor time for a text, in microseconds, of
the loop, of the whole server process, and of the client that asks it, medians.

${table(['model', 'texts a request', 'called in a loop', 'served', 'served / loop', 'µs: loop', 'server', 'client'], speeds)}

${verdicts.map(verdict).join(' ')}
Client, HTTP and inference share the processors, so the server has less of them than the loop has; requests that wait run together. A request of one
text to an \`ngram\` model is answered sooner than HTTP is spoken: ask for many texts at once where speed matters.

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
else if (flags.role === 'client')
  console.log(JSON.stringify(await load(flags.url!, testTexts(), size, Number(flags.seconds), Number(flags.rate))))
else await runAll()
