/**
 * Activated parameter locating on the specialists of the merging suite. Faithfulness: the effect of putting single rows and tensors of a model's change back
 * to the base, exactly and by gradients, and how long each takes. Use: models that keep a share of their change, chosen by APL, by magnitude or at
 * random, alone and added up with the others. Writes docs/results/apl.md.
 *
 *     nice -n 10 npx tsx bench/systems/apl.ts [--seeds 0,1,2] [--rows 240] [--parts 128] [--data ../shared/data]
 */
import { parseArgs } from 'node:util'
import { type AplOptions, changeOf, dropRest, scoreChange } from '../../dist/merge/with-data/merge-located.js'
import {
  gradientEffects,
  interventionEffects,
  keepTop,
  partEffects,
  partsOf,
} from '../../dist/merge/with-data/parameter-effects.js'
import type { Specialist, Specialists } from '../../dist/merge/with-data/specialists.js'
import { openLandscape } from '../../dist/merge/with-data/task-landscape.js'
import { permutation, random } from '../../dist/tensor/random.js'
import { mean, median, provenance, spread, table, writePage } from '../results-page.ts'
import { type MergeSuite, openSuite } from './merge-suite.ts'
import { spearman } from './rank-correlation.ts'
import { suiteSpecialists } from './suite-specialists.ts'

const { values: flags } = parseArgs({
  options: {
    seeds: { type: 'string', default: '0,1,2' },
    rows: { type: 'string', default: '240' },
    parts: { type: 'string', default: '128' },
    data: { type: 'string', default: '../shared/data' },
    probed: { type: 'string', default: '2' },
    out: { type: 'string', default: 'docs/results/apl.md' },
  },
})
const seeds = flags.seeds.split(',').map(Number)
const partCount = Number(flags.parts)
const rates = [0.5, 0.6, 0.7, 0.8, 0.9]
const lambda = 0.5
const run = { threads: 1, seed: 0 }
type Change = Map<string, Float64Array>

/** How elements are scored; the highest are kept. */
const base: AplOptions = {
  density: 1,
  by: 'element',
  effect: 'path',
  sign: 'absolute',
  labels: 'own',
  rescale: false,
  inner: 'sum',
  lambda: 1,
}
const scorers: Record<string, (model: Specialist, all: Specialists, change: Change) => Promise<Change> | Change> = {
  'APL, path': (model, all) => scoreChange(model, all, base, run),
  'APL, path, labels given': (model, all) => scoreChange(model, all, { ...base, labels: 'given' }, run),
  'APL, gradient at the model': (model, all) => scoreChange(model, all, { ...base, effect: 'gradient' }, run),
  magnitude: (_, __, change) => new Map([...change].map(([name, values]) => [name, values.map(Math.abs)])),
  random: (model, _, change) =>
    new Map(
      [...change].map(([name, values]) => {
        const r = random('apl bench', model.folder.split('/').at(-1)!, name)
        return [name, values.map((_, i) => r.uniform(i))]
      }),
    ),
}
const drops: readonly { name: string; scorer: string; rescale: boolean }[] = [
  ...Object.keys(scorers).map((name) => ({ name, scorer: name, rescale: false })),
  { name: 'random, rescaled', scorer: 'random', rescale: true },
]

const changed = (origin: ReadonlyMap<string, Float32Array>, changes: readonly Change[], factor: number) =>
  new Map(
    Array.from(changes[0]!.keys(), (name) => {
      const sum = Float64Array.from(origin.get(name)!)
      for (const change of changes) {
        const values = change.get(name)!
        for (let i = 0; i < sum.length; i++) sum[i]! += factor * values[i]!
      }
      return [name, Float32Array.from(sum)]
    }),
  )

interface Faithfulness {
  readonly task: string
  readonly gradient: number
  readonly path: number
  readonly magnitude: number
  readonly sumRatio: number
  readonly exactSeconds: number
  readonly gradientSeconds: number
}
const faithfulness: Faithfulness[] = []
/** By drop, rate: accuracies by task (averaged over seeds when shown), alone and merged. */
const alone = new Map<string, number[][]>()
const merged = new Map<string, number[][]>()
const keyOf = (name: string, rate: number) => `${name} ${rate}`
const put = (to: Map<string, number[][]>, key: string, values: number[]) =>
  to.set(key, [...(to.get(key) ?? []), values])
let names: readonly string[] = []

for (const seed of seeds) {
  const suite: MergeSuite = await openSuite({ seed, data: flags.data })
  names = suite.specialists.map(({ name }) => name)
  const all = await suiteSpecialists(suite, Number(flags.rows))
  const origin = all.base!
  for (const [t, model] of all.models.slice(0, Number(flags.probed)).entries()) {
    const shared = (weights: ReadonlyMap<string, Float32Array>) =>
      new Map(all.shared.map((name) => [name, weights.get(name)!]))
    const [from, to] = [shared(origin), shared(model.weights)]
    const change = changeOf(origin, model.weights, all.shared)
    // A quarter whole tensors, the others rows; only of what changed.
    const moved = (parts: ReturnType<typeof partsOf>) =>
      parts.filter(({ name, start, end }) =>
        change
          .get(name)!
          .subarray(start, end)
          .some((x) => x !== 0),
      )
    const draw = (parts: ReturnType<typeof partsOf>, count: number) =>
      Array.from(permutation(parts.length, random('apl parts', seed, t)).subarray(0, count), (i) => parts[i]!)
    const parts = [
      ...draw(moved(partsOf(all.shapes, 'tensor')), partCount / 4),
      ...draw(moved(partsOf(all.shapes, 'row')), (3 * partCount) / 4),
    ]
    const landscape = await openLandscape(model, all.shared, { labels: 'own', threads: 1 })
    await landscape.loss(to) // the first run of a session is slower
    await landscape.gradient(to)
    const start = performance.now()
    const near = partEffects(await gradientEffects(landscape, from, to, [1]), parts)
    const middle = performance.now()
    const exact = await interventionEffects(landscape, from, to, parts)
    const end = performance.now()
    const path = partEffects(await gradientEffects(landscape, from, to, [0, 0.25, 0.5, 0.75, 1]), parts)
    await landscape.close()
    const size = parts.map(({ name, start, end }) =>
      Math.sqrt(
        change
          .get(name)!
          .subarray(start, end)
          .reduce((s, x) => s + x * x, 0),
      ),
    )
    const total = (list: Float64Array) => list.reduce((a, b) => a + b, 0)
    faithfulness.push({
      task: `${names[t]}, seed ${seed}`,
      gradient: spearman(near, exact),
      path: spearman(path, exact),
      magnitude: spearman(size, exact.map(Math.abs)),
      sumRatio: total(exact) / total(near),
      gradientSeconds: (middle - start) / 1000,
      exactSeconds: (end - middle) / 1000,
    })
    console.error(faithfulness.at(-1))
  }
  const changes = all.models.map((model) => changeOf(origin, model.weights, all.shared))
  const scores = new Map<string, Change[]>()
  for (const [name, scorer] of Object.entries(scorers)) {
    const list: Change[] = []
    for (const [t, model] of all.models.entries()) list.push(await scorer(model, all, changes[t]!))
    scores.set(name, list)
  }
  const aloneAccuracies = (of: readonly Change[]) => suite.accuraciesFor((_, t) => changed(origin, [of[t]!], 1))
  put(alone, 'whole change', await aloneAccuracies(changes))
  put(merged, 'whole change', await suite.accuracies(changed(origin, changes, lambda)))
  for (const rate of rates) {
    for (const { name, scorer, rescale } of drops) {
      const kept = changes.map((change, t) => {
        const own = new Map([...change].map(([key, values]) => [key, values.slice()]))
        dropRest(own, keepTop(scores.get(scorer)![t]!, change, 1 - rate), rescale)
        return own
      })
      put(alone, keyOf(name, rate), await aloneAccuracies(kept))
      put(merged, keyOf(name, rate), await suite.accuracies(changed(origin, kept, lambda)))
    }
    console.error(`seed ${seed}, rate ${rate}`)
  }
  await suite.close()
}

const cell = (from: Map<string, number[][]>, name: string, rate: number) => from.get(keyOf(name, rate))!.map(mean)
const percents = (values: readonly number[]) =>
  spread(
    values.map((x) => 100 * x),
    1,
  )
const curves = (from: Map<string, number[][]>) =>
  table(
    ['kept by', ...rates.map((rate) => `drop ${rate}`), 'mean'],
    [
      ['whole change', ...rates.map(() => percents(from.get('whole change')!.map(mean))), ''],
      ...drops.map(({ name }) => [
        name,
        ...rates.map((rate) => percents(cell(from, name, rate))),
        (100 * mean(rates.flatMap((rate) => cell(from, name, rate)))).toFixed(1),
      ]),
    ],
  )
/** Tasks of all suites on which APL's mean over rates is above another's. */
function wins(from: Map<string, number[][]>, other: string): string {
  const of = (name: string) =>
    seeds.flatMap((_, s) => names.map((__, t) => mean(rates.map((rate) => from.get(keyOf(name, rate))![s]![t]!))))
  const [ours, theirs] = [of('APL, path'), of(other)]
  return `${ours.filter((value, i) => value > theirs[i]!).length} of ${ours.length}`
}
/** Settings (alone and merged, at each end of the rates) in which APL's mean is above another's. */
const settingsWon = (other: string) =>
  [alone, merged]
    .flatMap((from) =>
      [rates.slice(0, 3), rates.slice(3)].map((part) => {
        const of = (name: string) => mean(part.flatMap((rate) => cell(from, name, rate)))
        return of('APL, path') > of(other)
      }),
    )
    .filter(Boolean).length
const aloneAt = (name: string, rate: number) => 100 * mean(cell(alone, name, rate))
const least = Math.min(...faithfulness.map(({ gradient }) => gradient))
const over = Math.min(...faithfulness.map(({ gradient, magnitude }) => gradient - magnitude))
const verdict = (good: boolean) => (good ? '' : ': **not met**')
await writePage(
  flags.out,
  `# Activated parameter locating (APL)

The merging suite (six specialists of a small encoder, 15 intents each; see [the suite](merge-suite.md)), one for each of the seeds ${seeds.join(', ')}. Scores come from ${flags.rows} training texts of each task with the model's own answers as labels.
The paper's abstract gives the idea; formulas are those of the catalogue.

## The approximation against the intervention

${partCount} parts of each model's change (a quarter whole tensors, the others rows) put back to the base, one at a time. Rank correlation (Spearman) with the exact effects; "sum" is
the exact effects' sum over that of the approximation.

${table(
  ['task', 'gradient at the model', 'path', 'size of the change', 'sum', 'exact, s', 'gradient, s', 'times faster'],
  faithfulness.map((f) => [
    f.task,
    f.gradient.toFixed(3),
    f.path.toFixed(3),
    f.magnitude.toFixed(3),
    f.sumRatio.toFixed(2),
    f.exactSeconds.toFixed(1),
    f.gradientSeconds.toFixed(2),
    (f.exactSeconds / f.gradientSeconds).toFixed(0),
  ]),
)}

- asked: at least 0.95 at the model; the least is ${least.toFixed(3)}${verdict(least >= 0.95)}.
- asked: at least 0.2 above the size of the change; the least lead is ${over.toFixed(3)}${verdict(over >= 0.2)}.
- the gradient takes the time of 1/${median(faithfulness.map((f) => f.exactSeconds / f.gradientSeconds)).toFixed(0)} of ${partCount} interventions (median), whatever the number of parts.

## Single models that keep a part of their change

Accuracy in % of the specialist with its own head, mean over tasks, ± standard deviation over suites.

${curves(alone)}

- asked: at 10 % kept, 20 points above random without rescaling: ${(aloneAt('APL, path', 0.9) - aloneAt('random', 0.9)).toFixed(1)}${verdict(aloneAt('APL, path', 0.9) - aloneAt('random', 0.9) >= 20)}.
- asked: at most 1 point below random with rescaling: ${(aloneAt('APL, path', 0.9) - aloneAt('random, rescaled', 0.9)).toFixed(1)}${verdict(aloneAt('APL, path', 0.9) - aloneAt('random, rescaled', 0.9) >= -1)}.
- over drop rates 0.5 to 0.9 APL is above random in ${wins(alone, 'random')}, above random with rescaling in ${wins(alone, 'random, rescaled')} and above magnitude in ${wins(alone, 'magnitude')} tasks.

## Merged: what is left of all changes, added up with λ = ${lambda}

${curves(merged)}

- over drop rates 0.5 to 0.9 APL is above random in ${wins(merged, 'random')}, above random with rescaling in ${wins(merged, 'random, rescaled')} and above magnitude in ${wins(merged, 'magnitude')} tasks.

Of the four settings, alone and merged at drop rates 0.5 to 0.7 and 0.8 to 0.9, APL's mean is above random in ${settingsWon('random')}, above random with rescaling in ${settingsWon('random, rescaled')} and above
magnitude in ${settingsWon('magnitude')} (asked: 3 of random and magnitude)${verdict(Math.min(settingsWon('random'), settingsWon('magnitude')) >= 3)}.

${provenance('npx tsx bench/systems/apl.ts').join('\n')}`,
)
