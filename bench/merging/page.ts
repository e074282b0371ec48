/** The results page of merging fine-tuned classifiers. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { mean, provenance, table } from '../results-page.ts'
import { poolShots } from '../zoo/tasks.ts'
import { candidates } from './candidates.ts'
import { checks, lostInFeatures, misalignment, ordering } from './discussion.ts'
import { fitting } from './measure.ts'
import { tunedOn } from './study.ts'
import { type Findings, over, percent, points, Summary } from './summary.ts'
import { manyLabels } from './vectors.ts'

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
    row(base).with(6, ''),
  ],
)}

- Best data-free merge with own heads: ${best.name}, ${percent(mean(best.own))} of ${percent(top)}. FT-Classifier with ${shots} shots recovers ${(100 * best.recovered(top)).toFixed(0)} % of what it lost (asked: 60 %)${best.recovered(top) >= 0.6 ? '.' : ': **not reached**.'} ${lostInFeatures(best, experts, top)}
- Of ${dataFree.length} data-free merges, ${dataFree.filter((summary) => summary.recovered(top) >= 0.6).length} get back at least 60 % of their loss; between the best and the weakest stand ${points(mean(best.own) - mean(dataFree.at(-1)!.own))} with own heads, ${points(Math.max(...dataFree.map(({ fitted }) => mean(fitted))) - Math.min(...dataFree.map(({ fitted }) => mean(fitted))))} after fitting.
${joint.length === 0 ? '' : `- Multi-task: one encoder trained jointly on all rows (\`trainTasks\`, 3 epochs where the specialists have 2 to 4; zoo seed${joint.length > 1 ? 's' : ''} ${studies.flatMap(({ multiTask, zoo }) => (multiTask ? [zoo.seed] : [])).join(', ')}) reaches ${percent(mean(joint.map(mean)))}, ${points(mean(joint.map(mean)) - top)} from the mean of the individual models.\n`}- Control: the base encoder, never fine-tuned, reaches ${percent(mean(base.fitted))} with heads fitted to the same texts. What a merge is worth beyond its heads is the difference to that.

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
${baseNote(findings)}
## Not measured here

${notMeasured(findings)}

${provenance(findings.command).join('\n')}`
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

/** What the encoder that was pretrained here is, and how its loss fell. */
function baseNote({ size, studies }: Findings): string {
  if (size === 'minilm') return ''
  const folder = studies[0]!.zoo.base
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Record<string, number>
  const log = readFileSync(join(folder, 'train-log.jsonl'), 'utf8').trim().split('\n')
  const entries = log.map((line) => JSON.parse(line) as { step: number; loss?: number; dev?: { loss: number } })
  const curve = (values: readonly { step: number; loss: number }[]) =>
    values.map(({ step, loss }) => `${loss.toFixed(2)} (${step})`).join(', ')
  const training = entries.flatMap(({ step, loss }) => (loss === undefined ? [] : [{ step, loss }]))
  const every = Math.ceil(training.length / 8)
  return `
## The base

\`bench/zoo/base.ts\` pretrains it by masked language modelling on training texts of the sets (no labels, no test rows), seed 0: ${config['num_hidden_layers']} layers of width ${config['hidden_size']}, ${config['vocab_size']} tokens.
Small on purpose, so that two cores pretrain it in minutes. Loss in nats a masked token (step): training ${curve(training.filter((_, i) => i % every === every - 1))};
held out, after each epoch, ${curve(entries.flatMap(({ step, dev }) => (dev ? [{ step, loss: dev.loss }] : [])))}.
`
}

function notMeasured({ outcomes, studies, shots, size }: Findings): string {
  const joint = studies.filter(({ multiTask }) => multiTask !== undefined).length
  const missing = candidates.filter((candidate) => !outcomes.has(candidate)).map(({ name }) => name)
  const parts = [
    missing.length === 0
      ? 'All methods that the script knows are in the tables.'
      : `Of the ${candidates.length} methods that the script knows, ${outcomes.size} are in the tables; not run: ${missing.join(', ')}.`,
    joint < studies.length ? `A multi-task model ${joint === 0 ? 'on this base' : 'for every zoo'}.` : '',
    studies.length < 3
      ? `More than ${studies.length} zoo${studies.length > 1 ? 's' : ''}: the spread over which rows were trained on.`
      : '',
    `The table of ${shots} shots uses one number of steps for all tasks; no setting of FT-Classifier was tuned.`,
    size === 'minilm' ? 'The other base: merging-small.md.' : 'The other base: merging.md.',
  ]
  return parts.filter(Boolean).join(' ')
}
