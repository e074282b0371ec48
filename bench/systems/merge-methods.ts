/**
 * The data-free merge methods on the merging suite: test accuracy at λ = 1 and at the λ chosen on validation texts, beside average and task
 * arithmetic, and what each method's entry in the catalogue requires of it. Writes docs/results/merge-methods.md.
 *
 *     npx tsx bench/systems/merge-methods.ts [--data ../shared/data] [--seeds 0,1,2] [--arms unequal,expo]
 *
 * The arms train further specialists; without them (`--arms none`) it is quick.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  bitdelta,
  breadcrumbs,
  consensus,
  dareLinear,
  emr,
  expo,
  type MergeMethod,
  magmax,
  materializeTask,
  merge,
  pcbMerging,
  sce,
  tallMask,
  taskArithmetic,
  ties,
  trustRegion,
  twinMerging,
  widen,
} from '../../dist/index.js'
import { mean, spread, table } from '../results-page.ts'
import { inThisThread, type MergeSuite, mergeFolders, readHead, readWeights, trainInto } from './merge-suite.ts'
import {
  type Arm,
  best,
  type Choice,
  changeRatio,
  type Measurements,
  measureArms,
  measureChoices,
  measureEncoders,
  one,
  type Requirement,
  type Results,
  runBench,
  unequalTasks,
  verdictTable,
} from './suite.ts'

const grid = [0.2, 0.3, 0.4, 0.5, 0.6]
const ratios = [0.05, 0.1, 0.2, 0.3]

const arms: Arm[] = [
  { name: 'task arithmetic', method: taskArithmetic(), grid },
  { name: 'TIES, density 0.2 of the model', method: ties({ density: 0.2, scope: 'model' }), grid: [0.8, 1, 1.3] },
  { name: 'TIES, density 0.2 of each tensor', method: ties({ density: 0.2 }) },
  { name: 'DARE 0.5 + task arithmetic', method: dareLinear({ density: 0.5, rescale: 'density' }) },
  { name: 'breadcrumbs 0.9, 0.01', method: breadcrumbs({ density: 0.9, gamma: 0.01 }) },
  { name: 'consensus, 2 tasks', method: consensus() },
  { name: 'MagMax', method: magmax() },
  { name: 'SCE, top 1', method: sce() },
  { name: 'SCE, top 0.3', method: sce({ selectTopk: 0.3 }) },
  { name: 'WIDEN', method: widen(), grid: [0.3, 0.4, 0.5, 0.6, 0.8, 1] },
  ...ratios.map((ratio) => ({ name: `PCB ${ratio}`, method: pcbMerging({ ratio }) })),
  { name: 'PCB 0.1, clamp 0.01, agreement normalized', method: pcbMerging({ inter: 'normalized', clamp: 0.01 }) },
  { name: 'trust region 0.99', method: trustRegion(), grid },
]

const choices: Choice[] = [
  { name: 'WIDEN, t by validation', settings: [1, 1.5, 1.8].map((t) => [String(t), widen({ t })]) },
]

/** Methods that give each task a model of its own. */
const perTask: [string, MergeMethod][] = [
  ['EMR', emr()],
  ['TALL masks 0.2', tallMask({ threshold: 0.2 })],
  ['TALL masks 0.4', tallMask({ threshold: 0.4 })],
  ['TALL masks 0.6', tallMask({ threshold: 0.6 })],
  ['BitDelta', bitdelta()],
  ['Twin-Merging, a tenth of the rank', twinMerging({ maskRate: 0.9 })],
  ['Twin-Merging, a quarter of the rank', twinMerging({ maskRate: 0.75 })],
  ['Twin-Merging, whole', twinMerging({ maskRate: 0 })],
]
const sharedModel = 'Twin-Merging, shared model alone'

async function measurePerTask(suite: MergeSuite, known: Measurements): Promise<void> {
  for (const [name, method] of perTask) {
    const withShared = name.startsWith('Twin') && name.includes('tenth')
    await known.once(withShared ? [name, sharedModel] : [name], async () => {
      const folder = await mkdtemp(join(tmpdir(), 'espalier-tasks-'))
      try {
        const models = suite.specialists.map((task) => task.folder)
        const out = join(folder, 'merged')
        await merge(models, { base: suite.baseFolder, method: inThisThread(method), out })
        const accuracy = await suite.accuraciesFor(async (task) => {
          await materializeTask(out, task.name, join(folder, task.name))
          return readWeights(join(folder, task.name))
        })
        return [mean(accuracy), ...(withShared ? [await suite.accuracy(await readWeights(out))] : [])]
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    })
  }
}

/** WIDEN was made for two or three models: the first specialists of the suite. */
const fewModels = [2, 3]
const fewArms: [string, MergeMethod][] = [
  ['task arithmetic 0.5', taskArithmetic({ lambda: 0.5 })],
  ['TIES', ties({ density: 0.2, scope: 'model' })],
  ['WIDEN', widen()],
  ['WIDEN, t 1.8', widen({ t: 1.8 })],
]
const few = (name: string, count: number) => `${name}, ${count} models`

async function measureFew(suite: MergeSuite, known: Measurements): Promise<void> {
  for (const count of fewModels)
    for (const [name, method] of fewArms)
      await known.once([few(name, count)], async () => {
        const tasks = suite.specialists.slice(0, count)
        return [await suite.accuracy(await suite.merge(method, tasks), 'test', tasks)]
      })
}

const unequalArms: [string, MergeMethod][] = [
  ['WIDEN', widen()],
  ['WIDEN, t 1.8', widen({ t: 1.8 })],
  ['task arithmetic 0.5', taskArithmetic({ lambda: 0.5 })],
  ['TIES', ties({ density: 0.2, scope: 'model' })],
  ['PCB 0.1', pcbMerging()],
  ['SCE', sce()],
]

async function measureUnequal(suite: MergeSuite, known: Measurements): Promise<void> {
  const tasks = await unequalTasks(suite)
  await known.once(['unequal: ratio'], async () => [await changeRatio(suite, tasks)])
  for (const [name, method] of unequalArms)
    await known.once([`unequal, ${name}: long`, `unequal, ${name}: others`], async () => {
      const [first, ...rest] = await suite.accuracies(await suite.merge(method, tasks), 'test', tasks)
      return [first!, mean(rest)]
    })
}

/** Specialists that were trained too little, and how much further they go along their change. */
async function measureExpo(suite: MergeSuite, known: Measurements): Promise<void> {
  await known.once(['ExPO: two epochs', 'ExPO: two epochs, α* on validation'], async () => {
    const [short, further]: [number[], number[]] = [[], []]
    for (const task of suite.specialists) {
      const folder = join(suite.folder, `${task.name}-short`)
      const { train, labels } = task
      await trainInto(folder, { folder: suite.baseFolder }, train, {
        ...{ epochs: 2, seed: suite.seed, copyFrom: suite.baseFolder, labels },
      })
      const tuned = { ...task, folder, head: await readHead(folder) }
      const measured: { validation: number; test: number }[] = []
      for (const alpha of [0, 0.1, 0.2, 0.3, 0.5]) {
        const weights = await mergeFolders(expo({ alpha }), [folder], { base: suite.baseFolder })
        const [validation] = await suite.accuracies(weights, 'validation', [tuned])
        const [test] = await suite.accuracies(weights, 'test', [tuned])
        measured.push({ validation: validation!, test: test! })
      }
      short.push(measured[0]!.test)
      further.push(measured.reduce((a, b) => (b.validation > a.validation ? b : a)).test)
    }
    return [mean(short), mean(further)]
  })
}

const arithmetic = best('task arithmetic')
const elected = 'TIES, density 0.2 of the model'
const requirements: Requirement[] = [
  ['ties', 'TIES at λ 1 over task arithmetic at λ 1: 5', one(elected), one('task arithmetic'), 5],
  ['ties', 'TIES over task arithmetic, best λ: 1', best(elected), arithmetic, 1],
  [
    'ties',
    'threshold of the whole model over that of each tensor, λ 1: 0',
    one(elected),
    one('TIES, density 0.2 of each tensor'),
    0,
  ],
  ['pcb-merging', 'PCB 0.1 over task arithmetic, both at λ 1: 7', one('PCB 0.1'), one('task arithmetic'), 7],
  ['pcb-merging', 'PCB 0.1 at λ 1 over task arithmetic at its best λ: 1', one('PCB 0.1'), arithmetic, 1],
  ['widen', 'WIDEN at its defaults over average: 10', one('WIDEN'), 'average', 10],
  ['widen', 'WIDEN at its defaults over task arithmetic at its best λ: -1', one('WIDEN'), arithmetic, -1],
  ['widen', 'WIDEN, t by validation, over average: 10', one('WIDEN, t by validation'), 'average', 10],
  [
    'widen',
    'WIDEN, t by validation, over task arithmetic at its best λ: -1',
    one('WIDEN, t by validation'),
    arithmetic,
    -1,
  ],
  [
    'widen',
    'unequal: WIDEN at its defaults over TIES on the other tasks: 4',
    'unequal, WIDEN: others',
    'unequal, TIES: others',
    4,
  ],
  [
    'widen',
    'unequal: WIDEN, t 1.8, over TIES on the other tasks: 4',
    'unequal, WIDEN, t 1.8: others',
    'unequal, TIES: others',
    4,
  ],
  ['sce', 'SCE (top 1) at λ 1 over average: 10', one('SCE, top 1'), 'average', 10],
  ['sce', 'SCE (top 1) at λ 1 over task arithmetic at its best λ: -1', one('SCE, top 1'), arithmetic, -1],
  ['consensus', 'consensus over task arithmetic, both at λ 1: 0', one('consensus, 2 tasks'), one('task arithmetic'), 0],
  ['magmax', 'MagMax over average: 10', one('MagMax'), 'average', 10],
  ['trust-region', 'trust region 0.99 over task arithmetic, best λ: 0', best('trust region 0.99'), arithmetic, 0],
  ['emr', 'EMR over task arithmetic at its best λ: 10', 'EMR', arithmetic, 10],
  ['emr', 'EMR over TIES at its best λ: 0', 'EMR', best(elected), 0],
  ['tall-mask', 'TALL masks 0.4 over task arithmetic at its best λ: 10', 'TALL masks 0.4', arithmetic, 10],
  ['bitdelta', 'BitDelta over the base: 50', 'BitDelta', 'base', 50],
  ['bitdelta', 'BitDelta over the specialists: -5', 'BitDelta', 'specialists', -5],
  [
    'twin-merging',
    'a tenth of the rank over the shared model: 10',
    'Twin-Merging, a tenth of the rank',
    sharedModel,
    10,
  ],
  ['twin-merging', 'whole residues over the specialists: -0.1', 'Twin-Merging, whole', 'specialists', -0.1],
  [
    'expo',
    'α chosen on validation over the short training: 0.5',
    'ExPO: two epochs, α* on validation',
    'ExPO: two epochs',
    0.5,
  ],
]

function verdicts(results: Results): string[][] {
  const flatness = ratios.map((ratio) => 100 * mean(results.of(one(`PCB ${ratio}`))))
  const range = Math.max(...flatness) - Math.min(...flatness)
  const share = results
    .of('Twin-Merging, a tenth of the rank')
    .map((value, i) => (100 * value) / results.of('specialists')[i]!)
  return [
    ...results.verdicts(requirements),
    [
      'pcb-merging',
      'flat in the ratio from 0.05 to 0.3: within ±1',
      `${range.toFixed(1)} from least to most`,
      range <= 2 ? 'yes' : '**no**',
    ],
    [
      'twin-merging',
      'a tenth of the rank reaches 90 % of the specialists',
      `${spread(share, 1)} %`,
      mean(share) >= 90 ? 'yes' : '**no**',
    ],
  ]
}

const page = (results: Results, seeds: string, sections: readonly string[]): string => `# Merge methods without data

Six specialists of the [merging suite](merge-suite.md) merged into one encoder; test accuracy over the six tasks, each with its own specialist's head, mean ±
standard deviation over seeds ${seeds}. "λ 1" is the method as it stands (TIES with density 0.2, the others at their defaults unless said), "best λ" scales what it
changed by the one of a grid that is best on validation texts; "t by validation" is the best there of 1, 1.5 and 1.8.

${results.encoders()}

${results.arms(arms, choices)}

With one shared model and something small for each task, the task known:

${table(
  ['method', 'accuracy'],
  [...perTask.map(([name]) => [name, results.spread(name)]), [sharedModel, results.spread(sharedModel)]],
)}

## WIDEN and the number of models

Scores of WIDEN do not sum to one: a column that ranks above t times the mean (half of the columns at t = 1, the default) counts whole in each model, so six models add up
to far more than a mean and overshoot as a plain sum does; t = 1.8 leaves a tenth of the columns whole. Merged are the suite's first specialists:

${table(
  ['merge', ...fewModels.map((count) => `${count} models`)],
  fewArms.map(([name]) => [name, ...fewModels.map((count) => results.spread(few(name, count)))]),
)}

${sections.includes('unequal') ? unequalSection(results) : ''}
${sections.includes('expo') ? expoSection(results) : ''}
## What is required

Differences in points over seeds; a requirement is met if their mean reaches the number that ends the line. Those of ties, widen, pcb-merging and
twin-merging are the catalogue's; for the others we ask for what the method claims.

${verdictTable(verdicts(results))}

PCB-Merging was compared with its authors' code step by step and is the same (clamping, both balances, threshold, division); with small ratios too few elements of six
tasks survive here, so it is not flat below 0.1.`

const unequalSection = (results: Results): string => `## Changes of different size

One specialist trained three times as long at four times the rate, so that its change is ${results.spread('unequal: ratio', 1)} times as large as the others'; λ 1:

${table(
  ['merge', 'its task', 'mean of the other five'],
  unequalArms.map(([name]) => [
    name,
    results.spread(`unequal, ${name}: long`),
    results.spread(`unequal, ${name}: others`),
  ]),
)}
`

const expoSection = (results: Results): string => `## Extrapolation

Specialists trained for two epochs instead of six: ${results.spread('ExPO: two epochs')}; extrapolated with the α of 0 to 0.5 that is best on validation
texts: ${results.spread('ExPO: two epochs, α* on validation')}.
`

await runBench({
  name: 'merge-methods',
  sections: ['unequal', 'expo'],
  async measure(suite, known, sections) {
    await measureEncoders(suite, known)
    await measureArms(suite, known, arms)
    await measureChoices(suite, known, choices)
    await measurePerTask(suite, known)
    await measureFew(suite, known)
    if (sections.includes('unequal')) await measureUnequal(suite, known)
    if (sections.includes('expo')) await measureExpo(suite, known)
  },
  page,
})
