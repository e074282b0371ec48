/**
 * Merging the experts of a mixture: a classifier of 60 intents on frozen vectors of the merging suite's base, with one layer of eight experts of which
 * each text takes one, left with four and with two. Experts that are dropped, merged (M-SMoE, Sub-MoE) and compressed (MC-SMoE) side by side. Writes
 * docs/results/moe-experts.md.
 *
 *     npx tsx bench/systems/moe-experts.ts [--data ../shared/data] [--seeds 0,1,2]
 */
import { parseArgs } from 'node:util'
import { type ExpertMethod, mcSmoe, mSmoe, subMoe } from '../../dist/index.js'
import type { ExpertLayer, ReducedLayer } from '../../dist/merge/experts/expert-method.js'
import { type Matrix, MatrixKernels, matrix } from '../../dist/tensor/linear-algebra/index.js'
import { permutation, random } from '../../dist/tensor/random.js'
import { mean, provenance, spread, table, writePage } from '../results-page.ts'
import { openSuite } from './merge-suite.ts'

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    seeds: { type: 'string', default: '0,1,2' },
    out: { type: 'string', default: 'docs/results/moe-experts.md' },
  },
})
const seeds = flags.seeds.split(',').map(Number)
const [experts, neurons, epochs, rate, balance] = [8, 32, 8, 3e-3, 0.02]

interface Row {
  x: Float32Array
  y: number
}

/** h = x + p W_out relu(W_in x) of the expert with the highest gate p; logits = C h. */
class Mixture {
  readonly parts: Matrix[]
  readonly width: number
  constructor(width: number, classes: number, seed: number) {
    this.width = width
    const drawn = (rows: number, columns: number, key: string) => {
      const numbers = random(seed, 'mixture', key)
      return matrix(
        rows,
        columns,
        Float64Array.from({ length: rows * columns }, (_, i) => numbers.normal(i) / Math.sqrt(columns)),
      )
    }
    this.parts = [
      drawn(experts, width, 'router'),
      drawn(classes, width, 'classifier'),
      ...Array.from({ length: experts }, (_, e) => [
        drawn(neurons, width, `in ${e}`),
        drawn(width, neurons, `out ${e}`),
      ]).flat(),
    ]
  }
  get router(): Matrix {
    return this.parts[0]!
  }
  inward = (e: number): Matrix => this.parts[2 + 2 * e]!
  outward = (e: number): Matrix => this.parts[3 + 2 * e]!
}

function times({ rows, columns, data }: Matrix, x: ArrayLike<number>): Float64Array {
  const result = new Float64Array(rows)
  for (let i = 0; i < rows; i++) {
    let sum = 0
    for (let j = 0; j < columns; j++) sum += data[i * columns + j]! * x[j]!
    result[i] = sum
  }
  return result
}

function softmax(logits: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(logits)
  const top = Math.max(...values)
  let total = 0
  for (let i = 0; i < values.length; i++) total += values[i] = Math.exp(values[i]! - top)
  return values.map((v) => v / total)
}

const highest = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((best, v, i, all) => (v > all[best]! ? i : best), 0)

/** Adam on rows one by one in small batches, with a term that keeps the experts in use. */
function train(rows: readonly Row[], classes: number, seed: number): Mixture {
  const model = new Mixture(rows[0]!.x.length, classes, seed)
  const zeros = () => model.parts.map(({ data }) => new Float64Array(data.length))
  const [gradients, first, second] = [zeros(), zeros(), zeros()]
  const outer = (target: Float64Array, a: ArrayLike<number>, b: ArrayLike<number>, columns: number) => {
    for (let i = 0; i < a.length; i++)
      if (a[i] !== 0) for (let j = 0; j < columns; j++) target[i * columns + j]! += a[i]! * b[j]!
  }
  const back = ({ rows, columns, data }: Matrix, g: ArrayLike<number>) => {
    const result = new Float64Array(columns)
    for (let i = 0; i < rows; i++)
      if (g[i] !== 0) for (let j = 0; j < columns; j++) result[j]! += g[i]! * data[i * columns + j]!
    return result
  }
  const usage = new Float64Array(experts).fill(1 / experts)
  let step = 0
  const batch = 16
  const steps = epochs * Math.ceil(rows.length / batch)
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = permutation(rows.length, random(seed, 'mixture order', epoch))
    for (let at = 0; at < rows.length; at += batch) {
      for (const gradient of gradients) gradient.fill(0)
      for (const index of order.subarray(at, at + batch)) {
        const { x, y } = rows[index]!
        const gates = softmax(times(model.router, x))
        const e = highest(gates)
        for (let j = 0; j < experts; j++) usage[j] = 0.999 * usage[j]! + (j === e ? 0.001 : 0)
        const inner = times(model.inward(e), x)
        const hidden = inner.map((v) => Math.max(0, v))
        const given = times(model.outward(e), hidden)
        const h = Float64Array.from(x, (v, i) => v + gates[e]! * given[i]!)
        const error = softmax(times(model.parts[1]!, h))
        error[y]! -= 1
        const dh = back(model.parts[1]!, error)
        outer(gradients[1]!, error, h, h.length)
        const gain = dh.reduce((sum, v, i) => sum + v * given[i]!, 0)
        const expectedUse = usage.reduce((sum, u, j) => sum + u * gates[j]!, 0)
        const dGate = gates.map(
          (p, j) => gates[e]! * ((j === e ? 1 : 0) - p) * gain + balance * experts * p * (usage[j]! - expectedUse),
        )
        outer(gradients[0]!, dGate, x, x.length)
        const dGiven = dh.map((v) => v * gates[e]!)
        outer(gradients[3 + 2 * e]!, dGiven, hidden, neurons)
        const dInner = back(model.outward(e), dGiven).map((v, i) => (inner[i]! > 0 ? v : 0))
        outer(gradients[2 + 2 * e]!, dInner, x, x.length)
      }
      step++
      const now = rate * (1 - step / (steps + 1))
      for (const [p, { data }] of model.parts.entries())
        for (let i = 0; i < data.length; i++) {
          const g = gradients[p]![i]! / batch
          first[p]![i] = 0.9 * first[p]![i]! + 0.1 * g
          second[p]![i] = 0.99 * second[p]![i]! + 0.01 * g * g
          data[i]! -=
            (now * first[p]![i]!) / (1 - 0.9 ** step) / (Math.sqrt(second[p]![i]! / (1 - 0.99 ** step)) + 1e-8)
        }
    }
  }
  return model
}

interface Answers {
  accuracy: number
  logits: Float64Array[]
}

/** Answers with the experts that `expertOf` gives for what the router chose among `allowed`. */
function answer(
  model: Mixture,
  rows: readonly Row[],
  expertOf: (chosen: number) => { inward: Matrix; outward: Matrix },
  allowed: readonly number[] = Array.from({ length: experts }, (_, e) => e),
): Answers {
  const logits = rows.map(({ x }) => {
    const all = times(model.router, x)
    const gates = softmax(allowed.map((e) => all[e]!))
    const best = highest(gates)
    const { inward, outward } = expertOf(allowed[best]!)
    const given = times(
      outward,
      times(inward, x).map((v) => Math.max(0, v)),
    )
    return times(
      model.parts[1]!,
      Float64Array.from(x, (v, i) => v + gates[best]! * given[i]!),
    )
  })
  return { accuracy: rows.filter(({ y }, i) => highest(logits[i]!) === y).length / rows.length, logits }
}

const results = new Map<string, number[]>()
const note = (name: string, value: number) => {
  results.set(name, [...(results.get(name) ?? []), value])
  console.error(`  ${name}: ${value.toFixed(4)}`)
}
const kernels = await MatrixKernels.open()
const methods: [string, ExpertMethod][] = [
  ['M-SMoE', mSmoe()],
  ['M-SMoE, neurons not matched', mSmoe({ align: false })],
  ['MC-SMoE, 0.4 of the values and a tenth of the rows', mcSmoe({ ratio: 0.4, kept: 0.1 })],
  ['MC-SMoE, 0.15 of the values', mcSmoe({ kept: 0 })],
  ['Sub-MoE', subMoe()],
  ['Sub-MoE, half of the directions', subMoe({ rank: 0.5 })],
]

for (const seed of seeds) {
  console.error(`seed ${seed}`)
  const suite = await openSuite({ data: flags.data, seed })
  const tasks = suite.specialists.slice(0, 4)
  const rowsOf = async (split: 'train' | 'validation' | 'test'): Promise<Row[]> => {
    const rows: Row[] = []
    for (const [t, task] of tasks.entries()) {
      const offset = tasks.slice(0, t).reduce((sum, { labels }) => sum + labels.length, 0)
      const vectors = await suite.pooled(suite.base, task[split].tokens)
      for (const [i, x] of vectors.entries()) rows.push({ x, y: task[split].targets[i]! + offset })
    }
    return rows
  }
  const [training, calibration, test] = [await rowsOf('train'), await rowsOf('validation'), await rowsOf('test')]
  const model = train(
    training,
    tasks.reduce((sum, { labels }) => sum + labels.length, 0),
    seed,
  )
  const own = (e: number) => ({ inward: model.inward(e), outward: model.outward(e) })
  const full = answer(model, test, own)
  note('all eight', full.accuracy)
  // What texts show of the router: 256 of the validation split, as the paper takes.
  const texts = calibration.filter((_, i) => i % Math.ceil(calibration.length / 256) === 0)
  const layerOf = (mixture: Mixture): ExpertLayer => {
    const logits = texts.map(({ x }) => Array.from(times(mixture.router, x)))
    const usage = Array.from(
      { length: experts },
      (_, e) => logits.filter((row) => highest(row) === e).length / texts.length,
    )
    const outputs = Array.from({ length: experts }, (_, e) => {
      const sum = new Float64Array(mixture.width)
      for (const { x } of texts)
        for (const [i, v] of times(
          mixture.outward(e),
          times(mixture.inward(e), x).map((u) => Math.max(0, u)),
        ).entries())
          sum[i]! += v / texts.length
      return Array.from(sum)
    })
    return {
      experts: Array.from({ length: experts }, (_, e) => ({
        inward: [mixture.inward(e)],
        outward: mixture.outward(e),
      })),
      router: mixture.router,
      statistics: { usage, logits, outputs },
    }
  }
  const layer = layerOf(model)
  note('experts in use', layer.statistics!.usage.filter((u) => u > 0.01).length)
  for (const count of [4, 2]) {
    const kept = [...layer.statistics!.usage.keys()]
      .sort((a, b) => layer.statistics!.usage[b]! - layer.statistics!.usage[a]!)
      .slice(0, count)
    note(`${count}: the others dropped`, answer(model, test, own, kept).accuracy)
    for (const [name, method] of methods) {
      const reduced = method.reduce(kernels, layer, count, 0)
      note(`${count}: ${name}`, answer(model, test, redirected(reduced)).accuracy)
    }
  }
  // Exact: experts 4 to 7 are 0 to 3 with their neurons in another order.
  const doubled = new Mixture(model.width, 1, 0)
  doubled.parts.splice(0, doubled.parts.length, ...model.parts.map((part) => ({ ...part, data: part.data.slice() })))
  for (let e = 4; e < 8; e++) {
    const order = permutation(neurons, random(seed, 'shuffled', e))
    for (const [i, from] of Array.from(order).entries()) {
      doubled
        .inward(e)
        .data.set(model.inward(e - 4).data.subarray(from * model.width, (from + 1) * model.width), i * model.width)
      for (let k = 0; k < model.width; k++)
        doubled.outward(e).data[k * neurons + i] = model.outward(e - 4).data[k * neurons + from]!
    }
  }
  const before = answer(doubled, test, (e) => ({ inward: doubled.inward(e), outward: doubled.outward(e) }))
  const pairs = { groupOf: [0, 1, 2, 3, 0, 1, 2, 3], cores: [0, 1, 2, 3] }
  const { mergeGroups } = await import('../../dist/merge/experts/methods/m-smoe.js')
  const { alignExpert, averageExperts } = await import('../../dist/merge/experts/expert.js')
  for (const align of [true, false]) {
    const twins = layerOf(doubled)
    const reduced = mergeGroups(twins, pairs, (members, core) => {
      const parts = members.map((e) =>
        align && e !== core ? alignExpert(twins.experts[core]!, twins.experts[e]!) : twins.experts[e]!,
      )
      return averageExperts(
        parts,
        members.map(() => 1),
      )
    })
    const after = answer(doubled, test, redirected(reduced))
    const change = Math.max(
      ...after.logits.flatMap((row, i) => Array.from(row, (v, j) => Math.abs(v - before.logits[i]![j]!))),
    )
    note(`largest change of a logit, copies ${align ? 'matched' : 'not matched'}`, change)
  }
  await suite.close()
}

function redirected({ groupOf, experts }: ReducedLayer): (chosen: number) => { inward: Matrix; outward: Matrix } {
  return (chosen) => {
    const { inward, outward } = experts[groupOf[chosen]!]!
    return { inward: inward[0]!, outward }
  }
}

const of = (name: string) => results.get(name)!
const gap = (a: string, b: string) => of(a).map((value, i) => 100 * (value - of(b)[i]!))
const verdicts = ['M-SMoE', 'Sub-MoE'].flatMap((name) =>
  [4, 2].flatMap((count) => [
    [
      `${name}, 8 to ${count}, over dropping: 2`,
      spread(gap(`${count}: ${name}`, `${count}: the others dropped`), 1),
      mean(gap(`${count}: ${name}`, `${count}: the others dropped`)) >= 2 ? 'yes' : '**no**',
    ],
    [
      `${name}, 8 to ${count}, over all eight: -1`,
      spread(gap(`${count}: ${name}`, 'all eight'), 1),
      mean(gap(`${count}: ${name}`, 'all eight')) >= -1 ? 'yes' : '**no**',
    ],
  ]),
)
const exact = of('largest change of a logit, copies matched')
verdicts.push([
  'copies with shuffled neurons: no logit changes by more than 1e-5',
  Math.max(...exact).toExponential(1),
  Math.max(...exact) < 1e-5 ? 'yes' : '**no**',
])

await writePage(
  flags.out,
  `# Merging the experts of a mixture

A classifier of 60 intents (four domains of CLINC150) on frozen vectors of the [merging suite](merge-suite.md)'s base: one layer of ${experts} experts (${neurons} rectified neurons), each text
takes one. Router statistics from 256 validation texts. After merging, the old router's choices are redirected to the groups. Test accuracy, mean ± standard deviation
over seeds ${flags.seeds}.

${table(
  ['experts', 'accuracy'],
  [...results]
    .filter(([name]) => !name.startsWith('largest') && name !== 'experts in use')
    .map(([name, values]) => [name, spread(values)]),
)}

Experts with more than a hundredth of the texts: ${of('experts in use').join(', ')}. Experts 5 to 8 overwritten by copies of 1 to 4 with shuffled neurons, each pair merged: the largest change of a logit is
${Math.max(...exact).toExponential(1)} with neurons matched, ${Math.max(...of('largest change of a logit, copies not matched')).toFixed(2)} without.

## What is required

${table(['requirement, in points', 'measured', 'met'], verdicts)}

${provenance(`npx tsx bench/systems/moe-experts.ts --seeds ${flags.seeds}`).join('\n')}`,
)
