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
import { parseArgs } from 'node:util'
import {
  bitdelta,
  breadcrumbs,
  consensus,
  dareLinear,
  emr,
  expo,
  linear,
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
import { mean, provenance, spread, table, writePage } from '../results-page.ts'
import {
  inThisThread,
  type MergeSuite,
  mergeFolders,
  openSuite,
  readHead,
  readWeights,
  scaled,
  trainInto,
} from './merge-suite.ts'

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    seeds: { type: 'string', default: '0,1,2' },
    arms: { type: 'string', default: 'unequal,expo' },
    out: { type: 'string', default: 'docs/results/merge-methods.md' },
  },
})
const seeds = flags.seeds.split(',').map(Number)
const arms = flags.arms.split(',')
const done: number[] = []

/** Methods whose result has a scale, measured as they are; where a grid is given, also with the λ that is best on validation texts. */
const plain: [string, MergeMethod, number[]?][] = [
  ['task arithmetic', taskArithmetic(), [0.2, 0.3, 0.4, 0.5, 0.6]],
  ['TIES, density 0.2 of the model', ties({ density: 0.2, scope: 'model' }), [0.8, 1, 1.3]],
  ['TIES, density 0.2 of each tensor', ties({ density: 0.2 })],
  ['DARE 0.5 + task arithmetic', dareLinear({ density: 0.5, rescale: 'density' })],
  ['breadcrumbs 0.9, 0.01', breadcrumbs({ density: 0.9, gamma: 0.01 })],
  ['consensus, 2 tasks', consensus()],
  ['MagMax', magmax()],
  ['SCE, top 1', sce()],
  ['SCE, top 0.3', sce({ selectTopk: 0.3 })],
  ['WIDEN', widen()],
  ['PCB 0.05', pcbMerging({ ratio: 0.05 })],
  ['PCB 0.1', pcbMerging({ ratio: 0.1 })],
  ['PCB 0.2', pcbMerging({ ratio: 0.2 })],
  ['PCB 0.3', pcbMerging({ ratio: 0.3 })],
  ['trust region 0.99', trustRegion(), [0.2, 0.3, 0.4, 0.5, 0.6]],
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

const results = new Map<string, number[]>()
const note = (name: string, value: number) => {
  results.set(name, [...(results.get(name) ?? []), value])
  console.error(`  ${name}: ${value.toFixed(3)}`)
}
const chosen = new Map<string, number[]>()

async function measurePlain(suite: MergeSuite): Promise<void> {
  note('average', await suite.accuracy(await suite.merge(linear(), undefined, { base: false })))
  for (const [name, method, grid] of plain) {
    const merged = await suite.merge(method)
    note(`${name} λ1`, await suite.accuracy(merged))
    if (!grid) continue
    const { lambda, weights } = await suite.chooseLambda(merged, grid)
    note(`${name} λ*`, await suite.accuracy(weights))
    chosen.set(name, [...(chosen.get(name) ?? []), lambda])
  }
}

async function measurePerTask(suite: MergeSuite): Promise<void> {
  for (const [name, method] of perTask) {
    const folder = await mkdtemp(join(tmpdir(), 'espalier-tasks-'))
    try {
      const models = suite.specialists.map((task) => task.folder)
      await merge(models, { base: suite.baseFolder, method: inThisThread(method), out: join(folder, 'merged') })
      const accuracy = await suite.accuraciesFor(async (task) => {
        const out = join(folder, task.name)
        await materializeTask(join(folder, 'merged'), task.name, out)
        return readWeights(out)
      })
      note(name, mean(accuracy))
      if (name.startsWith('Twin') && name.includes('tenth'))
        note('Twin-Merging, shared model alone', await suite.accuracy(await readWeights(join(folder, 'merged'))))
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
}

/** One specialist trained three times as long at four times the rate: what it and the others keep. */
async function measureUnequal(suite: MergeSuite): Promise<void> {
  const [big, ...others] = suite.specialists
  const folder = join(suite.folder, `${big!.name}-long`)
  await trainInto(folder, { folder: suite.baseFolder }, big!.train, {
    ...{ epochs: 18, learningRate: 4e-3, seed: suite.seed, copyFrom: suite.baseFolder, labels: big!.labels },
  })
  const long = { ...big!, folder, head: await readHead(folder) }
  const tasks = [long, ...others]
  for (const [name, method, lambda] of [
    ['WIDEN', widen(), 1],
    ['task arithmetic 0.5', taskArithmetic({ lambda: 0.5 }), 1],
    ['TIES', ties({ density: 0.2, scope: 'model' }), 1],
    ['PCB 0.1', pcbMerging(), 1],
    ['SCE', sce(), 1],
  ] as const) {
    const merged = await mergeFolders(
      method,
      tasks.map((task) => task.folder),
      { base: suite.baseFolder },
    )
    const [first, ...rest] = await suite.accuracies(scaled(suite.base, merged, lambda), 'test', tasks)
    note(`unequal, ${name}: long`, first!)
    note(`unequal, ${name}: others`, mean(rest))
  }
}

/** Specialists that were trained too little, and how much further they go along their change. */
async function measureExpo(suite: MergeSuite): Promise<void> {
  const [short, further]: [number[], number[]] = [[], []]
  for (const task of suite.specialists) {
    const folder = join(suite.folder, `${task.name}-short`)
    const { name, train, labels } = task
    await trainInto(folder, { folder: suite.baseFolder }, train, {
      ...{ epochs: 2, seed: suite.seed, copyFrom: suite.baseFolder, labels },
    })
    const tuned = { ...task, folder, head: await readHead(folder) }
    const measured = new Map<number, { validation: number; test: number }>()
    for (const alpha of [0, 0.1, 0.2, 0.3, 0.5]) {
      const weights = await mergeFolders(expo({ alpha }), [folder], { base: suite.baseFolder })
      const [validation] = await suite.accuracies(weights, 'validation', [tuned])
      const [test] = await suite.accuracies(weights, 'test', [tuned])
      measured.set(alpha, { validation: validation!, test: test! })
    }
    const best = [...measured.values()].reduce((a, b) => (b.validation > a.validation ? b : a))
    short.push(measured.get(0)!.test)
    further.push(best.test)
    console.error(`    ${name}: ${[...measured].map(([alpha, { test }]) => `${alpha} ${test.toFixed(3)}`).join(', ')}`)
  }
  note('ExPO: two epochs', mean(short))
  note('ExPO: two epochs, α* on validation', mean(further))
}

const of = (name: string): number[] => results.get(name)!
const best = (name: string) => `${name} λ*`
const one = (name: string) => `${name} λ1`
/** Differences in points, seed by seed. */
const gaps = (a: string, b: string) => of(a).map((value, i) => 100 * (value - of(b)[i]!))

/** What the catalogue requires: that the mean of the differences reaches a number of points. */
const requirements: [method: string, text: string, a: string, b: string, points: number][] = [
  [
    'ties',
    'TIES at λ 1 over task arithmetic at λ 1: 5',
    one('TIES, density 0.2 of the model'),
    one('task arithmetic'),
    5,
  ],
  ['ties', 'TIES over task arithmetic, best λ: 1', best('TIES, density 0.2 of the model'), best('task arithmetic'), 1],
  [
    'ties',
    'threshold of the whole model over that of each tensor, λ 1: 0',
    one('TIES, density 0.2 of the model'),
    one('TIES, density 0.2 of each tensor'),
    0,
  ],
  ['pcb-merging', 'PCB 0.1 over task arithmetic, both at λ 1: 7', one('PCB 0.1'), one('task arithmetic'), 7],
  ['pcb-merging', 'PCB 0.1 at λ 1 over task arithmetic at its best λ: 1', one('PCB 0.1'), best('task arithmetic'), 1],
  ['widen', 'WIDEN over average: 10', one('WIDEN'), 'average', 10],
  ['widen', 'WIDEN over task arithmetic at its best λ: -1', one('WIDEN'), best('task arithmetic'), -1],
  [
    'widen',
    'unequal changes: WIDEN over TIES on the other tasks: 4',
    'unequal, WIDEN: others',
    'unequal, TIES: others',
    4,
  ],
  ['sce', 'SCE (top 1) at λ 1 over average: 10', one('SCE, top 1'), 'average', 10],
  ['sce', 'SCE (top 1) at λ 1 over task arithmetic at its best λ: -1', one('SCE, top 1'), best('task arithmetic'), -1],
  ['consensus', 'consensus over task arithmetic, both at λ 1: 0', one('consensus, 2 tasks'), one('task arithmetic'), 0],
  ['magmax', 'MagMax over average: 10', one('MagMax'), 'average', 10],
  [
    'trust-region',
    'trust region 0.99 over task arithmetic, best λ: 0',
    best('trust region 0.99'),
    best('task arithmetic'),
    0,
  ],
  ['emr', 'EMR over task arithmetic at its best λ: 10', 'EMR', best('task arithmetic'), 10],
  ['emr', 'EMR over TIES at its best λ: 0', 'EMR', best('TIES, density 0.2 of the model'), 0],
  ['tall-mask', 'TALL masks 0.4 over task arithmetic at its best λ: 10', 'TALL masks 0.4', best('task arithmetic'), 10],
  ['bitdelta', 'BitDelta over the base: 50', 'BitDelta', 'base', 50],
  ['bitdelta', 'BitDelta over the specialists: -5', 'BitDelta', 'specialists', -5],
  [
    'twin-merging',
    'a tenth of the rank over the shared model: 10',
    'Twin-Merging, a tenth of the rank',
    'Twin-Merging, shared model alone',
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
async function writeResults(): Promise<void> {
  const verdicts = requirements
    .filter(([, , a, b]) => results.has(a) && results.has(b))
    .map(([method, text, a, b, points]) => {
      const values = gaps(a, b)
      return [method, text, spread(values, 1), mean(values) >= points ? 'yes' : '**no**']
    })
  const flatness = ['PCB 0.05', 'PCB 0.1', 'PCB 0.2', 'PCB 0.3'].map((name) => 100 * mean(of(one(name))))
  verdicts.push([
    'pcb-merging',
    'flat in the ratio from 0.05 to 0.3: within ±1',
    `${(Math.max(...flatness) - Math.min(...flatness)).toFixed(1)} from least to most`,
    Math.max(...flatness) - Math.min(...flatness) <= 2 ? 'yes' : '**no**',
  ])
  const share = of('Twin-Merging, a tenth of the rank').map((value, i) => value / of('specialists')[i]!)
  verdicts.push([
    'twin-merging',
    'a tenth of the rank reaches 90 % of the specialists',
    `${spread(
      share.map((x) => 100 * x),
      1,
    )} %`,
    mean(share) >= 0.9 ? 'yes' : '**no**',
  ])

  await writePage(
    flags.out,
    `# Merge methods without data

Six specialists of the [merging suite](merge-suite.md) merged into one encoder; test accuracy over the six tasks, each with its own specialist's head, mean ±
standard deviation over seeds ${done.join(', ')}. "λ 1" is the method as it stands (TIES with density 0.2, the others at their defaults unless said), "best λ" scales what it
changed by the one of a grid that is best on validation texts.

${table(
  ['encoder', 'accuracy'],
  [
    ['specialists, each on its task', spread(of('specialists'))],
    ['base', spread(of('base'))],
    ['average', spread(of('average'))],
  ],
)}

${table(
  ['merge', 'λ 1', 'best λ', 'chosen λ'],
  plain.map(([name]) => [
    name,
    spread(of(one(name))),
    results.has(best(name)) ? spread(of(best(name))) : '',
    chosen.get(name)?.join(', ') ?? '',
  ]),
)}

With one shared model and something small for each task, the task known:

${table(
  ['method', 'accuracy'],
  [
    ...perTask.map(([name]) => [name, spread(of(name))]),
    ['Twin-Merging, shared model alone', spread(of('Twin-Merging, shared model alone'))],
  ],
)}

${arms.includes('unequal') ? unequalSection() : ''}
${arms.includes('expo') ? expoSection() : ''}
## What is required

Differences in points over seeds; a requirement is met if their mean reaches the number that ends the line. Those of ties, widen, pcb-merging and
twin-merging are the catalogue's; for the others we ask for what the method claims.

${table(['method', 'requirement', 'measured', 'met'], verdicts)}

${provenance(`npx tsx bench/systems/merge-methods.ts --seeds ${done.join(',')} --arms ${flags.arms}`).join('\n')}`,
  )
}

const unequalSection = (): string => `One specialist trained three times as long at four times the rate, λ 1:

${table(
  ['merge', 'its task', 'mean of the other five'],
  ['WIDEN', 'task arithmetic 0.5', 'TIES', 'PCB 0.1', 'SCE'].map((name) => [
    name,
    spread(of(`unequal, ${name}: long`)),
    spread(of(`unequal, ${name}: others`)),
  ]),
)}
`

const expoSection =
  (): string => `Specialists trained for two epochs instead of six: ${spread(of('ExPO: two epochs'))}; extrapolated with the α of 0 to 0.5 that is best on validation
texts: ${spread(of('ExPO: two epochs, α* on validation'))}.
`

for (const seed of seeds) {
  console.error(`seed ${seed}`)
  const suite = await openSuite({ data: flags.data, seed })
  const experts = await Promise.all(suite.specialists.map(({ folder }) => readWeights(folder)))
  note('specialists', mean(await suite.accuraciesFor((_, index) => experts[index]!)))
  note('base', await suite.accuracy(suite.base))
  await measurePlain(suite)
  await measurePerTask(suite)
  if (arms.includes('unequal')) await measureUnequal(suite)
  if (arms.includes('expo')) await measureExpo(suite)
  await suite.close()
  done.push(seed)
  // After each seed: a run that is cut short leaves what it measured.
  await writeResults()
}
