/**
 * The default `ngram` model beside scikit-learn (TF-IDF of 1-2 word and 2-5 character n-grams, LinearSVC) and fastText (word bigrams, 25 epochs, 100
 * dimensions): accuracy on the test splits, whole training processes in alternating runs, prediction speed, memory and model size. Then what
 * pruning weights costs on CLINC150's dev split. Writes docs/results/ngram.md.
 *
 *     npx tsx bench/ngram.ts [--data ../shared/data] [--sets trec,clinc150,...] [--repeats 3] [--once naics2012,goemotions] [--peers sklearn,fasttext] [--out docs/results/ngram.md]
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { headTargets } from '../dist/labels/head-targets.js'
import { readLabelTree } from '../dist/labels/read-label-tree.js'
import { loadNgramModel, saveNgramModel } from '../dist/models/ngram-files.js'
import { trainLinear } from '../dist/train/linear.js'

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    sets: {
      type: 'string',
      default:
        'clinc150,trec,naics2012,banking77,ag_news,goemotions,sst2,subj,cr,tweet_emotion,tweet_irony,tweet_hate,tweet_offensive,wos1k',
    },
    repeats: { type: 'string', default: '3' },
    once: { type: 'string', default: 'naics2012,goemotions' },
    peers: { type: 'string', default: 'sklearn,fasttext' },
    out: { type: 'string', default: 'docs/results/ngram.md' },
  },
})
const python = 'bench/peers/venv/bin/python'
const work = mkdtempSync(join(tmpdir(), 'espalier-bench-'))
const started = new Date()
const load = loadavg()[0]!

interface Run {
  /** Leaf accuracy, or micro-F1 over all nodes where rows have several labels. */
  accuracy: number
  level1: number | undefined
  wallSeconds: number
  cpuSeconds: number
  peakRssBytes: number
  modelBytes: number
  predictPerSecond: number
}

interface Row {
  text: string
  labels: string[][]
}

const system = (command: string, args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 2 ** 28 })
const lastLine = (text: string): string => text.trim().split('\n').at(-1)!
const file = (set: string, split: string): string => join(flags.data, set, `${split}.jsonl.gz`)
const readRows = (path: string): Row[] =>
  gunzipSync(readFileSync(path))
    .toString('utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Row)

async function espalier(set: string, multiLabel: boolean): Promise<Run> {
  const model = join(work, 'model')
  rmSync(model, { recursive: true, force: true })
  const cli = ['node', 'dist/cli/main.js']
  const train = [
    ...cli,
    'train',
    file(set, 'train'),
    '--labels',
    join(flags.data, set, 'labels.json'),
    '--out',
    model,
    '--empty-text',
    'skip',
  ]
  const measured = JSON.parse(lastLine(system(python, ['bench/peers/measure.py', ...train]))) as Pick<
    Run,
    'wallSeconds' | 'cpuSeconds' | 'peakRssBytes'
  > // prettier-ignore
  const report = JSON.parse(
    system(cli[0]!, [cli[1]!, 'evaluate', model, file(set, 'test'), '--empty-text', 'skip', '--json']),
  ) as {
    microF1: number
    leafAccuracy: number
    levels: { accuracy: number }[]
  }
  const texts = readRows(file(set, 'test')).map((row) => row.text)
  const loaded = await loadNgramModel(model)
  const speeds: number[] = []
  for (let turn = 0; turn < 3; turn++) {
    const before = performance.now()
    for (let start = 0; start < texts.length; start += 512) loaded.score(texts.slice(start, start + 512))
    speeds.push((texts.length / (performance.now() - before)) * 1000)
  }
  return {
    ...measured,
    accuracy: multiLabel ? report.microF1 : report.leafAccuracy,
    level1: multiLabel ? undefined : report.levels[0]!.accuracy,
    modelBytes: statSync(join(model, 'model.safetensors')).size,
    predictPerSecond: Math.max(...speeds),
  }
}

function peer(script: string, set: string, multiLabel: boolean): Run {
  const args = [`bench/peers/${script}.py`, file(set, 'train'), file(set, 'test'), join(work, 'peer.model')]
  const result = JSON.parse(lastLine(system(python, [...args, ...(multiLabel ? ['--multi-label'] : [])]))) as Run & {
    leaf?: number
    microF1?: number
  }
  rmSync(join(work, 'peer.model'), { force: true })
  return { ...result, accuracy: result.leaf ?? result.microF1! }
}

function median(runs: Run[]): Run {
  const middle = (value: (run: Run) => number) => runs.map(value).sort((a, b) => a - b)[Math.floor(runs.length / 2)]!
  return {
    accuracy: middle((run) => run.accuracy),
    level1: runs[0]!.level1 === undefined ? undefined : middle((run) => run.level1!),
    wallSeconds: middle((run) => run.wallSeconds),
    cpuSeconds: middle((run) => run.cpuSeconds),
    peakRssBytes: middle((run) => run.peakRssBytes),
    modelBytes: runs[0]!.modelBytes,
    predictPerSecond: middle((run) => run.predictPerSecond),
  }
}

/** What leaving out small weights costs on CLINC150's dev split. */
async function pruning(): Promise<string[]> {
  const tree = await readLabelTree(join(flags.data, 'clinc150', 'labels.json'))
  const train = readRows(file('clinc150', 'train'))
  const dev = readRows(file('clinc150', 'dev'))
  const layout = {
    activation: 'softmax' as const,
    unitNodes: Int32Array.from(tree.leaves),
    groups: [{ parent: -1, start: 0, end: tree.leaves.length }],
  }
  const leafOf = (row: Row) => tree.find(row.labels[0]!)!
  const targets = headTargets(
    layout,
    tree,
    train.map((row) => [leafOf(row)]),
  ) // prettier-ignore
  const lines = [
    '| weights below this share of a label’s largest left out | weights | model MB | dev leaf accuracy |',
    '|---|---|---|---|',
  ] // prettier-ignore
  for (const prune of [0, 0.01, 0.02, 0.05, 0.1]) {
    const { model } = await trainLinear({
      texts: train.map((row) => row.text),
      layout,
      targets,
      tree,
      options: { prune },
    }) // prettier-ignore
    await mkdir(join(work, 'pruned'), { recursive: true })
    await saveNgramModel(model, join(work, 'pruned'))
    const logits = model.score(dev.map((row) => row.text))
    let right = 0
    for (const [i, row] of dev.entries()) {
      const scores = logits.subarray(i * model.units, (i + 1) * model.units)
      if (tree.leaves[scores.indexOf(Math.max(...scores))] === leafOf(row)) right++
    }
    const megabytes = statSync(join(work, 'pruned', 'model.safetensors')).size / 1e6
    lines.push(
      `| ${prune === 0 ? 'what 8 bits round to 0' : prune} | ${model.parameters.toLocaleString('en-US')} | ${megabytes.toFixed(1)} | ${(right / dev.length).toFixed(4)} |`,
    ) // prettier-ignore
  }
  return lines
}

const systems = ['espalier', ...flags.peers.split(',').filter(Boolean)]
const results: { set: string; multiLabel: boolean; runs: Map<string, Run[]> }[] = []

function page(trade: string[]): string {
  const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8' }).trim()
  const percent = (value: number | undefined) => (value === undefined ? '' : (100 * value).toFixed(1))
  const lines = results.flatMap(({ set, multiLabel, runs }) =>
    systems.map((name) => {
      const all = runs.get(name)!
      const run = median(all)
      const walls = all.map((r) => r.wallSeconds)
      const spread = `${Math.min(...walls).toFixed(1)} to ${Math.max(...walls).toFixed(1)}`
      return `| ${set} | ${name} | ${percent(run.accuracy)}${multiLabel ? ' (micro-F1)' : ''} | ${percent(run.level1)} | ${run.wallSeconds.toFixed(2)} (${spread}) | ${run.cpuSeconds.toFixed(2)} | ${Math.round(run.predictPerSecond).toLocaleString('en-US')} | ${Math.round(run.peakRssBytes / 2 ** 20)} | ${(run.modelBytes / 1e6).toFixed(1)} |`
    }),
  )
  const behind = results.flatMap(({ set, runs }) => {
    const own = median(runs.get('espalier')!)
    const sklearn = runs.get('sklearn')
    const fasttext = runs.get('fasttext')
    const faults: string[] = []
    if (sklearn && own.accuracy < median(sklearn).accuracy) faults.push(`accuracy below scikit-learn on ${set}`)
    if (sklearn && own.wallSeconds > median(sklearn).wallSeconds) faults.push(`slower than scikit-learn on ${set}`)
    if (fasttext && own.accuracy < median(fasttext).accuracy) faults.push(`accuracy below fastText on ${set}`)
    if (fasttext && own.wallSeconds > 2 * median(fasttext).wallSeconds)
      faults.push(`more than twice fastText's time on ${set}`) // prettier-ignore
    return faults
  })
  return `# The ngram model beside scikit-learn and fastText

Written by \`npx tsx bench/ngram.ts ${process.argv.slice(2).join(' ')}\` on ${started.toISOString().slice(0, 10)}, commit ${git('rev-parse', '--short', 'HEAD')}.
Machine: ${cpus().length} x ${cpus()[0]!.model.trim()}, Node ${process.versions.node}. Load before the runs: ${load.toFixed(1)}${load > 1 ? '; other work ran beside them: wall times are inflated on all sides, processor times less so' : ''}.

One default configuration for all sets, tuned by cross-validation on training rows; test splits are only scored here. scikit-learn: TF-IDF of 1-2 words
and 2-5 characters, LinearSVC, defaults. fastText: wordNgrams 2, 25 epochs, lr 0.5, dim 100, 2 threads. Medians of ${flags.repeats} (${flags.once}: 1) alternating
runs; training is a whole process from text to saved model (for the peers without the start of Python). Seed 0; every repeat of espalier gives the same bytes.
Prediction of espalier: text to logits on one thread.

| set | system | accuracy % | level 1 % | training s (least to most) | training CPU s | texts/s | peak MiB | model MB |
|---|---|---|---|---|---|---|---|---|
${lines.join('\n')}

Targets missed: ${behind.length === 0 ? 'none' : behind.join('; ')}.
${trade.length === 0 ? '' : `\n## Pruning (CLINC150, dev split)\n\n${trade.join('\n')}\n`}`
}

for (const set of flags.sets.split(',')) {
  const multiLabel = readRows(file(set, 'train')).some((row) => row.labels.length > 1)
  const runs = new Map<string, Run[]>(systems.map((name) => [name, []]))
  const repeats = flags.once.split(',').includes(set) ? 1 : Number(flags.repeats)
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const name of systems) {
      const run = name === 'espalier' ? await espalier(set, multiLabel) : peer(`linear_${name}`, set, multiLabel)
      runs.get(name)!.push(run)
      console.log(set, name, JSON.stringify(run))
    }
  }
  results.push({ set, multiLabel, runs })
  await mkdir(dirname(flags.out), { recursive: true })
  await writeFile(flags.out, page([]))
}
if (flags.sets.includes('clinc150')) await writeFile(flags.out, page(await pruning()))
rmSync(work, { recursive: true, force: true })
