/**
 * The protocol of "What Matters for Model Merging at Scale?" (Yadav et al., 2024) on the merging suite: average, task arithmetic, DARE and TIES,
 * with 2, 4 and 6 specialists in three draws each, measured on the merged tasks (relative to their specialists) and on two tasks that nobody was
 * trained on (a 25-shot linear probe, relative to the base); with a multi-task model and single specialists as controls, and encoders of two
 * widths. Writes docs/results/merge-at-scale.md.
 *
 *     npx tsx bench/systems/merge-at-scale.ts [--data ../shared/data] [--seeds 0,1,2]
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { dareLinear, linear, type MergeMethod, taskArithmetic, ties } from '../../dist/index.js'
import { permutation, random } from '../../dist/tensor/random.js'
import { mean, provenance, spread, table, writePage } from '../results-page.ts'
import {
  type MergeSuite,
  openSuite,
  type Rows,
  readHead,
  readWeights,
  type Specialist,
  type SuiteSize,
  scaled,
  trainInto,
  type Weights,
} from './merge-suite.ts'

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    seeds: { type: 'string', default: '0,1,2' },
    sizes: { type: 'string', default: 'small,wide' },
    out: { type: 'string', default: 'docs/results/merge-at-scale.md' },
  },
})
const seeds = flags.seeds.split(',').map(Number)
const sizes = flags.sizes.split(',') as SuiteSize[]
const counts = [2, 4, 6]
const draws = 3

/** λ is set beforehand, by the number of models: choosing it for each draw would need validation texts of every set of tasks. */
const methods: [string, MergeMethod, (n: number) => number, boolean][] = [
  ['average', linear(), () => 1, false],
  ['task arithmetic, λ = 1/√n', taskArithmetic(), (n) => 1 / Math.sqrt(n), true],
  ['DARE 0.5, λ = 1/√n', dareLinear({ density: 0.5, rescale: 'density' }), (n) => 1 / Math.sqrt(n), true],
  ['TIES, density 0.2, λ = 1', ties({ density: 0.2, scope: 'model' }), () => 1, true],
]

interface Score {
  heldIn: number
  heldOut: number
}
/** By size, method and count, one score a seed: the mean over the draws. */
const results = new Map<string, Score[]>()
const key = (size: string, method: string, n: number) => `${size}\0${method}\0${n}`
const note = (size: string, method: string, n: number, scores: readonly Score[]) => {
  const score = { heldIn: mean(scores.map((s) => s.heldIn)), heldOut: mean(scores.map((s) => s.heldOut)) }
  results.set(key(size, method, n), [...(results.get(key(size, method, n)) ?? []), score])
  console.error(`  ${size}, ${method}, ${n}: held-in ${score.heldIn.toFixed(3)}, held-out ${score.heldOut.toFixed(3)}`)
}

/** Which specialists are merged: the same for every method. All six are one set, so its draws differ by nothing but random choices. */
function drawn(suite: MergeSuite, n: number, draw: number): Specialist[] {
  const order = permutation(suite.specialists.length, random(suite.seed, 'draw', n, draw))
  return Array.from(order.slice(0, n), (i) => suite.specialists[i]!)
}

async function measure(size: SuiteSize, seed: number): Promise<void> {
  const suite = await openSuite({ data: flags.data, seed, size })
  const own = new Map<string, { weights: Weights; accuracy: number }>()
  for (const task of suite.specialists) {
    const weights = await readWeights(task.folder)
    own.set(task.name, { weights, accuracy: await suite.accuracy(weights, 'test', [task]) })
  }
  const origin: number[] = []
  for (const task of suite.heldOut) origin.push(await suite.probe(suite.base, task))
  const heldOut = async (weights: Weights) => {
    const ratios: number[] = []
    for (const [i, task] of suite.heldOut.entries()) ratios.push((await suite.probe(weights, task)) / origin[i]!)
    return mean(ratios)
  }
  const heldIn = async (weights: Weights, tasks: readonly Specialist[]) => {
    const accuracies = await suite.accuracies(weights, 'test', tasks)
    return mean(accuracies.map((accuracy, i) => accuracy / own.get(tasks[i]!.name)!.accuracy))
  }
  const single: Score[] = []
  for (const { weights } of own.values()) single.push({ heldIn: 1, heldOut: await heldOut(weights) })
  note(size, 'single specialists', 1, single)
  for (const n of counts)
    for (const [name, method, lambda, based] of methods) {
      const scores: Score[] = []
      for (let draw = 0; draw < draws; draw++) {
        const tasks = drawn(suite, n, draw)
        const merged = await suite.merge(method, tasks, { base: based, seed: draw })
        const weights = scaled(suite.base, merged, lambda(n))
        scores.push({ heldIn: await heldIn(weights, tasks), heldOut: await heldOut(weights) })
      }
      note(size, name, n, scores)
    }
  note(size, 'multi-task training', 6, [await multiTask(suite, own, heldOut)])
  await suite.close()
}

/** One encoder trained on all six tasks at once, with a head for all their labels; each task takes its part of the head. */
async function multiTask(
  suite: MergeSuite,
  own: ReadonlyMap<string, { accuracy: number }>,
  heldOut: (weights: Weights) => Promise<number>,
): Promise<Score> {
  const offsets = suite.specialists.map((_, i) =>
    suite.specialists.slice(0, i).reduce((sum, { labels }) => sum + labels.length, 0),
  )
  const rows: Rows = {
    tokens: suite.specialists.flatMap(({ train }) => [...train.tokens]),
    targets: Int32Array.from(
      suite.specialists.flatMap(({ train }, i) => Array.from(train.targets, (y) => y + offsets[i]!)),
    ),
  }
  const folder = join(suite.folder, 'multi-task')
  await trainInto(folder, { folder: suite.baseFolder }, rows, {
    epochs: 6,
    seed: suite.seed,
    copyFrom: suite.baseFolder,
  })
  const [weights, head] = [await readWeights(folder), await readHead(folder)]
  const width = suite.config.hiddenSize
  const tasks = suite.specialists.map((task, i) => {
    const [start, end] = [offsets[i]!, offsets[i]! + task.labels.length]
    return {
      ...task,
      head: { weight: head.weight.slice(start * width, end * width), bias: head.bias.slice(start, end) },
    }
  })
  const accuracies = await suite.accuracies(weights, 'test', tasks)
  return {
    heldIn: mean(accuracies.map((accuracy, i) => accuracy / own.get(tasks[i]!.name)!.accuracy)),
    heldOut: await heldOut(weights),
  }
}

for (const seed of seeds) for (const size of sizes) await measure(size, seed)

const of = (size: string, method: string, n: number, part: keyof Score) =>
  results.get(key(size, method, n))!.map((score) => score[part])
const names = methods.map(([name]) => name)
const [average, arithmetic, dare, elected] = names as [string, string, string, string]
const verdicts: string[][] = []
const require = (text: string, values: readonly number[], least: number) =>
  verdicts.push([text, spread(values), mean(values) >= least ? 'yes' : '**no**'])
for (const size of sizes) {
  const gap = (a: string, b: string, n: number) => {
    const other = of(size, b, n, 'heldIn')
    return of(size, a, n, 'heldIn').map((value, i) => value - other[i]!)
  }
  for (const name of names)
    for (const [fewer, more] of [
      [2, 4],
      [4, 6],
    ] as const)
      require(`${size}, ${name}: held-in falls from ${fewer} to ${more} models (0)`, of(
        size,
        name,
        fewer,
        'heldIn',
      ).map((value, i) => value - of(size, name, more, 'heldIn')[i]!), 0)
  for (const n of [4, 6]) {
    require(`${size}, ${n} models: TIES over task arithmetic (-0.01)`, gap(elected, arithmetic, n), -0.01)
    require(`${size}, ${n} models: task arithmetic over average (0.04)`, gap(arithmetic, average, n), 0.04)
  }
  for (const name of names)
    for (const n of counts) {
      require(`${size}, ${name}, ${n} models: held-out relative to the base (0.98)`, of(size, name, n, 'heldOut'), 0.98)
      const single = of(size, 'single specialists', 1, 'heldOut')
      require(`${size}, ${name}, ${n} models: held-out over single specialists (0)`, of(size, name, n, 'heldOut').map(
        (value, i) => value - single[i]!,
      ), 0)
    }
}
/** The mean difference between two settings with all else the same. */
const effect = (from: (size: string, name: string, n: number) => number[] | undefined) => {
  const values = seeds.map((_, s) =>
    mean(sizes.flatMap((size) => names.flatMap((name) => counts.flatMap((n) => from(size, name, n)?.[s] ?? [])))),
  )
  return spread(values)
}
const difference = (a: readonly number[], b: readonly number[]) => a.map((value, i) => value - b[i]!)

await writePage(
  flags.out,
  `# What matters when merging at scale

Four merges of 2, 4 and 6 specialists of the [merging suite](merge-suite.md), ${draws} draws of specialists each (the same for all methods), encoders of width
${sizes.map((size) => `${size === 'wide' ? 128 : 64} (${size})`).join(' and ')}, seeds ${flags.seeds}. Held-in: accuracy on the merged tasks with their specialists' heads, relative to each specialist. Held-out:
a ridge probe from 25 texts a label on two domains that nobody was trained on, relative to the base. Mean ± standard deviation over seeds.

${sizes
  .map(
    (size) => `## Encoder: ${size}

${table(
  ['merge', ...counts.flatMap((n) => [`held-in, ${n}`, `held-out, ${n}`])],
  names.map((name) => [
    name,
    ...counts.flatMap((n) => [spread(of(size, name, n, 'heldIn')), spread(of(size, name, n, 'heldOut'))]),
  ]),
)}

Single specialists: held-out ${spread(of(size, 'single specialists', 1, 'heldOut'))}. One model trained on all six tasks: held-in ${spread(of(size, 'multi-task training', 6, 'heldIn'))}, held-out ${spread(of(size, 'multi-task training', 6, 'heldOut'))}.`,
  )
  .join('\n\n')}

## Effect of each factor on held-in, all else the same

${table(
  ['factor', 'mean difference'],
  [
    [
      '6 models instead of 2',
      effect((size, name, n) =>
        n === 2 ? difference(of(size, name, 6, 'heldIn'), of(size, name, 2, 'heldIn')) : undefined,
      ),
    ],
    ...(sizes.length > 1
      ? [
          [
            'wide instead of small',
            effect((size, name, n) =>
              size === 'small' ? difference(of('wide', name, n, 'heldIn'), of(size, name, n, 'heldIn')) : undefined,
            ),
          ],
        ]
      : []),
    ...[arithmetic, dare, elected].map((other) => [
      `${other} instead of average`,
      effect((size, name, n) =>
        name === average ? difference(of(size, other, n, 'heldIn'), of(size, average, n, 'heldIn')) : undefined,
      ),
    ]),
  ],
)}

## What is required

The number in brackets is what the mean has to reach.

${table(['requirement', 'measured', 'met'], verdicts)}

That strong bases merge better is not asked: small text specialists mostly move rows of the embedding that they do not share.

${provenance(`npx tsx bench/systems/merge-at-scale.ts --seeds ${flags.seeds} --sizes ${flags.sizes}`).join('\n')}`,
)
