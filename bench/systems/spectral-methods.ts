/**
 * The spectral and Gram merge methods on the merging suite: test accuracy as they stand (λ = 1) and with the λ chosen on validation texts,
 * beside task arithmetic and TIES, what each does with embeddings of tokens, and what each method's entry in the catalogue requires. Writes
 * docs/results/spectral-methods.md.
 *
 *     npx tsx bench/systems/spectral-methods.ts [--data ../shared/data] [--seeds 0,1,2]
 */
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
import { type Matrix, MatrixKernels, matrix, svd } from '../../dist/tensor/linear-algebra/index.js'
import { mean, spread, table } from '../results-page.ts'
import { type MergeSuite, readWeights } from './merge-suite.ts'
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

const grid = [0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1, 1.3, 1.6, 2]

const arms: Arm[] = [
  { name: 'task arithmetic', method: taskArithmetic(), grid },
  { name: 'TIES, density 0.2 of the model', method: ties({ density: 0.2, scope: 'model' }), grid },
  { name: 'TSV-M', method: tsvM(), grid },
  { name: 'R-TSVM', method: rTsvm(), grid },
  { name: 'Iso-C', method: isoC(), grid },
  { name: 'Iso-CTS', method: isoCts(), grid },
  { name: 'SVC of the sum', method: svc(), grid },
  { name: 'WUDI, strength 30', method: wudi(), grid },
  { name: 'OptMerge', method: optmerge(), grid },
  { name: 'WUDI, closed form', method: wudi({ strength: 1e9 }) },
  { name: 'R-TSVM without reweighting, clip 4', method: rTsvm({ reweight: false, clip: 4 }) },
  { name: 'R-TSVM without reweighting, rank by sparsity', method: rTsvm({ reweight: false, rank: 'sparsity' }) },
  { name: 'R-TSVM without reweighting, rank by energy', method: rTsvm({ reweight: false, rank: 'energy' }) },
]

const choices: Choice[] = [
  {
    name: 'TIES, density by validation',
    settings: [0.1, 0.2, 0.3].map((density) => [String(density), ties({ density, scope: 'model' })]),
  },
  {
    name: 'KnOTS, density by validation',
    settings: [0.2, 0.3, 0.5, 1].map((density) => [String(density), knots({ density })]),
  },
]

/** Each method with its embeddings of tokens merged as matrices. */
const asMatrices: Arm[] = [
  { name: 'TSV-M', method: tsvM({ embeddings: 'matrix' }) },
  { name: 'R-TSVM', method: rTsvm({ embeddings: 'matrix' }) },
  { name: 'Iso-C', method: isoC({ embeddings: 'matrix' }) },
  { name: 'Iso-CTS', method: isoCts({ embeddings: 'matrix' }) },
  { name: 'SVC of the sum', method: svc({ embeddings: 'matrix' }) },
  { name: 'WUDI, strength 30', method: wudi({ embeddings: 'matrix' }) },
  { name: 'OptMerge', method: optmerge({ embeddings: 'matrix' }) },
]
const withMatrices = (name: string) => `${name}, embeddings as matrices`
/** What the methods share, without any of them: embeddings by TIES, all else in a plain way. */
const controls: [name: string, rest: MergeMethod][] = [
  ['control: embeddings by TIES, all else averaged', linear()],
  ['control: embeddings by TIES, all else by task arithmetic 0.3', taskArithmetic({ lambda: 0.3 })],
  ['control: embeddings by TIES, all else by TIES', ties({ density: 0.2, scope: 'model' })],
]

const dogeOf = (coefficient: number, more: Parameters<typeof doge>[0] = {}) =>
  doge({ coefficient, rest: 'sum', ...more })
const doges: Arm[] = [
  ...[0.3, 0.4].flatMap((c) => [
    { name: `DOGE, c ${c}`, method: dogeOf(c) },
    { name: `DOGE, c ${c}, no steps`, method: dogeOf(c, { steps: 0 }) },
    { name: `DOGE, c ${c}, keep all`, method: dogeOf(c, { keep: 1 }) },
    { name: `DOGE, c ${c}, keep all, no steps`, method: dogeOf(c, { steps: 0, keep: 1 }) },
  ]),
  { name: 'DOGE, c 0.3, no projection', method: dogeOf(0.3, { subspace: 0 }) },
  { name: 'DOGE, c 0.3, embeddings by TIES', method: dogeOf(0.3, { embeddings: 'ties' }) },
  { name: 'DOGE, eta 0.07, rest at base', method: doge() },
]

const isTokens = (name: string) => name.endsWith('word_embeddings.weight')

async function measureControls(suite: MergeSuite, known: Measurements): Promise<void> {
  for (const [name, method] of controls)
    await known.once([one(name)], async () => {
      const weights = await suite.merge(method, undefined, { base: method.name !== 'linear' })
      for (const [tensor, values] of await suite.merge(tsvM())) if (isTokens(tensor)) weights.set(tensor, values)
      return [await suite.accuracy(weights)]
    })
}

/** The share of its squares that a change keeps with the directions that TSV-M leaves each of six tasks. */
async function measureTruncation(suite: MergeSuite, known: Measurements): Promise<void> {
  await known.once(['kept of embeddings', 'kept of matrices'], async () => {
    const kernels = await MatrixKernels.open()
    const shares: Record<'embeddings' | 'matrices', number[]> = { embeddings: [], matrices: [] }
    for (const { folder } of suite.specialists)
      for (const [name, values] of await readWeights(folder)) {
        const delta = deltaOf(name, values, suite)
        if (!delta) continue
        const squares = svd(kernels, delta).s.map((s) => s * s)
        const total = (count: number) => squares.subarray(0, count).reduce((sum, x) => sum + x, 0)
        const kept = total(Math.floor(squares.length / suite.specialists.length)) / total(squares.length)
        shares[isTokens(name) ? 'embeddings' : 'matrices'].push(kept)
      }
    return [mean(shares.embeddings), mean(shares.matrices)]
  })
}

/** The change of a layer's matrix or of the embedding of tokens. */
function deltaOf(name: string, values: Float32Array, { base, config }: MergeSuite): Matrix | undefined {
  const isDense = /layer\.\d+\..*(query|key|value|dense)\.weight$/.test(name)
  if (!isTokens(name) && !isDense) return undefined
  const columns = /layer\.\d+\.output\.dense/.test(name) ? config.intermediateSize : config.hiddenSize
  const origin = base.get(name)!
  return matrix(
    values.length / columns,
    columns,
    Float64Array.from(values, (value, i) => value - origin[i]!),
  )
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

const unequalArms = [
  ['TSV-M', tsvM()],
  ['R-TSVM', rTsvm()],
  ['TSV-M, embeddings as matrices', tsvM({ embeddings: 'matrix' })],
  ['R-TSVM, embeddings as matrices', rTsvm({ embeddings: 'matrix' })],
] as const
const parts = ['long', 'others', 'worst']

async function measureUnequal(suite: MergeSuite, known: Measurements): Promise<void> {
  const tasks = await unequalTasks(suite)
  await known.once(['unequal: ratio'], async () => [await changeRatio(suite, tasks)])
  const experts = await Promise.all(tasks.map((task) => readWeights(task.folder)))
  for (const [name, method] of unequalArms)
    await known.once(
      parts.map((what) => `unequal, ${name}: ${what}`),
      async () => {
        const own = await suite.accuraciesFor((_, index) => experts[index]!, 'test', tasks)
        const accuracies = await suite.accuracies(await suite.merge(method, tasks), 'test', tasks)
        return [accuracies[0]!, mean(accuracies.slice(1)), Math.min(...accuracies.map((value, i) => value / own[i]!))]
      },
    )
}

const arithmetic = best('task arithmetic')
const elected = best('TIES, density 0.2 of the model')
const requirements: Requirement[] = [
  ['tsv-m', 'TSV-M at λ 1 over task arithmetic at its best λ: 4', one('TSV-M'), arithmetic, 4],
  ['tsv-m', 'TSV-M over TIES, best λ: 3', best('TSV-M'), elected, 3],
  ['r-tsvm', 'R-TSVM over TSV-M where changes are equal, λ 1: -1', one('R-TSVM'), one('TSV-M'), -1],
  ['r-tsvm', 'unequal: R-TSVM over TSV-M on the others: 5', 'unequal, R-TSVM: others', 'unequal, TSV-M: others', 5],
  ['r-tsvm', 'unequal: R-TSVM over TSV-M on the worst: 2', 'unequal, R-TSVM: worst', 'unequal, TSV-M: worst', 2],
  ['iso-c', 'Iso-C over task arithmetic, best λ: 3', best('Iso-C'), arithmetic, 3],
  ['iso-cts', 'Iso-CTS over task arithmetic, best λ: 3', best('Iso-CTS'), arithmetic, 3],
  ['iso-cts', 'Iso-CTS over Iso-C, best λ: 0', best('Iso-CTS'), best('Iso-C'), 0],
  [
    'knots',
    'KnOTS over TIES, densities by validation: 0',
    one('KnOTS, density by validation'),
    one('TIES, density by validation'),
    0,
  ],
  ['svc', 'SVC of the sum over the sum, best λ: 2', best('SVC of the sum'), arithmetic, 2],
  [
    'svc',
    'the same with embeddings as matrices, both at λ 1: 2',
    one(withMatrices('SVC of the sum')),
    one('task arithmetic'),
    2,
  ],
  ...(
    [
      ['tsv-m', 'TSV-M'],
      ['r-tsvm', 'R-TSVM'],
      ['iso-c', 'Iso-C'],
      ['iso-cts', 'Iso-CTS'],
      ['knots', 'KnOTS, density by validation'],
      ['wudi', 'WUDI, strength 30'],
      ['optmerge', 'OptMerge'],
    ] as const
  ).map(
    ([method, name]): Requirement => [
      method,
      `${name} at λ 1 over task arithmetic 0.3 with the same embeddings: 0`,
      one(name),
      one(controls[1]![0]),
      0,
    ],
  ),
  ['wudi', 'WUDI over task arithmetic, both at λ 1: 5', one('WUDI, strength 30'), one('task arithmetic'), 5],
  ['wudi', 'WUDI at λ 1 over task arithmetic at its best λ: -1', one('WUDI, strength 30'), arithmetic, -1],
  ['optmerge', 'OptMerge at λ 1 over task arithmetic at its best λ: -1', one('OptMerge'), arithmetic, -1],
  ['doge', 'correction at c 0.3, all kept: 3', one('DOGE, c 0.3, keep all'), one('DOGE, c 0.3, keep all, no steps'), 3],
  ['doge', 'correction at c 0.4, all kept: 3', one('DOGE, c 0.4, keep all'), one('DOGE, c 0.4, keep all, no steps'), 3],
  ['doge', 'DOGE (c 0.3) over task arithmetic at its best λ: 2', one('DOGE, c 0.3'), arithmetic, 2],
  ['doge', 'projection at c 0.3: 0', one('DOGE, c 0.3'), one('DOGE, c 0.3, no projection'), 0],
  [
    'dop',
    'DOP over the running mean it starts from, on the first three tasks: 2',
    'continual, DOP: first three',
    'continual, running mean: first three',
    2,
  ],
]

const percent = (values: readonly number[]) =>
  spread(
    values.map((x) => 100 * x),
    0,
  )

const page = (results: Results, seeds: string): string => `# Spectral and Gram merge methods

Six specialists of the [merging suite](merge-suite.md) merged into one encoder; test accuracy over the six tasks, each with its own specialist's head, mean ±
standard deviation over seeds ${seeds}. "λ 1" is the method at its defaults unless said (embeddings of tokens by TIES, all other matrices by the method), "best λ" scales
what it changed by the one of a grid that is best on validation texts; densities "by validation" are the best there of ${choices.map(({ settings }) => settings.map(([label]) => label).join(', ')).join(' (TIES) and of ')} (KnOTS).

${results.encoders()}

${results.arms(arms, choices)}

## Embeddings of tokens

The row of a token is looked up, not multiplied, and tasks of different words change different rows. TSV-M leaves each of six tasks a sixth of the directions: of the
squares of a specialist's change these hold ${percent(results.of('kept of matrices'))} % in the layers' matrices and ${percent(results.of('kept of embeddings'))} % in the embedding; and to bring all tasks' columns into one
basis mixes words that no two tasks share. So embeddings are merged by TIES (\`embeddings: 'ties'\`, the default). λ 1:

${table(
  ['merge', 'embeddings by TIES', 'as matrices'],
  asMatrices.map(({ name }) => [name, results.spread(one(name)), results.spread(one(withMatrices(name)))]),
)}

Controls merge embeddings the same way and everything else in a plain way: what a method gains over them, in points at λ 1, is what it does for the layers' matrices.

${table(
  ['merge', ...controls.map(([name]) => name.replace('control: embeddings by TIES, all else ', 'all else '))],
  [
    ['accuracy of the control', ...controls.map(([name]) => results.spread(one(name)))],
    ...['TSV-M', 'R-TSVM', 'Iso-C', 'Iso-CTS', 'WUDI, strength 30', 'OptMerge', 'KnOTS, density by validation'].map(
      (name) => [name, ...controls.map(([other]) => spread(results.points(one(name), one(other)), 1))],
    ),
  ],
)}

## DOGE

Embeddings as matrices unless said, vectors added up with the coefficients.

${table(
  ['merge', 'λ 1'],
  doges.map(({ name }) => [name, results.spread(one(name))]),
)}

## Changes of different size

One specialist trained three times as long at four times the rate, so that its change is ${results.spread('unequal: ratio', 1)} times as large as the others'; λ 1:

${table(
  ['merge', 'its task', 'mean of the other five', 'worst task, as a share of its specialist'],
  unequalArms.map(([name]) => [name, ...parts.map((what) => results.spread(`unequal, ${name}: ${what}`))]),
)}

## Tasks one after the other

${table(
  ['merge', 'first three tasks', 'last three tasks'],
  ['DOP', 'running mean'].map((name) => [
    name,
    results.spread(`continual, ${name}: first three`),
    results.spread(`continual, ${name}: last three`),
  ]),
)}

## What is required

Differences in points over seeds; a requirement is met if their mean reaches the number that ends the line. Those of tsv-m, r-tsvm, wudi and doge are the
catalogue's (its suite is another one); for the others we ask for what the method claims.

${verdictTable(results.verdicts(requirements))}`

await runBench({
  name: 'spectral-methods',
  async measure(suite, known) {
    await measureEncoders(suite, known)
    await measureArms(suite, known, arms)
    await measureChoices(suite, known, choices)
    await measureControls(suite, known)
    await measureArms(
      suite,
      known,
      asMatrices.map(({ name, method }) => ({ name: withMatrices(name), method })),
    )
    await measureTruncation(suite, known)
    await measureArms(suite, known, doges)
    await measureUnequal(suite, known)
    await measureContinual(suite, known)
  },
  page,
})
