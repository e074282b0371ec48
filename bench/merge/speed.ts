/**
 * Speed and memory of merging against mergekit, alternating on the same files: wall and processor time of `espalier merge` as a process,
 * start included, against mergekit's `run_merge` alone, without its imports; peak memory of both processes; and copying the same bytes.
 *
 * npx tsx bench/merge/speed.ts [--runs 5] [--slow-runs 3] [--sets stack,decoder,bert] [--methods linear,ties] [--write]
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { median, provenance, table, writePage } from '../results-page.ts'
import { bert, decoder, makeModels } from './make-models.ts'

const { values: flags } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    /** For methods that take mergekit minutes. */
    'slow-runs': { type: 'string' },
    sets: { type: 'string', default: 'stack,decoder,bert' },
    methods: { type: 'string', default: 'linear,slerp,ties,dare_ties,della' },
    threads: { type: 'string', default: String(cpus().length) },
    /** Without the peer: only ours and the copies. */
    alone: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
})
const runs = Number(flags.runs)
const slowRuns = Number(flags['slow-runs'] ?? flags.runs)
const slow = new Set(['ties', 'dare_ties', 'della'])
const cache = resolve('bench/.cache/merge')
const python = resolve('bench/peers/venv/bin/python')
const main = resolve('dist/cli/main.js')

const sets: Record<string, { title: string; models: () => Promise<string[]> }> = {
  bert: { title: 'eight BERT-base, float32', models: () => makeModels(cache, bert(), 'F32', 8) },
  decoder: {
    title: 'two decoders of 1.2 billion weights, bfloat16',
    models: () => makeModels(cache, decoder(), 'BF16', 2),
  },
  stack: { title: '20 layers of two such decoders', models: () => makeModels(cache, decoder(), 'BF16', 2) },
}

interface Measured {
  readonly wall: number
  /** User and system time of all threads. */
  readonly cpu: number
  readonly rss: number
}

function recipeFor(set: string, method: string, [base, ...tuned]: readonly string[]): Record<string, unknown> {
  const entries = (list: readonly string[], parameters?: Record<string, unknown>) =>
    list.map((model) => ({ model, ...(parameters ? { parameters } : {}) }))
  if (set === 'stack')
    return {
      merge_method: 'passthrough',
      slices: [
        { sources: [{ model: tuned[0], layer_range: [0, 12] }] },
        { sources: [{ model: tuned[1], layer_range: [8, 16] }] },
      ],
    }
  if (method === 'linear') return { merge_method: method, models: entries(tuned, { weight: 1 }) }
  if (method === 'slerp')
    return { merge_method: method, models: entries([base!, tuned[0]!]), base_model: base, parameters: { t: 0.4 } }
  return {
    merge_method: method,
    models: entries(tuned, { weight: 1, density: method === 'ties' ? 0.2 : 0.5 }),
    base_model: base,
  }
}

/** Runs a command to its end under measure.py. */
function measure(command: readonly string[]): Measured {
  const { status, stdout, stderr } = spawnSync(python, [resolve('bench/peers/measure.py'), ...command], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr.slice(-500)}`)
  const { wallSeconds, cpuSeconds, peakRssBytes } = JSON.parse(stdout.trim().split('\n').at(-1)!)
  return { wall: wallSeconds, cpu: cpuSeconds, rss: peakRssBytes }
}

function runOurs(recipe: string): Measured {
  const out = join(cache, 'out-ours')
  rmSync(out, { recursive: true, force: true })
  return measure([process.execPath, main, 'merge', recipe, out, '--threads', flags.threads, '--json'])
}

function runPeer(recipe: string): Measured {
  const out = join(cache, 'out-peer')
  rmSync(out, { recursive: true, force: true })
  const cases = join(cache, 'cases.jsonl')
  writeFileSync(cases, JSON.stringify({ recipe, out, seed: 0 }))
  const { stdout, stderr } = spawnSync(python, [resolve('bench/peers/mergekit_runner.py'), cases], {
    encoding: 'utf8',
    env: { ...process.env, PLAIN: '1', THREADS: flags.threads },
  })
  const line = stdout.split('\n').find((text) => text.startsWith('{'))
  const result = line === undefined ? { error: stderr.slice(-500) } : JSON.parse(line)
  if (result.error) throw new Error(`mergekit: ${result.error}`)
  return { wall: result.seconds, cpu: result.cpu, rss: result.rss }
}

/** `cp` of all inputs, flushed: as many bytes read as the merge reads, and as many written. */
function runCopy(inputs: readonly string[]): Measured {
  const out = join(cache, 'out-copy')
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  const copies = inputs.map((file, i) => `cp '${file}' '${join(out, String(i))}'`)
  const found = measure(['sh', '-c', `${copies.join(' && ')} && sync '${out}'/*`])
  rmSync(out, { recursive: true, force: true })
  return found
}

/** All inputs read once, one of them copied and flushed: the bytes that the merge reads and writes. */
function runReadAndWrite(inputs: readonly string[]): Measured {
  const out = join(cache, 'out-copy')
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  const [first, ...others] = inputs
  const reads = others.map((file) => `cat '${file}' > /dev/null`)
  const found = measure(['sh', '-c', [...reads, `cp '${first}' '${out}/copy'`, `sync '${out}/copy'`].join(' && ')])
  rmSync(out, { recursive: true, force: true })
  return found
}

const weights = (folder: string): string => join(folder, 'model.safetensors')
const number = (value: number): string => value.toFixed(value < 20 ? 1 : 0)
const field = (list: readonly Measured[], key: keyof Measured): number => median(list.map((found) => found[key]))
const range = (list: readonly Measured[]): string => {
  const walls = list.map(({ wall }) => wall)
  return `${number(Math.min(...walls))} to ${number(Math.max(...walls))}`
}
const ratio = (a: number, b: number): string => `1/${(b / a).toFixed(1)}`

const command = `npx tsx bench/merge/speed.ts --runs ${runs} --slow-runs ${slowRuns} --sets ${flags.sets} --methods ${flags.methods} --threads ${flags.threads}`
const rows: string[][] = []
const copies: string[][] = []
const loads: number[] = []

async function report(): Promise<void> {
  const page = [
    '# Merging: speed and memory against mergekit',
    '',
    'Wall seconds are medians (range); processor seconds are user and system time of all threads, medians. Ours is the whole command, its',
    "start and the flushing of the output included; mergekit 0.1.5 is `run_merge` without Python's imports. Both have the same number of threads;",
    'runs alternate: copies, ours, mergekit. The files are in the page cache as far as it holds them.',
    '',
    table(
      [
        'models',
        'method',
        'runs',
        'ours, wall s',
        'mergekit, wall s',
        'wall',
        'ours, cpu s',
        'mergekit, cpu s',
        'cpu',
        'ours, peak MB',
        'mergekit, peak MB',
        'memory',
      ],
      rows,
    ),
    '',
    'The same bytes without a merge: `cp` of all inputs, and reading all inputs but writing one of them; both flushed to disk.',
    '',
    table(
      [
        'models',
        'method',
        'cp of all, wall s',
        'read all, write one, wall s',
        'ours / cp',
        'ours / read and write',
        'ours / cp, cpu',
      ],
      copies,
    ),
    '',
    `The machine is shared: its load average at the start of each run was ${number(Math.min(...loads))} to ${number(Math.max(...loads))} (median ${number(median(loads))}) on ${cpus().length} cores.`,
    '',
    ...provenance(command),
  ].join('\n')
  if (flags.write) await writePage('docs/results/merge-speed.md', page)
  else console.log(page)
}

/** Fast methods of all sets first. */
const pairs = flags.sets
  .split(',')
  .flatMap((set) =>
    (set === 'stack' ? ['passthrough'] : flags.methods.split(',')).map((method) => [set, method] as const),
  )
  .sort(([, a], [, b]) => Number(slow.has(a)) - Number(slow.has(b)))
for (const [set, method] of pairs) {
  const { title, models } = sets[set]!
  const folders = await models()
  const size = `${title} (${Math.round(statSync(weights(folders[0]!)).size / 1e6)} MB each)`
  const content = recipeFor(set, method, folders)
  const recipe = join(cache, `speed-${set}-${method}.yml`)
  writeFileSync(recipe, JSON.stringify(content))
  const text = JSON.stringify(content)
  const inputs = folders.filter((folder) => text.includes(JSON.stringify(folder))).map(weights)
  const [ours, theirs, copied, read]: [Measured[], Measured[], Measured[], Measured[]] = [[], [], [], []]
  for (let run = 0; run < (slow.has(method) ? slowRuns : runs); run++) {
    loads.push(loadavg()[0]!)
    copied.push(runCopy(inputs))
    read.push(runReadAndWrite(inputs))
    ours.push(runOurs(recipe))
    if (!flags.alone) theirs.push(runPeer(recipe))
    console.error(set, method, run, ours.at(-1), theirs.at(-1), copied.at(-1), read.at(-1))
  }
  const compared = theirs.length > 0 ? theirs : ours
  rows.push([
    size,
    method,
    String(ours.length),
    `${number(field(ours, 'wall'))} (${range(ours)})`,
    `${number(field(compared, 'wall'))} (${range(compared)})`,
    ratio(field(ours, 'wall'), field(compared, 'wall')),
    number(field(ours, 'cpu')),
    number(field(compared, 'cpu')),
    ratio(field(ours, 'cpu'), field(compared, 'cpu')),
    (field(ours, 'rss') / 1e6).toFixed(0),
    (field(compared, 'rss') / 1e6).toFixed(0),
    ratio(field(ours, 'rss'), field(compared, 'rss')),
  ])
  copies.push([
    title,
    method,
    number(field(copied, 'wall')),
    number(field(read, 'wall')),
    (field(ours, 'wall') / field(copied, 'wall')).toFixed(2),
    (field(ours, 'wall') / field(read, 'wall')).toFixed(2),
    (field(ours, 'cpu') / field(copied, 'cpu')).toFixed(2),
  ])
  await report()
}
for (const name of ['out-ours', 'out-peer', 'out-copy']) rmSync(join(cache, name), { recursive: true, force: true })
