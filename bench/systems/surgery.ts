/**
 * Representation surgery on the merging suite: merges with the specialists' heads as they are, after surgery, and after FT-Classifier on the same texts,
 * and the base encoder as a control. Writes docs/results/surgery.md.
 *
 *     nice -n 10 npx tsx bench/systems/surgery.ts [--seeds 0,1,2] [--shots 10] [--data ../shared/data]
 */
import { parseArgs } from 'node:util'
import { distillHead, logitsOf, probabilitiesOf } from '../../dist/align/distill-head.js'
import type { LinearHead } from '../../dist/align/procrustes.js'
import { distance, fitRepair, foldRepair, repaired } from '../../dist/align/repair-vectors.js'
import { linear, regmean, taskArithmetic, ties } from '../../dist/index.js'
import { type Matrix, MatrixKernels, matrix } from '../../dist/tensor/linear-algebra/index.js'
import { permutation, random } from '../../dist/tensor/random.js'
import { mean, provenance, spread, table, writePage } from '../results-page.ts'
import { openSuite, type Rows, type Weights } from './merge-suite.ts'
import { suiteSpecialists } from './suite-specialists.ts'

const { values: flags } = parseArgs({
  options: {
    seeds: { type: 'string', default: '0,1,2' },
    shots: { type: 'string', default: '10' },
    data: { type: 'string', default: '../shared/data' },
    out: { type: 'string', default: 'docs/results/surgery.md' },
  },
})
const seeds = flags.seeds.split(',').map(Number)
const shots = Number(flags.shots)
const ranks = [4, 16]
const kernels = await MatrixKernels.open()

const rowsOf = (vectors: readonly Float32Array[]): Matrix =>
  matrix(vectors.length, vectors[0]!.length, Float64Array.from(vectors.flatMap((vector) => [...vector])))
function accuracy(z: Matrix, head: LinearHead, { targets }: Rows): number {
  const { data, columns } = logitsOf(kernels, z, head)
  const hits = Array.from(targets).filter((target, row) => {
    const logits = data.subarray(row * columns, (row + 1) * columns)
    return logits.indexOf(logits.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY)) === target
  })
  return hits.length / targets.length
}

interface Outcome {
  readonly own: number
  readonly repaired: readonly number[]
  readonly fitted: number
  /** Mean absolute difference from the specialist's test vectors, before and after. */
  readonly before: number
  readonly after: readonly number[]
}
const outcomes = new Map<string, Outcome[]>()
const experts: number[] = []
for (const seed of seeds) {
  const suite = await openSuite({ seed, data: flags.data })
  const specialists = await suiteSpecialists(suite, 256)
  experts.push(mean(await suite.accuraciesFor((_, t) => specialists.models[t]!.weights)))
  const merges: [string, Weights][] = [
    ['base encoder (control)', suite.base],
    ['average', await suite.merge(linear())],
    ['task arithmetic (0.3)', await suite.merge(taskArithmetic({ lambda: 0.3 }))],
    ['TIES (λ 1)', await suite.merge(ties({ density: 0.2, scope: 'model' }))],
    ['RegMean', (await regmean().merge(specialists, { threads: 1, seed })).weights],
  ]
  for (const [name, weights] of merges) {
    const tasks: Outcome[] = []
    for (const [t, task] of suite.specialists.entries()) {
      const counts = new Map<number, number>()
      const few = Array.from(permutation(task.train.tokens.length, random('surgery', seed, t))).filter((i) => {
        const target = task.train.targets[i]!
        counts.set(target, (counts.get(target) ?? 0) + 1)
        return counts.get(target)! <= shots
      })
      const texts = few.map((i) => task.train.tokens[i]!)
      const own = specialists.models[t]!.weights
      const [merged, expert] = [rowsOf(await suite.pooled(weights, texts)), rowsOf(await suite.pooled(own, texts))]
      const [test, gold] = [
        rowsOf(await suite.pooled(weights, task.test.tokens)),
        rowsOf(await suite.pooled(own, task.test.tokens)),
      ]
      const units = task.labels.length
      const head: LinearHead = {
        weight: matrix(units, merged.columns, Float64Array.from(task.head.weight)),
        bias: Float64Array.from(task.head.bias),
      }
      const repairs = ranks.map((rank) => fitRepair(kernels, merged, expert, { rank, steps: 1000, learningRate: 1e-3 }))
      const normalisation = { activation: 'softmax' as const, groups: [{ start: 0, end: units }] }
      const teacher = probabilitiesOf(logitsOf(kernels, expert, head), normalisation)
      tasks.push({
        own: accuracy(test, head, task.test),
        repaired: repairs.map((repair) => accuracy(test, foldRepair(kernels, head, repair), task.test)),
        fitted: accuracy(test, distillHead(kernels, merged, teacher, head, normalisation), task.test),
        before: distance(test, gold),
        after: repairs.map((repair) => distance(repaired(kernels, test, repair), gold)),
      })
    }
    const average: Outcome = {
      own: mean(tasks.map(({ own }) => own)),
      repaired: ranks.map((_, r) => mean(tasks.map((task) => task.repaired[r]!))),
      fitted: mean(tasks.map(({ fitted }) => fitted)),
      before: mean(tasks.map(({ before }) => before)),
      after: ranks.map((_, r) => mean(tasks.map((task) => task.after[r]!))),
    }
    outcomes.set(name, [...(outcomes.get(name) ?? []), average])
    console.error(seed, name, JSON.stringify(average))
  }
  await suite.close()
}

const percent = (values: readonly number[]) =>
  spread(
    values.map((x) => 100 * x),
    1,
  )
const names = [...outcomes.keys()]
const gains = names.slice(1).map((name) => mean(outcomes.get(name)!.map((o) => 100 * (o.repaired[1]! - o.own))))
await writePage(
  flags.out,
  `# Representation surgery

The merging suite (six specialists of a small encoder, width 64, 15 intents each; see [the suite](merge-suite.md)), one for each of the seeds ${seeds.join(', ')}. ${shots} training texts of each label, whose
labels serve to draw them and no more. Test accuracy in %, mean over tasks, ± standard deviation over suites; the specialists reach ${percent(experts)}. Surgery has 1000
steps of Adam at 0.001 as in the paper; its map is linear with a shift, so that the head takes it up.

${table(
  [
    'encoder',
    'own heads',
    ...ranks.map((rank) => `surgery, rank ${rank}`),
    'FT-Classifier, same texts',
    'distance',
    ...ranks.map((rank) => `rank ${rank}`),
  ],
  names.map((name) => {
    const list = outcomes.get(name)!
    return [
      name,
      percent(list.map(({ own }) => own)),
      ...ranks.map((_, r) => percent(list.map((o) => o.repaired[r]!))),
      percent(list.map(({ fitted }) => fitted)),
      mean(list.map(({ before }) => before)).toFixed(3),
      ...ranks.map((_, r) => mean(list.map((o) => o.after[r]!)).toFixed(3)),
    ]
  }),
)}

Distance: mean absolute difference from the specialist's vectors on test texts, as the merge left them and after surgery.

- surgery of rank 16 gains ${Math.min(...gains).toFixed(1)} to ${Math.max(...gains).toFixed(1)} points on the merges.
- control: the base encoder, never fine-tuned on the tasks, reaches ${percent(outcomes.get(names[0]!)!.map((o) => o.repaired[1]!))} by surgery alone; what a merge is worth is the difference to that.

${provenance('npx tsx bench/systems/surgery.ts').join('\n')}`,
)
