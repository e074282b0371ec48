/**
 * Merges that look at data, on the merging suite: test accuracy with the specialists' own heads, beside merges without data, over three suites. What is
 * measured is kept in bench/.cache/merge-with-data until --fresh, so that an interrupted run goes on. Writes docs/results/merge-with-data.md.
 *
 *     nice -n 10 npx tsx bench/systems/merge-with-data.ts [--seeds 0,1,2] [--rows 256] [--data ../shared/data] [--fresh]
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import * as espalier from '../../dist/index.js'
import { mean, provenance, spread, table, writePage } from '../results-page.ts'
import { type MergeSuite, openSuite } from './merge-suite.ts'
import { suiteSpecialists } from './suite-specialists.ts'

const { values: flags } = parseArgs({
  options: {
    seeds: { type: 'string', default: '0,1,2' },
    rows: { type: 'string', default: '256' },
    only: { type: 'string' },
    data: { type: 'string', default: '../shared/data' },
    fresh: { type: 'boolean', default: false },
    out: { type: 'string', default: 'docs/results/merge-with-data.md' },
  },
})
const seeds = flags.seeds.split(',').map(Number)
const rows = Number(flags.rows)

const { adamerging, apl, fisher, linear, regmean, regmeanPlusplus, taskArithmetic, ties, tsvM } = espalier
/** With the best λ of a grid on validation texts where `scaled`. */
const plain: Record<string, { method: espalier.MergeMethod; scaled?: boolean }> = {
  average: { method: linear() },
  'task arithmetic, best λ': { method: taskArithmetic(), scaled: true },
  'task arithmetic, λ 0.3': { method: taskArithmetic({ lambda: 0.3 }) },
  'TIES, best λ': { method: ties({ density: 0.2, scope: 'model' }), scaled: true },
  'TSV-M, best λ': { method: tsvM(), scaled: true },
}
const rest = { embeddings: 'rest', rest: 'sum', lambda: 0.5 } as const
const withData: Record<string, espalier.DataMergeMethod> = {
  'RegMean, embeddings averaged': regmean({ embeddings: 'mean' }),
  RegMean: regmean(),
  'RegMean, α 0.5': regmean({ alpha: 0.5 }),
  'RegMean, α 1': regmean({ alpha: 1 }),
  'RegMean, rest by task arithmetic (0.5)': regmean(rest),
  'RegMean++': regmeanPlusplus(),
  'RegMean++, rest by task arithmetic (0.5)': regmeanPlusplus(rest),
  'Fisher, drawn labels': fisher(),
  'Fisher, given labels': fisher({ labels: 'given' }),
  'AdaMerging, by task': adamerging({ level: 'task', learningRate: 0.01, steps: 100 }),
  'AdaMerging, by layer': adamerging({ level: 'layer', learningRate: 0.01, steps: 100 }),
  'AdaMerging, by tensor': adamerging({ level: 'tensor', learningRate: 0.01, steps: 100 }),
  'AdaMerging, by tensor, rate 0.001': adamerging({ level: 'tensor', learningRate: 0.001, steps: 200 }),
  'APL, keep 0.2, added up (0.5)': apl(),
  'APL, keep 0.2, as TIES (1)': apl({ inner: 'ties', lambda: 1 }),
}

interface Outcome {
  readonly accuracies: readonly number[]
  readonly seconds: number
  readonly report?: unknown
}
const store = join('bench/.cache/merge-with-data')
if (flags.fresh) rmSync(store, { recursive: true, force: true })
mkdirSync(store, { recursive: true })
const outcomes = new Map<string, Outcome[]>()
async function measure(name: string, options: unknown, seed: number, work: () => Promise<Outcome>): Promise<void> {
  const key = `${seed}-${rows}-${name.replaceAll(/[^\w.+]+/g, '-')}`
  const file = join(store, `${key}.json`)
  const asked = JSON.stringify(options)
  const kept = existsSync(file)
    ? (JSON.parse(readFileSync(file, 'utf8')) as { asked: string; outcome: Outcome })
    : undefined
  const outcome = kept?.asked === asked ? kept.outcome : await work()
  writeFileSync(file, JSON.stringify({ asked, outcome }))
  outcomes.set(name, [...(outcomes.get(name) ?? []), outcome])
  const { accuracies, seconds } = outcome
  console.error(
    `seed ${seed}  ${name}: ${mean(accuracies).toFixed(3)}  ${seconds.toFixed(1)} s  ${JSON.stringify(outcome.report ?? '').slice(0, 300)}`,
  )
}
async function timed(
  suite: MergeSuite,
  make: () => Promise<{ weights: ReadonlyMap<string, Float32Array>; report?: unknown }>,
) {
  const start = performance.now()
  const { weights, report } = await make()
  const seconds = (performance.now() - start) / 1000
  return { accuracies: await suite.accuracies(weights), seconds, report }
}

for (const seed of seeds) {
  const suite = await openSuite({ seed, data: flags.data })
  const specialists = await suiteSpecialists(suite, rows)
  await measure('specialists', {}, seed, async () => ({
    accuracies: await suite.accuraciesFor((_, t) => specialists.models[t]!.weights),
    seconds: 0,
  }))
  for (const [name, { method, scaled }] of Object.entries(plain))
    await measure(name, method.settings, seed, () =>
      timed(suite, async () => {
        const weights = await suite.merge(method)
        return { weights: scaled ? (await suite.chooseLambda(weights)).weights : weights }
      }),
    )
  for (const [name, method] of Object.entries(withData))
    if (flags.only === undefined || name.includes(flags.only))
      await measure(name, method.options, seed, () =>
        timed(suite, () => method.merge(specialists, { threads: 1, seed })),
      )
  await suite.close()
}

const scores = (name: string) => outcomes.get(name)!.map(({ accuracies }) => 100 * mean(accuracies))
const lead = (name: string, other: string) =>
  spread(
    scores(name).map((score, i) => score - scores(other)[i]!),
    1,
  )
if (flags.only === undefined)
  await writePage(
    flags.out,
    `# Merging with data

The merging suite (six specialists of a small encoder, 15 intents each), one suite for each of the seeds ${seeds.join(', ')}; see [the suite](merge-suite.md). Test accuracy in % with the
specialists' own heads, mean over tasks, ± standard deviation over suites. Methods with data see ${rows} training texts of each task (labels only where it
says "given") and have their default settings unless named (AdaMerging: Adam at 0.01 for 100 steps, at 0.001 for 200); merges without data have the λ that validation texts choose where it says so.

${table(
  ['merge', 'accuracy', 'seconds'],
  [...outcomes.keys()]
    .sort((a, b) => mean(scores(b)) - mean(scores(a)))
    .map((name) => [
      name,
      spread(scores(name), 1),
      name === 'specialists' ? '' : mean(outcomes.get(name)!.map(({ seconds }) => seconds)).toFixed(1),
    ]),
)}

What each method gains, in points:

${table(
  ['method', 'against', 'gain'],
  [
    ['RegMean, embeddings averaged', 'average'],
    ['RegMean', 'average'],
    ['RegMean', 'RegMean, embeddings averaged'],
    ['RegMean', 'task arithmetic, best λ'],
    ['RegMean', 'TSV-M, best λ'],
    ['RegMean++', 'RegMean'],
    ['Fisher, drawn labels', 'average'],
    ['Fisher, given labels', 'Fisher, drawn labels'],
    ['AdaMerging, by task', 'task arithmetic, λ 0.3'],
    ['AdaMerging, by layer', 'task arithmetic, λ 0.3'],
    ['AdaMerging, by tensor', 'task arithmetic, λ 0.3'],
    ['AdaMerging, by tensor, rate 0.001', 'task arithmetic, λ 0.3'],
    ['APL, keep 0.2, added up (0.5)', 'task arithmetic, best λ'],
    ['APL, keep 0.2, as TIES (1)', 'TIES, best λ'],
  ].map(([a, b]) => [a!, b!, lead(a!, b!)]),
)}

${provenance('npx tsx bench/systems/merge-with-data.ts').join('\n')}`,
  )
