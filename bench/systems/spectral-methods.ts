/**
 * The spectral and Gram merge methods on the merging suite: test accuracy as they stand (λ = 1) and with the λ chosen on validation texts,
 * beside task arithmetic and TIES, and what each method's entry in the catalogue requires. Writes docs/results/spectral-methods.md. What is
 * measured is kept in bench/.cache/spectral-methods until --fresh, so that an interrupted run goes on.
 *
 *     npx tsx bench/systems/spectral-methods.ts [--data ../shared/data] [--seeds 0,1,2] [--fresh]
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  doge,
  dop,
  isoC,
  isoCts,
  knots,
  linear,
  type MergeMethod,
  optmerge,
  rTsvm,
  svc,
  taskArithmetic,
  ties,
  tsvM,
  wudi,
} from '../../dist/index.js'
import { mean, provenance, spread, table, writePage } from '../results-page.ts'
import { type MergeSuite, openSuite, readHead, readWeights, trainInto } from './merge-suite.ts'

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    seeds: { type: 'string', default: '0,1,2' },
    fresh: { type: 'boolean', default: false },
    out: { type: 'string', default: 'docs/results/spectral-methods.md' },
  },
})
const seeds = flags.seeds.split(',').map(Number)

/** Measured as they are, and with what they changed scaled by the best λ on validation. */
const scaledMethods: [string, MergeMethod][] = [
  ['task arithmetic', taskArithmetic()],
  ['TIES, density 0.2 of the model', ties({ density: 0.2, scope: 'model' })],
  ['TSV-M', tsvM()],
  ['Iso-C', isoC()],
  ['Iso-CTS', isoCts()],
  ['KnOTS, density 0.2', knots({ embeddings: 'matrix', density: 0.2 })],
]
const grid = [0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1, 1.3, 1.6, 2, 2.5, 3]

/** Measured as they stand. */
const dogeOf = (coefficient: number, more: Parameters<typeof doge>[0] = {}) =>
  doge({ coefficient, rest: 'sum', ...more })
const fixedMethods: [string, MergeMethod][] = [
  ['TSV-M, embeddings and vectors added up', tsvM({ embeddings: 'rest', rest: 'sum' })],
  ['R-TSVM', rTsvm()],
  ['R-TSVM without reweighting, clip 4', rTsvm({ reweight: false, clip: 4 })],
  ['R-TSVM without reweighting, rank by sparsity', rTsvm({ reweight: false, rank: 'sparsity' })],
  ['R-TSVM without reweighting, rank by energy', rTsvm({ reweight: false, rank: 'energy' })],
  ['KnOTS, density 1', knots({ embeddings: 'matrix' })],
  ['SVC of the sum', svc()],
  ['WUDI, strength 30', wudi()],
  ['WUDI, closed form', wudi({ strength: 1e9 })],
  ['OptMerge', optmerge({ embeddings: 'matrix' })],
  ['DOGE, c 0.3', dogeOf(0.3)],
  ['DOGE, c 0.3, no steps', dogeOf(0.3, { steps: 0, keep: 1 })],
  ['DOGE, c 0.3, keep all', dogeOf(0.3, { keep: 1 })],
  ['DOGE, c 0.3, no projection', dogeOf(0.3, { subspace: 0 })],
  ['DOGE, c 0.4', dogeOf(0.4)],
  ['DOGE, c 0.4, no steps', dogeOf(0.4, { steps: 0, keep: 1 })],
  ['DOGE, eta 0.07, rest at base', doge()],
]

const kept = 'bench/.cache/spectral-methods'
if (flags.fresh) rmSync(kept, { recursive: true, force: true })
mkdirSync(kept, { recursive: true })

/** Measurements of one seed by name; each is made once. */
class Measurements {
  readonly values: Record<string, number>
  private readonly file: string

  constructor(seed: number) {
    this.file = join(kept, `${seed}.json`)
    this.values = existsSync(this.file) ? (JSON.parse(readFileSync(this.file, 'utf8')) as Record<string, number>) : {}
  }

  /** Measures what is not known of these names. */
  async once(names: readonly string[], measure: () => Promise<readonly number[]>): Promise<void> {
    if (names.every((name) => name in this.values)) return
    const values = await measure()
    for (const [i, name] of names.entries()) {
      this.values[name] = values[i]!
      console.error(`  ${name}: ${values[i]!.toFixed(3)}`)
    }
    writeFileSync(this.file, JSON.stringify(this.values))
  }
}

const best = (name: string) => `${name} λ*`
const one = (name: string) => `${name} λ1`

async function measure(suite: MergeSuite, known: Measurements): Promise<void> {
  const experts = () => Promise.all(suite.specialists.map(({ folder }) => readWeights(folder)))
  await known.once(['specialists'], async () => {
    const weights = await experts()
    return [mean(await suite.accuraciesFor((_, index) => weights[index]!))]
  })
  await known.once(['base'], async () => [await suite.accuracy(suite.base)])
  await known.once(['average'], async () => [
    await suite.accuracy(await suite.merge(linear(), undefined, { base: false })),
  ])
  for (const [name, method] of scaledMethods)
    await known.once([one(name), best(name)], async () => {
      const merged = await suite.merge(method)
      const { weights } = await suite.chooseLambda(merged, grid)
      return [await suite.accuracy(merged), await suite.accuracy(weights)]
    })
  for (const [name, method] of fixedMethods)
    await known.once([one(name)], async () => [await suite.accuracy(await suite.merge(method))])
}

/** Tasks that come one after the other: what is left of the first where the last is merged in. */
async function measureContinual(suite: MergeSuite, known: Measurements): Promise<void> {
  for (const [name, method] of [
    ['DOP', dop({ embeddings: 'matrix' })],
    ['running mean', dop({ embeddings: 'matrix', steps: 0 })],
  ] as const)
    await known.once([`continual, ${name}: first three`, `continual, ${name}: last three`], async () => {
      const accuracies = await suite.accuracies(await suite.merge(method))
      return [mean(accuracies.slice(0, 3)), mean(accuracies.slice(3))]
    })
}

/** One specialist trained three times as long at four times the rate: what it and the others keep. */
async function measureUnequal(suite: MergeSuite, known: Measurements): Promise<void> {
  const [big, ...others] = suite.specialists
  const folder = join(suite.folder, `${big!.name}-long`)
  await trainInto(folder, { folder: suite.baseFolder }, big!.train, {
    ...{ epochs: 18, learningRate: 4e-3, seed: suite.seed, copyFrom: suite.baseFolder, labels: big!.labels },
  })
  const tasks = [{ ...big!, folder, head: await readHead(folder) }, ...others]
  const experts = await Promise.all(tasks.map((task) => readWeights(task.folder)))
  await known.once(['unequal: norm of the long change over the others'], async () => {
    const norms = experts.map((weights) => {
      let square = 0
      for (const [name, values] of weights)
        for (let i = 0; i < values.length; i++) square += (values[i]! - suite.base.get(name)![i]!) ** 2
      return Math.sqrt(square)
    })
    return [norms[0]! / mean(norms.slice(1))]
  })
  for (const [name, method] of [
    ['TSV-M', tsvM()],
    ['R-TSVM', rTsvm()],
  ] as const)
    await known.once(
      ['long', 'others', 'worst'].map((what) => `unequal, ${name}: ${what}`),
      async () => {
        const own = await suite.accuraciesFor((_, index) => experts[index]!, 'test', tasks)
        const accuracies = await suite.accuracies(await suite.merge(method, tasks), 'test', tasks)
        return [accuracies[0]!, mean(accuracies.slice(1)), Math.min(...accuracies.map((value, i) => value / own[i]!))]
      },
    )
}

const measured = new Map<number, Measurements>()
for (const seed of seeds) {
  console.error(`seed ${seed}`)
  const suite = await openSuite({ data: flags.data, seed })
  const known = new Measurements(seed)
  await measure(suite, known)
  await measureContinual(suite, known)
  await measureUnequal(suite, known)
  measured.set(seed, known)
  await suite.close()
}

const of = (name: string): number[] => seeds.map((seed) => measured.get(seed)!.values[name]!)
const points = (a: string, b: string) => of(a).map((value, i) => 100 * (value - of(b)[i]!))

/** What is asked for: that the mean of the differences reaches a number of points. */
const requirements: [method: string, text: string, a: string, b: string, points: number][] = [
  ['tsv-m', 'TSV-M at λ 1 over task arithmetic at its best λ: 4', one('TSV-M'), best('task arithmetic'), 4],
  ['tsv-m', 'TSV-M over TIES, best λ: 3', best('TSV-M'), best('TIES, density 0.2 of the model'), 3],
  ['r-tsvm', 'R-TSVM over TSV-M where changes are equal, λ 1: -1', one('R-TSVM'), one('TSV-M'), -1],
  [
    'r-tsvm',
    'unequal changes: R-TSVM over TSV-M on the other tasks: 5',
    'unequal, R-TSVM: others',
    'unequal, TSV-M: others',
    5,
  ],
  [
    'r-tsvm',
    'unequal changes: R-TSVM over TSV-M on the worst task: 2',
    'unequal, R-TSVM: worst',
    'unequal, TSV-M: worst',
    2,
  ],
  ['iso-c', 'Iso-C over task arithmetic, best λ: 3', best('Iso-C'), best('task arithmetic'), 3],
  ['iso-cts', 'Iso-CTS over task arithmetic, best λ: 3', best('Iso-CTS'), best('task arithmetic'), 3],
  ['iso-cts', 'Iso-CTS over Iso-C, best λ: 0', best('Iso-CTS'), best('Iso-C'), 0],
  [
    'knots',
    'KnOTS (density 0.2) over TIES, best λ: 0',
    best('KnOTS, density 0.2'),
    best('TIES, density 0.2 of the model'),
    0,
  ],
  ['svc', 'SVC of the sum over the sum, both at λ 1: 2', one('SVC of the sum'), one('task arithmetic'), 2],
  [
    'wudi',
    'WUDI (strength 30) over task arithmetic, both at λ 1: 5',
    one('WUDI, strength 30'),
    one('task arithmetic'),
    5,
  ],
  [
    'wudi',
    'WUDI (strength 30) at λ 1 over task arithmetic at its best λ: -1',
    one('WUDI, strength 30'),
    best('task arithmetic'),
    -1,
  ],
  ['optmerge', 'OptMerge at λ 1 over task arithmetic at its best λ: -1', one('OptMerge'), best('task arithmetic'), -1],
  ['doge', 'correction at c 0.3: 3', one('DOGE, c 0.3'), one('DOGE, c 0.3, no steps'), 3],
  ['doge', 'correction at c 0.4: 3', one('DOGE, c 0.4'), one('DOGE, c 0.4, no steps'), 3],
  ['doge', 'DOGE (c 0.3) over task arithmetic at its best λ: 2', one('DOGE, c 0.3'), best('task arithmetic'), 2],
  ['doge', 'projection at c 0.3: 0', one('DOGE, c 0.3'), one('DOGE, c 0.3, no projection'), 0],
  [
    'dop',
    'DOP over the running mean it starts from, on the first three tasks: 2',
    'continual, DOP: first three',
    'continual, running mean: first three',
    2,
  ],
]
const verdicts = requirements.map(([method, text, a, b, least]) => {
  const values = points(a, b)
  return [method, text, spread(values, 1), mean(values) >= least ? 'yes' : '**no**']
})

const unequal = (name: string) => ['long', 'others', 'worst'].map((what) => spread(of(`unequal, ${name}: ${what}`)))

await writePage(
  flags.out,
  `# Spectral and Gram merge methods

Six specialists of the [merging suite](merge-suite.md) merged into one encoder; test accuracy over the six tasks, each with its own specialist's head, mean ±
standard deviation over seeds ${flags.seeds}. "λ 1" is the method at its defaults unless said, "best λ" scales what it changed by the one of a grid that is best on
validation texts. Embeddings are merged as matrices.

${table(
  ['encoder', 'accuracy'],
  [
    ['specialists, each on its task', spread(of('specialists'))],
    ['base', spread(of('base'))],
    ['average', spread(of('average'))],
  ],
)}

${table(
  ['merge', 'λ 1', 'best λ'],
  [
    ...scaledMethods.map(([name]) => [name, spread(of(one(name))), spread(of(best(name)))]),
    ...fixedMethods.map(([name]) => [name, spread(of(one(name))), '']),
  ],
)}

One specialist trained three times as long at four times the rate, so that its change is ${spread(of('unequal: norm of the long change over the others'), 1)} times as large as the others'; λ 1:

${table(
  ['merge', 'its task', 'mean of the other five', 'worst task, as a share of its specialist'],
  ['TSV-M', 'R-TSVM'].map((name) => [name, ...unequal(name)]),
)}

Tasks one after the other:

${table(
  ['merge', 'first three tasks', 'last three tasks'],
  ['DOP', 'running mean'].map((name) => [
    name,
    spread(of(`continual, ${name}: first three`)),
    spread(of(`continual, ${name}: last three`)),
  ]),
)}

## What is required

Differences in points over seeds; a requirement is met if their mean reaches the number that ends the line. Those of tsv-m, r-tsvm, wudi and doge are the
catalogue's (its suite is another one); for the others we ask for what the method claims.

${table(['method', 'requirement', 'measured', 'met'], verdicts)}

${provenance(`npx tsx bench/systems/spectral-methods.ts --seeds ${flags.seeds}`).join('\n')}`,
)
