/**
 * The layer-wise search of unconstrained merging on the merging suite: weights of six specialists in each group of layers, searched on 60 validation
 * texts a task, at several budgets, beside the start. Writes docs/results/unconstrained-merge.md.
 *
 *     npx tsx bench/systems/unconstrained-merge.ts [--data ../shared/data] [--seeds 0,1,2] [--budgets 150,400]
 */
import { parseArgs } from 'node:util'
import { searchMerge } from '../../dist/index.js'
import { mean, provenance, spread, table, writePage } from '../results-page.ts'
import { openSuite, readWeights } from './merge-suite.ts'

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    seeds: { type: 'string', default: '0,1,2' },
    budgets: { type: 'string', default: '150,400' },
    out: { type: 'string', default: 'docs/results/unconstrained-merge.md' },
  },
})
const seeds = flags.seeds.split(',').map(Number)
const budgets = flags.budgets.split(',').map(Number)
const texts = 60
const results = new Map<string, number[]>()
const note = (name: string, value: number) => {
  results.set(name, [...(results.get(name) ?? []), value])
  console.error(`  ${name}: ${value.toFixed(3)}`)
}

for (const seed of seeds) {
  console.error(`seed ${seed}`)
  const suite = await openSuite({ data: flags.data, seed })
  const models = await Promise.all(suite.specialists.map(({ folder }) => readWeights(folder)))
  for (const evaluations of [0, ...budgets]) {
    const { merged } = await searchMerge({
      ...{ base: suite.base, models, evaluations, seed },
      async score(weights) {
        const { accuracy, loss } = await suite.fitness(weights, 'validation', texts)
        return accuracy - 0.05 * loss
      },
    })
    note(`validation, ${evaluations}`, (await suite.fitness(merged, 'validation', texts)).accuracy)
    note(`test, ${evaluations}`, await suite.accuracy(merged))
  }
  await suite.close()
}

const gain = (split: string) => {
  const start = results.get(`${split}, 0`)!
  return results.get(`${split}, ${budgets.at(-1)}`)!.map((value, i) => 100 * (value - start[i]!))
}
await writePage(
  flags.out,
  `# Searching weights layer by layer

Weights of six specialists of the [merging suite](merge-suite.md) in each group of layers (embeddings, each layer), from 0.5 on, by separable CMA-ES on ${texts} validation texts a
task (accuracy - 0.05 loss). Accuracy, mean ± standard deviation over seeds ${flags.seeds}.

${table(
  ['evaluations', 'validation', 'test'],
  [0, ...budgets].map((count) => [
    count === 0 ? 'none (all weights 0.5)' : String(count),
    spread(results.get(`validation, ${count}`)!),
    spread(results.get(`test, ${count}`)!),
  ]),
)}

${table(
  ['requirement, in points', 'measured', 'met'],
  [
    ['test over the start: 3', spread(gain('test'), 1), mean(gain('test')) >= 3 ? 'yes' : '**no**'],
    [
      'gain on test, as a share of that on validation: a half',
      (mean(gain('test')) / mean(gain('validation'))).toFixed(2),
      mean(gain('test')) >= 0.5 * mean(gain('validation')) ? 'yes' : '**no**',
    ],
  ],
)}

${provenance(`npx tsx bench/systems/unconstrained-merge.ts --seeds ${flags.seeds} --budgets ${flags.budgets}`).join('\n')}`,
)
