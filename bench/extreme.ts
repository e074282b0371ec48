/**
 * `xr-linear` beside PECOS XR-Linear and fastText on NAICS-2012 and on generated labels with power-law frequencies; per-parent methods beside HiClass on
 * NAICS-2012 and CLINC150; what xr-linear costs from 10,000 labels on. Whole training processes in alternating runs, one thread each. Every run is kept in
 * a file of its own, so that the parts can be run one at a time; the page is written from all of them.
 *
 *     npx tsx bench/extreme.ts [--parts naics,10k,100k,hierarchical] [--scale 10000,100000]
 *         [--systems 'xr-linear;PECOS XR-Linear'] [--repeats 3] [--data ../shared/data] [--out docs/results/extreme.md]
 */
import { execFileSync } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { loadClassifier } from '../dist/classify/load-classifier.js'
import { predict } from '../dist/classify/predict.js'
import { idSets } from '../dist/evaluate/id-sets.js'
import { inversePropensities, propensityScoredPrecisionAt, rankingScores } from '../dist/evaluate/ranking.js'
import { generateExtreme } from './extreme-data.ts'
import { provenance, table, writePage } from './results-page.ts'

const { values: flags } = parseArgs({
  options: {
    parts: { type: 'string', default: 'naics,10k,hierarchical' },
    scale: { type: 'string', default: '' },
    systems: { type: 'string', default: '' },
    repeats: { type: 'string', default: '3' },
    data: { type: 'string', default: '../shared/data' },
    out: { type: 'string', default: 'docs/results/extreme.md' },
  },
})
const cache = 'bench/.cache/extreme'
const python = 'bench/peers/venv/bin/python'
mkdirSync(cache, { recursive: true })
const runsFile = join(cache, 'runs.jsonl')

interface Costs {
  wallSeconds: number
  cpuSeconds: number
  peakRssBytes: number
  modelBytes: number
  queryMs: number
}
interface Run extends Costs {
  part: string
  system: string
  precision: Record<string, number>
  psp: Record<string, number>
  hF: number
  load: number
  commit: string
}
interface Row {
  text: string
  labels: string[][]
}

const system = (command: string, args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 2 ** 28 })
const jsonLine = (text: string): Costs => JSON.parse(text.trim().split('\n').at(-1)!) as Costs
const readRows = (file: string): Row[] =>
  gunzipSync(readFileSync(file))
    .toString('utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Row) // prettier-ignore
const folderBytes = (folder: string): number =>
  readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()

/** Trains by the command line, then ranks the test texts; the five best labels of each text and the costs. */
async function espalier(folder: string, options: string[]): Promise<{ costs: Costs; answers: string[][] }> {
  const model = join(cache, 'model')
  rmSync(model, { recursive: true, force: true })
  const labels = existsSync(join(folder, 'labels.json')) ? ['--labels', join(folder, 'labels.json')] : []
  const words = [
    'dist/cli/main.js',
    'train',
    join(folder, 'train.jsonl.gz'),
    ...labels,
    '--out',
    model,
    '--threads',
    '1',
    '--force',
    ...options,
  ]
  const measured = jsonLine(system(python, ['bench/peers/measure.py', 'node', ...words]))
  const loaded = await loadClassifier(model, { threads: 1 })
  const texts = readRows(join(folder, 'test.jsonl.gz')).map(({ text }) => text)
  const before = process.cpuUsage()
  const predictions = await predict(loaded, texts, { topK: 5 })
  const { user, system: kernel } = process.cpuUsage(before)
  await loaded.close()
  return {
    costs: { ...measured, modelBytes: folderBytes(model), queryMs: (user + kernel) / 1000 / texts.length },
    answers: predictions.map(({ top }) => top.map(({ path }) => path.join('\t'))),
  }
}

function peer(script: string, folder: string, options: string[], env = python): { costs: Costs; answers: string[][] } {
  const model = join(cache, 'peer-model')
  const answers = join(cache, 'answers.jsonl')
  rmSync(model, { recursive: true, force: true })
  const files = ['train', 'test'].map((split) => join(folder, `${split}.jsonl.gz`))
  const costs = jsonLine(system(env, [`bench/peers/${script}.py`, ...files, model, answers, ...options]))
  return {
    costs,
    answers: readFileSync(answers, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as string[]),
  } // prettier-ignore
}

function judge(folder: string, answers: string[][]): Pick<Run, 'precision' | 'psp' | 'hF'> {
  const train = readRows(join(folder, 'train.jsonl.gz'))
  const test = readRows(join(folder, 'test.jsonl.gz'))
  const ids = new Map<string, number>()
  const idOf = (name: string) => {
    if (!ids.has(name)) ids.set(name, ids.size)
    return ids.get(name)!
  }
  const trained = train.map((row) => row.labels.map((path) => idOf(path.join('\t'))))
  const gold = idSets(test.map((row) => row.labels.map((path) => idOf(path.join('\t')))))
  const ranking = idSets(answers.map((row) => row.map(idOf)))
  const counts = new Uint32Array(ids.size)
  for (const row of trained) for (const id of row) counts[id]!++
  const { precisionAt } = rankingScores(ids.size, gold, ranking)
  const psp = propensityScoredPrecisionAt(gold, ranking, inversePropensities(counts, train.length))
  // Hierarchical F1 of the best answer: prefixes of paths stand for nodes.
  let both = 0
  let predicted = 0
  let wanted = 0
  for (const [row, { labels }] of test.entries()) {
    const own = answers[row]![0]?.split('\t') ?? []
    const path = labels[0]!
    predicted += own.length
    wanted += path.length
    for (let depth = 0; depth < own.length && own[depth] === path[depth]; depth++) both++
  }
  return { precision: precisionAt, psp, hF: (2 * both) / (predicted + wanted) }
}

const pecos = 'bench/peers/venv-pecos/bin/python'
type Runner = (folder: string) => Promise<{ costs: Costs; answers: string[][] }>
const xr =
  (...options: string[]): Runner =>
  (folder) =>
    espalier(folder, ['--method', 'xr-linear', ...options.flatMap((option) => ['--method-option', option])])
const fasttext =
  (loss: string, epochs: number): Runner =>
  async (folder) =>
    peer('xr_fasttext', folder, ['--loss', loss, '--epochs', String(epochs)])

const flat: Record<string, Runner> = {
  'xr-linear': xr(),
  'xr-linear, words': xr('features=words'),
  'xr-linear, label tree': xr('tree=labels'),
  'PECOS XR-Linear': async (folder) => peer('xr_pecos', folder, [], pecos),
  'PECOS XR-Linear, 1-2 words and 2-5 characters': async (folder) => peer('xr_pecos', folder, ['--characters'], pecos),
  'fastText, softmax': fasttext('softmax', 25),
  'fastText, hierarchical softmax': fasttext('hs', 25),
}
const wide: Record<string, Runner> = {
  'xr-linear': xr('features=words'),
  'PECOS XR-Linear': flat['PECOS XR-Linear']!,
  'fastText, hierarchical softmax': fasttext('hs', 5),
}
const hierarchical: Record<string, Runner> = {
  'conditional-softmax': (folder) => espalier(folder, ['--method', 'conditional-softmax']),
  'xr-linear, label tree': xr('tree=labels'),
  HiClass: async (folder) => peer('hierarchical_hiclass', folder, []),
}

interface Part {
  name: string
  folder: string
  systems: Record<string, Runner>
  size?: { labels: number; rows: number }
}
const generated = (labels: number, rows: number) => ({
  name: `${labels.toLocaleString('en-US')} labels`,
  folder: join(cache, `${labels}-${rows}`),
  size: { labels, rows },
})
const parts: Record<string, Part[]> = {
  naics: [{ name: 'naics2012', folder: join(flags.data, 'naics2012'), systems: flat }],
  '10k': [{ ...generated(10_000, 20_000), systems: wide }],
  '100k': [{ ...generated(100_000, 300_000), systems: wide }],
  hierarchical: ['naics2012', 'clinc150'].map((set) => ({
    name: `${set}, by parent`,
    folder: join(flags.data, set),
    systems: hierarchical,
  })),
}
const scale: Part[] = flags.scale
  .split(',')
  .filter(Boolean)
  .map(Number)
  .map((labels) => ({
    ...generated(labels, labels === 100_000 ? 300_000 : labels === 10_000 ? 20_000 : labels),
    systems: { 'xr-linear': xr('features=words') },
  })) // prettier-ignore

for (const part of [
  ...flags.parts
    .split(',')
    .filter(Boolean)
    .flatMap((name) => parts[name]!),
  ...scale,
]) {
  if (part.size && !existsSync(join(part.folder, 'test.jsonl.gz')))
    await generateExtreme({ ...part.size, test: 5000, seed: 0 }, part.folder)
  for (let repeat = 0; repeat < Number(flags.repeats); repeat++) {
    for (const [name, runner] of Object.entries(part.systems)) {
      if (flags.systems !== '' && !flags.systems.split(';').includes(name)) continue
      const load = loadavg()[0]!
      const { costs, answers } = await runner(part.folder)
      const run: Run = { part: part.name, system: name, ...costs, ...judge(part.folder, answers), load, commit }
      appendFileSync(runsFile, `${JSON.stringify(run)}\n`)
      console.log(part.name, name, JSON.stringify({ ...costs, precision: run.precision, hF: run.hF, load }))
    }
  }
}

const runs = readFileSync(runsFile, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Run) // prettier-ignore
const middle = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!
const percent = (value: number): string => (100 * value).toFixed(2)

function lines(part: string, withHF: boolean): string[][] {
  const names = [...new Set(runs.filter((run) => run.part === part).map((run) => run.system))]
  return names.map((name) => {
    const own = runs.filter((run) => run.part === part && run.system === name)
    const of = (value: (run: Run) => number) => middle(own.map(value))
    const walls = own.map((run) => run.wallSeconds)
    const quality = withHF
      ? [percent(of((run) => run.hF))]
      : ['1', '3', '5']
          .flatMap((k) => [percent(of((run) => run.precision[k]!))])
          .concat(['1', '3', '5'].map((k) => percent(of((run) => run.psp[k]!)))) // prettier-ignore
    return [
      name,
      ...quality,
      `${of((run) => run.cpuSeconds).toFixed(1)}`,
      `${of((run) => run.wallSeconds).toFixed(1)} (${Math.min(...walls).toFixed(1)} to ${Math.max(...walls).toFixed(1)})`,
      String(Math.round(of((run) => run.peakRssBytes) / 2 ** 20)),
      (of((run) => run.modelBytes) / 1e6).toFixed(1),
      of((run) => run.queryMs).toFixed(3),
      String(own.length),
    ]
  })
}
const costColumns = ['training CPU s', 'wall s (least to most)', 'peak MiB', 'model MB', 'ms a query', 'runs']
const sections = [...new Set(runs.map((run) => run.part))].map((part) => {
  const byParent = part.endsWith('by parent')
  const quality = byParent ? ['hF'] : ['P@1', 'P@3', 'P@5', 'PSP@1', 'PSP@3', 'PSP@5']
  return `## ${part}\n\n${table(['system', ...quality, ...costColumns], lines(part, byParent))}`
})
const loads = runs.map((run) => run.load)
await writePage(
  flags.out,
  `# Extreme and hierarchical classification beside PECOS, HiClass and fastText

Test rows, in percent. One thread each; medians of alternating whole training processes, from compressed rows to a saved model (the peers without the start
of Python; espalier with that of Node). Load of the machine (2 cores) before the runs: ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}; wall times
are inflated by it on all sides, processor times less so. A query is a text on one thread, features included, in processor time. Model sizes are whole folders, vocabulary and label names included. Systems, sets and sizes without a row here have not been measured yet. Commits of the runs: ${[...new Set(runs.map((run) => run.commit))].join(', ')}.

Generated sets (bench/extreme-data.ts, seed 0): one to four labels a row, frequencies of a power law, every label at least once; 20,000 rows for 10,000
labels, 300,000 for 100,000, as many rows as labels beyond; 5,000 test rows. PECOS: the defaults of its text2text application. fastText: word bigrams, 100 dimensions, 25 epochs
(5 on generated sets, where the softmax is out of reach). HiClass: a logistic regression per parent on TF-IDF of 1-2 words; a run of it that
another job held up (its wall time is many times its processor time) counts by its processor time.

${sections.join('\n\n')}

${provenance(`npx tsx bench/extreme.ts --parts ${flags.parts}${flags.scale ? ` --scale ${flags.scale}` : ''} --repeats ${flags.repeats}`).join('\n')}`,
)
