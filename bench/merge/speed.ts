/**
 * Speed and memory of merging against mergekit, alternating on the same files: wall time of `espalier merge` as a process, start included,
 * against mergekit's `run_merge` alone, without its imports; peak memory of both processes.
 *
 * npx tsx bench/merge/speed.ts [--runs 5] [--set bert|decoder|stack] [--methods linear,ties] [--write]
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { bert, decoder, makeModels } from './make-models.ts'

const { values: flags } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    set: { type: 'string', default: 'bert' },
    methods: { type: 'string', default: 'linear,slerp,ties,dare_ties,della' },
    threads: { type: 'string', default: String(cpus().length) },
    write: { type: 'boolean', default: false },
  },
})
const runs = Number(flags.runs)
const cache = resolve('bench/.cache/merge')
const python = resolve('bench/peers/venv/bin/python')
const main = resolve('dist/cli/main.js')

const sets: Record<string, { title: string; models: () => Promise<string[]> }> = {
  bert: { title: 'eight BERT-base, float32', models: () => makeModels(cache, bert(), 'F32', 8) },
  decoder: {
    title: 'two decoders of 1.2 billion weights, bfloat16',
    models: () => makeModels(cache, decoder(), 'BF16', 2),
  },
  stack: {
    title: 'a stack of 20 layers from two such decoders',
    models: () => makeModels(cache, decoder(), 'BF16', 2),
  },
}

const { title, models } = sets[flags.set]!
const [base, ...tuned] = await models()

function recipeFor(method: string): Record<string, unknown> {
  const entries = (list: string[], parameters?: Record<string, unknown>) =>
    list.map((model) => ({ model, ...(parameters ? { parameters } : {}) }))
  if (flags.set === 'stack')
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
  const parameters = { weight: 1, ...(method === 'task_arithmetic' ? {} : { density: method === 'ties' ? 0.2 : 0.5 }) }
  return { merge_method: method, models: entries(tuned, parameters), base_model: base }
}

/** Runs our command; its peak memory is read from /proc while it runs. */
function runOurs(recipe: string, out: string): Promise<{ seconds: number; rss: number }> {
  rmSync(out, { recursive: true, force: true })
  return new Promise((done, fail) => {
    const start = performance.now()
    const child = spawn(process.execPath, [main, 'merge', recipe, out, '--threads', flags.threads, '--json'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    let rss = 0
    const timer = setInterval(() => {
      try {
        const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
        rss = Math.max(rss, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024)
      } catch {
        // it has ended
      }
    }, 20)
    child.on('exit', (code) => {
      clearInterval(timer)
      if (code === 0) done({ seconds: (performance.now() - start) / 1000, rss })
      else fail(new Error(`espalier merge ended with status ${code}`))
    })
  })
}

function runPeer(recipe: string, out: string): { seconds: number; rss: number } {
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
  return result
}

/** Copying as many bytes as are read and written, and flushing them: the least that a merge can take. */
function runCopy(recipe: Record<string, unknown>, out: string): number {
  const used = JSON.stringify(recipe)
  const files = [base!, ...tuned].filter((model) => used.includes(JSON.stringify(model)))
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  const start = performance.now()
  for (const model of files) copyFileSync(join(model, 'model.safetensors'), join(out, 'copy'))
  execFileSync('sync', [join(out, 'copy')])
  const seconds = (performance.now() - start) / 1000
  rmSync(out, { recursive: true, force: true })
  return seconds
}

const median = (values: number[]): number => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)]!
const range = (values: number[]): string => `${Math.min(...values).toFixed(1)} to ${Math.max(...values).toFixed(1)}`
const rows: string[] = []
const methods = flags.set === 'stack' ? ['passthrough'] : flags.methods.split(',')
for (const method of methods) {
  const recipe = join(cache, `speed-${flags.set}-${method}.yml`)
  writeFileSync(recipe, JSON.stringify(recipeFor(method)))
  const ours: { seconds: number; rss: number }[] = []
  const theirs: { seconds: number; rss: number }[] = []
  const copies: number[] = []
  for (let run = 0; run < runs; run++) {
    copies.push(runCopy(recipeFor(method), join(cache, 'out-copy')))
    ours.push(await runOurs(recipe, join(cache, 'out-ours')))
    theirs.push(runPeer(recipe, join(cache, 'out-peer')))
    console.error(method, run, ours.at(-1), theirs.at(-1), copies.at(-1))
  }
  const seconds = (list: { seconds: number }[]) => list.map((run) => run.seconds)
  const mega = (list: { rss: number }[]) => median(list.map((run) => run.rss)) / 1e6
  const [a, b] = [median(seconds(ours)), median(seconds(theirs))]
  rows.push(
    `| ${method} | ${a.toFixed(1)} (${range(seconds(ours))}) | ${b.toFixed(1)} (${range(seconds(theirs))}) | 1/${(b / a).toFixed(1)} | ${mega(ours).toFixed(0)} | ${mega(theirs).toFixed(0)} | 1/${(mega(theirs) / mega(ours)).toFixed(1)} | ${(a / median(copies)).toFixed(1)} |`,
  )
}
for (const name of ['out-ours', 'out-peer', 'out-copy']) rmSync(join(cache, name), { recursive: true, force: true })
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
const page = [
  `# Merging: speed and memory, ${title}`,
  '',
  `Command: \`npx tsx bench/merge/speed.ts --set ${flags.set} --runs ${runs} --threads ${flags.threads}\`, ${new Date().toISOString().slice(0, 10)}, commit ${commit}, mergekit 0.1.5, ${cpus().length} cores (${cpus()[0]!.model.trim()}), ${runs} alternating runs, medians (range).`,
  `Each model has ${(statSync(join(base!, 'model.safetensors')).size / 1e6).toFixed(0)} MB. Ours is the whole process; mergekit is \`run_merge\` without Python's imports.`,
  '',
  '| method | ours, s | mergekit, s | time | ours, peak MB | mergekit, peak MB | memory | times copying the inputs |',
  '| --- | --- | --- | --- | --- | --- | --- | --- |',
  ...rows,
  '',
].join('\n')
console.log(page)
if (flags.write) {
  mkdirSync('docs/results', { recursive: true })
  writeFileSync(`docs/results/merge-speed-${flags.set}.md`, page)
}
