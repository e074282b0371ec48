/**
 * The head methods side by side on the `ngram` encoder: exact path, hierarchical F1 and macro-F1 over seeds, each seed a different stratified
 * four fifths of the training rows; and what logit adjustment does. Writes docs/results/heads.md.
 *
 *     npx tsx bench/systems/heads.ts [--data ../shared/data] [--sets trec,clinc150,wos1k,naics2012] [--seeds 0,1,2]
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  conditionalSoftmax,
  datasetOf,
  evaluate,
  flat,
  type HeadMethod,
  perNode,
  readDataset,
  readLabelTree,
  splitRows,
  train,
} from 'espalier'
import { provenance, spread, table, writePage } from '../results-page.ts'

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    sets: { type: 'string', default: 'trec,clinc150,wos1k,naics2012' },
    seeds: { type: 'string', default: '0,1,2' },
    out: { type: 'string', default: 'docs/results/heads.md' },
  },
})

const methods: [string, () => HeadMethod][] = [
  ['flat', () => flat()],
  ['conditional-softmax', () => conditionalSoftmax()],
  ['conditional-softmax, logit adjustment 1', () => conditionalSoftmax({ logitAdjustment: 1 })],
  ['per-node', () => perNode()],
]
const measures = ['exactPath', 'hF', 'macroF1', 'nll'] as const
type Outcome = Record<(typeof measures)[number], number>

const rows: string[][] = []
for (const set of flags.sets.split(',')) {
  const folder = join(flags.data, set)
  const labels = await readLabelTree(join(folder, 'labels.json'))
  const all = await (await readDataset(join(folder, 'train.jsonl.gz'))).collect()
  const test = await readDataset(join(folder, 'test.jsonl.gz'))
  const outcomes: Outcome[][] = methods.map(() => [])
  for (const seed of flags.seeds.split(',').map(Number)) {
    const { train: part } = splitRows(all, { dev: 0.2, seed })
    for (const [index, [name, method]] of methods.entries()) {
      const model = await train(datasetOf(part), { labels, method: method(), seed })
      const { metrics } = await evaluate(model, test)
      outcomes[index]!.push({
        exactPath: metrics.exactPath,
        hF: metrics.hierarchical.f1,
        macroF1: metrics.macroF1,
        nll: metrics.nll!,
      })
      console.log(`${set} seed ${seed} ${name}: exact path ${metrics.exactPath.toFixed(4)}`)
    }
  }
  for (const [index, [name]] of methods.entries()) {
    const cells = measures.map((measure) => spread(outcomes[index]!.map((outcome) => outcome[measure])))
    rows.push([set, name, ...cells])
  }
}

await writePage(
  flags.out,
  `# Head methods

The same hashed n-grams under each head; test split, mean ± standard deviation over seeds ${flags.seeds}. Each seed trains on a different
stratified four fifths of the training rows. The decoder is the same for all: the most probable end of a path. "nll" is the negative
log-likelihood of the gold path in nats, without a dev set to calibrate on.

${table(['set', 'method', 'exact path', 'hF', 'macro-F1', 'nll'], rows)}

${provenance(`npx tsx bench/systems/heads.ts --sets ${flags.sets} --seeds ${flags.seeds}`).join('\n')}`,
)
