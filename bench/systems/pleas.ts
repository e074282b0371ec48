/**
 * Matching the units of encoders from different starts before they are averaged: two encoders trained on one task (45 intents of three domains of the
 * merging suite) from different first weights, averaged as they are, with matched units, and with the neurons that are least alike kept apart.
 * Weights only, without data. Writes docs/results/pleas.md.
 *
 *     npx tsx bench/systems/pleas.ts [--data ../shared/data] [--seeds 0,1,2]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { linear, permuteToMatch } from '../../dist/index.js'
import type { EncoderConfig } from '../../dist/models/index.js'
import { mean, provenance, spread, table, writePage } from '../results-page.ts'
import {
  accuracyOf,
  Features,
  type Head,
  mergeFolders,
  openSuite,
  type Rows,
  readHead,
  readWeights,
  type SuiteTask,
  trainInto,
  type Weights,
} from './merge-suite.ts'

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    seeds: { type: 'string', default: '0,1,2' },
    out: { type: 'string', default: 'docs/results/pleas.md' },
  },
})
const seeds = flags.seeds.split(',').map(Number)
const domains = 3
const shares = [0.25, 0.5, 1]
const results = new Map<string, number[]>()
const note = (name: string, value: number) => {
  results.set(name, [...(results.get(name) ?? []), value])
  console.error(`  ${name}: ${value.toFixed(3)}`)
}
const apart = (share: number) => `average, ${100 * share} % of the neurons apart`

for (const seed of seeds) {
  console.error(`seed ${seed}`)
  const suite = await openSuite({ data: flags.data, seed })
  const tasks = suite.specialists.slice(0, domains)
  const labels = tasks.flatMap((task) => task.labels)
  const [train, test] = [joined(tasks, 'train'), joined(tasks, 'test')]
  const members = ['one', 'other'].map((name) => join(suite.folder, `${domains}-domains-${name}-start`))
  for (const [i, folder] of members.entries())
    await trainInto(folder, { config: suite.config }, train, {
      ...{ epochs: 15, learningRate: 1e-3, seed: 100 * (i + 1) + seed, labels },
    })
  const folder = await mkdtemp(join(tmpdir(), 'espalier-pleas-'))
  try {
    const outputs: Float64Array[][] = []
    for (const [i, member] of members.entries()) {
      const [weights, head] = [await readWeights(member), await readHead(member)]
      const features = await pooled(suite.config, weights, test)
      outputs.push(features.map((vector) => logits(vector, head)))
      note(`member ${i + 1}`, accuracyOf(features, head, test.targets))
    }
    const ensemble = outputs[0]!.map((row, i) => row.map((x, unit) => x + outputs[1]![i]![unit]!))
    note('ensemble of both', ensemble.filter((row, i) => best(row) === test.targets[i]).length / ensemble.length)
    const average = async (name: string, models: string[], config = suite.config) => {
      const merged = await mergeFolders(linear(), models, { head: true })
      const head = { weight: merged.get('classifier.weight')!, bias: merged.get('classifier.bias')! }
      note(name, accuracyOf(await pooled(config, merged, test), head, test.targets))
    }
    await average('plain average', members)
    const matched = join(folder, 'matched')
    const { before, after } = await permuteToMatch(members[1]!, { reference: members[0]!, out: matched })
    await average('average with matched units', [members[0]!, matched])
    for (const separate of shares) {
      const [reference, other] = [join(folder, `reference-${separate}`), join(folder, `other-${separate}`)]
      const { separate: count } = await permuteToMatch(members[1]!, {
        ...{ reference: members[0]!, referenceOut: reference, out: other, separate },
      })
      const wide = { ...suite.config, intermediateSize: suite.config.intermediateSize + count }
      await average(apart(separate), [reference, other], wide)
    }
    note('cosine of the weights before', before)
    note('cosine of the weights after', after)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  await suite.close()
}

/** The rows of several tasks, with labels numbered through. */
function joined(tasks: readonly SuiteTask[], split: 'train' | 'test'): Rows {
  const offsets = tasks.map((_, i) => tasks.slice(0, i).reduce((sum, { labels }) => sum + labels.length, 0))
  return {
    tokens: tasks.flatMap((task) => [...task[split].tokens]),
    targets: Int32Array.from(
      tasks.flatMap((task, i) => Array.from(task[split].targets, (target) => target + offsets[i]!)),
    ),
  }
}

async function pooled(config: EncoderConfig, weights: Weights, { tokens }: Rows): Promise<Float32Array[]> {
  const features = await Features.open(config)
  const result = await features.of(weights, tokens)
  await features.close()
  return result
}

function logits(vector: Float32Array, { weight, bias }: Head): Float64Array {
  return Float64Array.from(bias, (start, unit) =>
    vector.reduce((sum, x, j) => sum + x * weight[unit * vector.length + j]!, start),
  )
}

function best(row: Float64Array): number {
  return row.indexOf(Math.max(...row))
}

const gap = (a: string, b: string) => results.get(a)!.map((value, i) => 100 * (value - results.get(b)![i]!))
const requirement = (text: string, a: string, b: string, least: number) => {
  const values = gap(a, b)
  return [text, spread(values, 1), mean(values) >= least ? 'yes' : '**no**']
}
await writePage(
  flags.out,
  `# Matching units before averaging

Two encoders of the [merging suite](merge-suite.md)'s size, trained from different first weights on one task of ${15 * domains} intents, averaged with their heads. Units are matched by
weights alone; with a share of the neurons apart, the pairs of each layer that are least alike stay side by side and the feed-forward blocks grow by them (PLeaS's partial
merging; the residual stream and the heads are always merged). Test accuracy, mean ± standard deviation over seeds ${flags.seeds}.

${table(
  ['encoder', 'measured'],
  [...results].map(([name, values]) => [name, spread(values)]),
)}

## What is required

${table(
  ['requirement, in points', 'measured', 'met'],
  [
    requirement('matched over plain: 15', 'average with matched units', 'plain average', 15),
    requirement('half of the neurons apart over the ensemble: -1', apart(0.5), 'ensemble of both', -1),
    requirement('half of the neurons apart over matched: 0', apart(0.5), 'average with matched units', 0),
  ],
)}

The least squares of PLeaS, which need texts, are not part of this; nor are widths of the residual stream (the catalogue's models have no norms and no heads, ours has one
stream through all layers, which cannot be widened without its norms) and the search of widths for a budget.

${provenance(`npx tsx bench/systems/pleas.ts --seeds ${flags.seeds}`).join('\n')}`,
)
