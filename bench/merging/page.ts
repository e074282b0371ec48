/** The results page of merging fine-tuned classifiers. */
import { mean, provenance, spread, table } from '../results-page.ts'
import { poolShots } from '../zoo/tasks.ts'
import type { ZooSize } from '../zoo/zoo.ts'
import { type Candidate, candidates, literature } from './candidates.ts'
import { fitting, type Outcome } from './measure.ts'
import { type Study, tunedOn } from './study.ts'
import { manyLabels } from './vectors.ts'

export interface Findings {
  readonly size: ZooSize
  readonly studies: readonly Study[]
  /** By method, its outcomes in the order of the studies. */
  readonly outcomes: ReadonlyMap<Candidate, readonly Outcome[]>
  /** Of the best data-free merge: accuracy with k shots, one value a zoo seed and shot seed. */
  readonly curve: { readonly method: string; readonly values: ReadonlyMap<number, readonly number[]> } | undefined
  readonly test: number
  readonly shots: number
  readonly shotSeeds: readonly number[]
  readonly tune: boolean
  readonly command: string
}

const percent = (value: number): string => (100 * value).toFixed(1)
const over = (values: readonly number[]): string =>
  values.length === 1
    ? percent(values[0]!)
    : spread(
        values.map((value) => 100 * value),
        1,
      )
const points = (value: number): string => `${(100 * value).toFixed(1)} points`

/** One method over all zoos: means over the tasks, one a zoo seed. */
class Summary {
  readonly name: string
  readonly family: Candidate['family']
  readonly outcomes: readonly Outcome[]
  readonly own: readonly number[]
  readonly rotated: readonly number[]
  readonly neighbours: readonly number[]
  readonly explained: number
  /** One a zoo seed and shot seed. */
  readonly fitted: readonly number[]

  constructor(name: string, family: Candidate['family'], outcomes: readonly Outcome[]) {
    this.name = name
    this.family = family
    this.outcomes = outcomes
    this.own = outcomes.map(({ own }) => mean(own))
    this.rotated = outcomes.map(({ rotated }) => mean(rotated))
    this.neighbours = outcomes.map(({ neighbours }) => mean(neighbours))
    this.explained = mean(outcomes.map(({ explained }) => mean(explained)))
    this.fitted = outcomes.flatMap(({ trained }) => trained[0]!.map((_, s) => mean(trained.map((of) => of[s]!))))
  }

  get lambdas(): string {
    return [...new Set(this.outcomes.flatMap(({ lambda }) => (lambda === undefined ? [] : [lambda])))].join(', ')
  }

  /** The share of the loss against the individual models that fitting wins back. */
  recovered(top: number): number {
    return (mean(this.fitted) - mean(this.own)) / (top - mean(this.own))
  }
}

export function mergingPage(findings: Findings): string {
  const { studies, size, shots, shotSeeds, test, tune } = findings
  const { tasks } = studies[0]!
  const names = tasks.map(({ name }) => name)
  const all = [...findings.outcomes].map(([{ name, family }, outcomes]) => new Summary(name, family, outcomes))
  const ranked = all.sort((a, b) => mean(b.own) - mean(a.own))
  const dataFree = ranked.filter(({ family }) => family !== 'with data' && family !== 'per task')
  const base = new Summary(
    'base encoder (control)',
    'average',
    studies.map(({ base }) => base),
  )
  const individual = studies.map(({ individual }) => mean(individual))
  const top = mean(individual)
  const experts = mean(studies.map(({ neighbours }) => mean(neighbours)))
  const best = dataFree[0]!
  const joint = studies.flatMap(({ multiTask }) => (multiTask === undefined ? [] : [multiTask]))
  const seeds = studies.map(({ zoo }) => zoo.seed).join(', ')
  const row = (summary: Summary) => [
    summary.name,
    summary.family,
    summary.lambdas,
    over(summary.own),
    over(summary.fitted),
    percent(mean(summary.rotated)),
    `${(100 * summary.recovered(top)).toFixed(0)} %`,
    percent(mean(summary.neighbours)),
  ]
  const alone = (name: string, values: readonly number[], knn = '') => [name, '', '', over(values), '', '', '', knn]
  const byTask = (name: string, of: readonly (readonly number[])[]) => {
    const values = names.map((_, t) => mean(of.map((values) => values[t]!)))
    return [name, ...values.map(percent), percent(mean(values))]
  }
  const noise = Math.sqrt(0.2 / (tasks.length * Math.min(test, tasks[0]!.testLabels.length) * studies.length))
  const encoder = {
    minilm: 'all-MiniLM-L6-v2',
    small: 'a small encoder pretrained here, see below',
    tiny: 'a tiny encoder pretrained here',
  }
  return `# Merging fine-tuned classifiers${size === 'minilm' ? '' : `, ${size} base`}

${tasks.length} specialists, fine-tuned from one base (${encoder[size]}) by \`train\`, each on its own task (${tasks.map(({ name, head, train }) => `${name} ${head.bias.length} labels, ${train.length} rows`).join('; ')}), merged into one
encoder. Every task keeps a head; "own heads" are the specialists' heads as they were, "fitted" those after FT-Classifier (${fitting.steps} steps of Adam at ${fitting.learningRate}) with ${shots} texts a label
from rows that no training saw (rare labels fall back on training rows; of tasks with more than ${manyLabels} labels 12 rows a label are there to draw from, so their draws overlap), "rotated" those turned by the best orthogonal map from the texts of the first shot seed.
Accuracy of the exact label path in %, first ${test} test rows of each task at most. Zoo seed${studies.length > 1 ? 's' : ''} ${seeds} (which rows are trained on, the order of training), shot seed${shotSeeds.length > 1 ? 's' : ''} ${shotSeeds.join(', ')}
in each; ± is the standard deviation over them. ${tune ? `The scale λ of a merge is chosen on ${tunedOn} dev rows a task among two or three values, for each zoo; other settings are fixed.` : 'The scale λ of each merge is the usual one, not tuned.'} Methods with data see the
dev texts of every task (${tasks[0]!.dev.length} each), no labels. Methods "per task" keep a part for each task and need to be told the task. The specialists saw few rows on purpose (two
cores): they are weaker than the sets allow. A standard error of a mean over all tasks and seeds is about ${points(noise)}; closer neighbours are not told apart.

## Means over the tasks

${table(
  ['model', 'kind', 'λ', 'own heads', `fitted, ${shots} shots`, 'rotated', 'loss recovered', 'k-NN'],
  [
    alone('individual', individual, percent(experts)),
    ...(joint.length === 0 ? [] : [alone('multi-task', joint.map(mean))]),
    ...ranked.map(row),
    row(base),
  ],
)}

- Best data-free merge with own heads: ${best.name}, ${percent(mean(best.own))} of ${percent(top)}. FT-Classifier with ${shots} shots recovers ${(100 * best.recovered(top)).toFixed(0)} % of what it lost (asked: 60 %)${best.recovered(top) >= 0.6 ? '.' : ': **not reached**.'}
- Of ${dataFree.length} data-free merges, ${dataFree.filter((summary) => summary.recovered(top) >= 0.6).length} get back at least 60 % of their loss; between the best and the weakest stand ${points(mean(best.own) - mean(dataFree.at(-1)!.own))} with own heads, ${points(Math.max(...dataFree.map(({ fitted }) => mean(fitted))) - Math.min(...dataFree.map(({ fitted }) => mean(fitted))))} after fitting.
${joint.length === 0 ? '' : `- Multi-task: one encoder trained jointly on all rows (\`trainTasks\`, 3 epochs where the specialists have 2 to 4) reaches ${percent(mean(joint.map(mean)))}, ${points(mean(joint.map(mean)) - top)} from the mean of the individual models.\n`}- Control: the base encoder, never fine-tuned, reaches ${percent(mean(base.fitted))} with heads fitted to the same texts. What a merge is worth beyond its heads is the difference to that.

## The order known from the literature

${ordering(ranked, individual, noise)}

## Done check of FT-Classifier

${checks(findings, dataFree, base)}

## Shots

${shotsTable(findings, top, mean(best.own))}

## By task: own heads

${table(
  ['model', ...names, 'mean'],
  [
    byTask(
      'individual',
      studies.map((study) => study.individual),
    ),
    ...(joint.length === 0 ? [] : [byTask('multi-task', joint)]),
    ...ranked.map(({ name, outcomes }) =>
      byTask(
        name,
        outcomes.map(({ own }) => own),
      ),
    ),
    byTask(
      'base encoder',
      base.outcomes.map(({ own }) => own),
    ),
  ],
)}

## By task: fitted with ${shots} shots

${table(
  ['model', ...names, 'mean'],
  [...ranked, base].map(({ name, outcomes }) =>
    byTask(
      name,
      outcomes.map(({ trained }) => trained.map(mean)),
    ),
  ),
)}

## Misalignment

If merged features were merely turned away from the heads, k-NN on them would be near k-NN on the specialists' features while the heads fail, and one
orthogonal map would take most of the distance away. k-NN: 5 nearest rows of the pool (up to ${poolShots} a label, 12 where there are many labels) by cosine.

${table(
  ['merge', 'own heads', 'k-NN', 'k-NN on specialists', 'distance explained by the best rotation, by task', 'mean'],
  ranked.map((summary) => [
    summary.name,
    percent(mean(summary.own)),
    percent(mean(summary.neighbours)),
    percent(experts),
    names.map((_, t) => (100 * mean(summary.outcomes.map(({ explained }) => explained[t]!))).toFixed(0)).join(', '),
    `${(100 * summary.explained).toFixed(0)} %`,
  ]),
)}

${misalignment(dataFree, experts, top)} The explained share is of the squared, centred distance on the pool rows that the map was fitted on; where a task has fewer rows than
the ${tasks[0]!.expert.pool.columns} dimensions of a vector (${
    tasks
      .filter((task) => task.pool.length < task.expert.pool.columns)
      .map(({ name }) => name)
      .join(', ') || 'none'
  }) a rotation can follow the sample itself, and the share says little.
${baseNote(size)}
## Not measured here

${notMeasured(findings)}

${provenance(findings.command).join('\n')}`
}

/** Ranks of values, 0 the least; equal ones share theirs. */
function ranksOf(values: readonly number[]): number[] {
  const sorted = [...values].sort((a, b) => a - b)
  return values.map((value) => (sorted.indexOf(value) + sorted.lastIndexOf(value)) / 2)
}

function spearman(a: readonly number[], b: readonly number[]): number {
  const [x, y] = [ranksOf(a), ranksOf(b)]
  const [mx, my] = [mean(x), mean(y)]
  const product = (p: readonly number[], mp: number, q: readonly number[], mq: number) =>
    p.reduce((sum, value, i) => sum + (value - mp) * (q[i]! - mq), 0)
  return product(x, mx, y, my) / Math.sqrt(product(x, mx, x, mx) * product(y, my, y, my))
}

function ordering(ranked: readonly Summary[], individual: readonly number[], noise: number): string {
  const levels = literature.flatMap((names, level) =>
    names.flatMap((name) => {
      const found = ranked.find((summary) => summary.name === name)
      return found ? [{ name, level, own: mean(found.own), fitted: mean(found.fitted) }] : []
    }),
  )
  const expected = literature.map((names) => names.join(' = ')).join(' < ')
  if (levels.length < 3) return `Expected: ${expected} < individual. Too few of these methods were run.`
  const measured = [...levels].sort((a, b) => a.own - b.own).map(({ name, own }) => `${name} ${percent(own)}`)
  const limit = 2 * noise
  const pairs = levels.flatMap((a) => levels.flatMap((b) => (a.level < b.level ? [{ a, b }] : [])))
  const agreeing = pairs.filter(({ a, b }) => b.own - a.own > limit)
  const against = pairs.filter(({ a, b }) => a.own - b.own > limit)
  const level = levels.map((entry) => entry.level)
  return `- Expected: ${expected} < individual.
- Measured, own heads: ${measured.join(' < ')} < individual ${percent(mean(individual))}. Spearman correlation with the expected order ${spearman(
    level,
    levels.map(({ own }) => own),
  ).toFixed(2)}; after fitting ${spearman(
    level,
    levels.map(({ fitted }) => fitted),
  ).toFixed(2)}.
- Of ${pairs.length} pairs whose order is known, ${agreeing.length} stand in it by more than ${points(limit)} (two standard errors), ${pairs.length - agreeing.length - against.length} are not told apart, ${against.length} stand against it${against.length === 0 ? '.' : `: ${against.map(({ a, b }) => `${a.name} over ${b.name} by ${points(a.own - b.own)}`).join('; ')}.`}`
}

/** What the catalogue requires of FT-Classifier, with the shots of this run where it says 25. */
function checks({ shots, curve }: Findings, dataFree: readonly Summary[], base: Summary): string {
  const least = (of: (summary: Summary) => number) =>
    dataFree.reduce((low, summary) => (of(summary) < of(low) ? summary : low), dataFree[0]!)
  const gain = (summary: Summary) => mean(summary.fitted) - mean(summary.own)
  const turned = (summary: Summary) => mean(summary.rotated) - mean(summary.own)
  const result: [what: string, found: string, good: boolean][] = []
  const [weak, unturned] = [least(gain), least(turned)]
  result.push([
    `${shots} shots gain at least 4 points on every merge (the catalogue: 25 shots)`,
    `the least gain is ${points(gain(weak))} (${weak.name})`,
    gain(weak) >= 0.04,
  ])
  result.push([
    'the rotation gains at least 1 point on every merge',
    `the least gain is ${points(turned(unturned))} (${unturned.name})`,
    turned(unturned) >= 0.01,
  ])
  const ties = dataFree.find(({ name }) => name === 'ties')
  if (ties) {
    const above = mean(ties.fitted) - mean(base.fitted)
    result.push([
      'the base encoder with fitted heads stays at least 15 points below the fitted TIES merge',
      `it is ${points(above)} below`,
      above >= 0.15,
    ])
  }
  const few = curve?.values.get(5)
  const elected = dataFree.find(({ name }) => name === curve?.method)
  if (few && elected) {
    const change = mean(few) - mean(elected.own)
    result.push([`5 shots lose at most 2 points (${elected.name})`, `they change ${points(change)}`, change >= -0.02])
  }
  return result.map(([what, found, good]) => `- ${what}: ${found}${good ? '' : ': **not met**'}.`).join('\n')
}

function shotsTable({ curve }: Findings, top: number, own: number): string {
  if (!curve) return 'Not measured yet.'
  const counts = [...curve.values.keys()].sort((a, b) => a - b)
  return `The best data-free merge. Labels with fewer rows in the pool than shots give all they have.

${table(
  ['merge', 'own head', ...counts.map((k) => `${k} shot${k === 1 ? '' : 's'}`), 'individual'],
  [
    [curve.method, percent(own), ...counts.map((k) => over(curve.values.get(k)!)), percent(top)],
    [
      'share of the loss recovered',
      '',
      ...counts.map((k) => `${((100 * (mean(curve.values.get(k)!) - own)) / (top - own)).toFixed(0)} %`),
      '',
    ],
  ],
)}`
}

function misalignment(dataFree: readonly Summary[], experts: number, top: number): string {
  const knn = mean(dataFree.map(({ neighbours }) => mean(neighbours)))
  const own = mean(dataFree.map((summary) => mean(summary.own)))
  const explained = mean(dataFree.map((summary) => summary.explained))
  return `Over the data-free merges, heads lose ${points(top - own)} on merged features, k-NN loses ${points(experts - knn)}: the classes are ${experts - knn < (top - own) / 2 ? 'mostly still' : 'no longer all'} there, and the heads no longer point at them. But one
orthogonal map explains ${(100 * explained).toFixed(0)} % of the distance only: merged features are not the specialists' features turned, they are also changed in themselves.`
}

const baseNote = (size: ZooSize): string =>
  size === 'minilm'
    ? ''
    : `
## The base

\`bench/zoo/base.ts\` pretrains it by masked language modelling on training texts of the sets, seed 0; its loss curve is \`train-log.jsonl\` in its folder.
`

function notMeasured({ outcomes, studies, shots, size }: Findings): string {
  const missing = candidates.filter((candidate) => !outcomes.has(candidate)).map(({ name }) => name)
  const parts = [
    missing.length === 0
      ? 'All methods that the script knows are in the tables.'
      : `Of the ${candidates.length} methods that the script knows, ${outcomes.size} are in the tables; not run: ${missing.join(', ')}.`,
    studies.length < 3
      ? `More than ${studies.length} zoo${studies.length > 1 ? 's' : ''}: the spread over which rows were trained on.`
      : '',
    `The table of ${shots} shots uses one number of steps for all tasks; no setting of FT-Classifier was tuned.`,
    size === 'minilm' ? 'The other base: merging-small.md.' : 'The other base: merging.md.',
  ]
  return parts.filter(Boolean).join(' ')
}
