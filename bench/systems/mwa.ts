/**
 * Metrics-weighted averaging of checkpoints on the merging suite: the checkpoints after each of six epochs of every specialist's training, at a
 * constant and at a decaying learning rate, averaged alike, by training loss and by step, beside the last one. Writes docs/results/mwa.md.
 *
 *     npx tsx bench/systems/mwa.ts [--data ../shared/data] [--seeds 0,1,2]
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openCheckpoint } from '../../dist/checkpoint/checkpoint.js'
import { writeCheckpoint } from '../../dist/checkpoint/write-checkpoint.js'
import { linear, type MergeMethod, mwa } from '../../dist/index.js'
import { encoderModel, loadWeights } from '../../dist/models/index.js'
import { adamWDefaults } from '../../dist/train/adamw.js'
import { simdAdamW } from '../../dist/train/adamw-kernel.js'
import { batchCount, epochBatches, packTokens } from '../../dist/train/batches.js'
import { scratchDefaults } from '../../dist/train/encoder-job.js'
import { objective } from '../../dist/train/objectives/index.js'
import { Optimizer } from '../../dist/train/optimizer.js'
import { parameterRules } from '../../dist/train/parameter-rules.js'
import { learningRateFactor, type ScheduleName } from '../../dist/train/schedule.js'
import { TrainingStep } from '../../dist/train/training-step.js'
import { mean, provenance, spread, table, writePage } from '../results-page.ts'
import {
  type MergeSuite,
  mergeFolders,
  openSuite,
  readHead,
  readWeights,
  type Specialist,
  softmaxTargets,
} from './merge-suite.ts'

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    seeds: { type: 'string', default: '0,1,2' },
    out: { type: 'string', default: 'docs/results/mwa.md' },
  },
})
const seeds = flags.seeds.split(',').map(Number)
const epochs = [1, 2, 3, 4, 5, 6]
/** The rates of the catalogue: constant high, or the suite's own that decays to zero. */
const runs: { schedule: ScheduleName; learningRate: number }[] = [
  { schedule: 'constant', learningRate: 2e-3 },
  { schedule: 'linear', learningRate: 1e-3 },
]

const averages: [string, (losses: readonly number[]) => { method: MergeMethod; metrics?: readonly number[] }][] = [
  ['uniform', () => ({ method: linear() })],
  ...[1, 2, 4].map(
    (power): [string, (losses: readonly number[]) => { method: MergeMethod; metrics: readonly number[] }] => [
      `by loss, power ${power}`,
      (losses) => ({ method: mwa({ power }), metrics: losses }),
    ],
  ),
  ...[1, 2, 4].map(
    (power): [string, (losses: readonly number[]) => { method: MergeMethod; metrics: readonly number[] }] => [
      `by step, power ${power}`,
      () => ({ method: mwa({ power, better: 'higher' }), metrics: epochs }),
    ],
  ),
]

interface Score {
  accuracy: number
  loss: number
}
/** By schedule and average: seeds x tasks. */
const results = new Map<string, Score[][]>()
const key = (schedule: ScheduleName, name: string) => `${schedule}\0${name}`

for (const seed of seeds) {
  const suite = await openSuite({ data: flags.data, seed })
  for (const run of runs) {
    const scores = new Map<string, Score[]>()
    for (const task of suite.specialists) {
      const folders = await checkpoints(suite, task, run)
      const losses: number[] = []
      for (const folder of folders) losses.push((await scoreOf(suite, task, folder, 'train')).loss)
      const note = (name: string, score: Score) => scores.set(name, [...(scores.get(name) ?? []), score])
      for (const [name, plan] of averages) {
        const { method, metrics } = plan(losses)
        const models = folders.map((model, i) => ({ model, ...(metrics ? { metric: metrics[i]! } : {}) }))
        const merged = await mergeFolders(method, models, { head: true })
        note(name, await suite.score(merged, task, 'test'))
      }
      note('last', await scoreOf(suite, task, folders.at(-1)!, 'test'))
    }
    for (const [name, list] of scores) {
      const at = key(run.schedule, name)
      results.set(at, [...(results.get(at) ?? []), list])
      console.error(
        `seed ${seed}, ${run.schedule}, ${name}: ${mean(list.map((s) => s.accuracy)).toFixed(3)}, loss ${mean(list.map((s) => s.loss)).toFixed(3)}`,
      )
    }
  }
  await suite.close()
}

/** Trains a specialist as the suite does and keeps its checkpoint after every epoch. */
async function checkpoints(
  suite: MergeSuite,
  task: Specialist,
  { schedule, learningRate }: { schedule: ScheduleName; learningRate: number },
): Promise<string[]> {
  const folders = epochs.map((count) =>
    join(suite.folder, 'epochs', `${task.name}-${schedule}-${learningRate}-${count}`),
  )
  if (folders.every((folder) => existsSync(folder))) return folders
  const { batchSize, weightDecay, warmUp, clip } = scratchDefaults
  const model = encoderModel(suite.config, { units: task.labels.length, pooling: 'mean' })
  const checkpoint = await openCheckpoint(suite.baseFolder)
  const weights = await loadWeights(model, checkpoint, { newClassifier: true, seed: suite.seed })
  await checkpoint.close()
  const rules = parameterRules(model.parameters, [], (name) => name.startsWith('classifier'), 1)
  const tensorOf = ({ name, shape }: (typeof model.parameters)[number]) => {
    const { decays, rate } = rules.get(name)!
    return { name, weights: weights.get(name)!, decays, rate, width: shape.at(-1)! }
  }
  const dense = model.parameters.filter(({ lookup }) => !lookup).map(tensorOf)
  const tables = model.parameters.filter(({ lookup }) => lookup).map(tensorOf)
  const kernel = await simdAdamW(dense.map((tensor) => tensor.weights.length))
  const optimizer = new Optimizer(dense, tables, kernel, { ...adamWDefaults, weightDecay })
  const { layout, targets } = softmaxTargets(task.train.targets, task.labels.length)
  const rows = packTokens(task.train.tokens)
  const step = await TrainingStep.create(
    {
      ...{ model, weights, rules, layout, rows, targets, microBatchSize: batchSize, seed: suite.seed, threads: 1 },
      ...{ objective: objective(), loss: { labelSmoothing: 0 } },
    },
    optimizer,
  )
  const perEpoch = batchCount(task.train.tokens.length, batchSize)
  const steps = perEpoch * epochs.length
  for (const [epoch, folder] of folders.entries()) {
    for (const [i, batch] of epochBatches(rows, batchSize, suite.seed, epoch).entries()) {
      const factor = learningRateFactor({ name: schedule, warmUp }, epoch * perEpoch + i + 1, steps)
      await step.run(batch, learningRate * factor, clip)
    }
    await writeCheckpoint(
      folder,
      {
        config: {
          ...suite.config.source,
          id2label: Object.fromEntries(task.labels.map((label, i) => [i, label])),
        },
        tensors: model.parameters.map(({ name, shape }) => ({
          ...{ name, dtype: 'F32' as const, shape: [...shape] },
          data: name === model.tokenTable ? optimizer.table(name) : weights.get(name)!.slice(),
        })),
        copyFrom: suite.baseFolder,
      },
      { force: true },
    )
  }
  await step.close()
  return folders
}

async function scoreOf(
  suite: MergeSuite,
  task: MergeSuite['specialists'][number],
  folder: string,
  split: 'train' | 'test',
): Promise<Score> {
  return suite.score(await readWeights(folder), { ...task, head: await readHead(folder) }, split)
}

const column = (schedule: ScheduleName, name: string, part: keyof Score) =>
  results.get(key(schedule, name))!.map((list) => mean(list.map((score) => score[part])))
const gap = (schedule: ScheduleName, a: string, b: string) => {
  const other = column(schedule, b, 'accuracy')
  return column(schedule, a, 'accuracy').map((value, i) => 100 * (value - other[i]!))
}
const better = results
  .get(key('constant', 'by loss, power 1'))!
  .map((list, s) => list.filter(({ loss }, t) => loss < results.get(key('constant', 'last'))![s]![t]!.loss).length)
const requirement = (schedule: ScheduleName, a: string, b: string, least: number) => {
  const values = gap(schedule, a, b)
  const rate = schedule === 'constant' ? 'constant' : 'decaying'
  return [`${rate} rate: ${a}, over ${b}: ${least} points`, spread(values, 1), mean(values) >= least ? 'yes' : '**no**']
}
const verdicts: string[][] = [
  requirement('linear', 'by loss, power 2', 'uniform', 1.5),
  requirement('linear', 'by loss, power 2', 'last', -1),
  requirement('constant', 'by loss, power 1', 'last', 0),
  [
    'constant rate: by loss, power 1: lower test loss than the last on 5 of 6 tasks',
    better.join(', '),
    better.every((count) => count >= 5) ? 'yes' : '**no**',
  ],
]

await writePage(
  flags.out,
  `# Metrics-weighted averaging of checkpoints

Every specialist of the [merging suite](merge-suite.md) trained six epochs, at a constant learning rate of 2e-3 and at one of 1e-3 that decays to zero; its six
checkpoints (one an epoch), head included, averaged with weights from the training loss (lower is better) or from the step (higher is better). Test accuracy and test
loss over the six tasks, mean ± standard deviation over seeds ${flags.seeds}.

${table(
  ['average', 'constant: accuracy', 'test loss', 'decaying: accuracy', 'test loss'],
  [...averages.map(([name]) => name), 'last'].map((name) => [
    name,
    ...runs.flatMap(({ schedule }) => [
      spread(column(schedule, name, 'accuracy')),
      spread(column(schedule, name, 'loss')),
    ]),
  ]),
)}

## What is required

${table(['requirement', 'measured', 'met'], verdicts)}

${provenance(`npx tsx bench/systems/mwa.ts --seeds ${flags.seeds}`).join('\n')}`,
)
