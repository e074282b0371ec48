/**
 * LAMA: several attentions of low rank over the states of a bidirectional GRU, against their mean and Lin et al.'s structured attention. Writes
 * docs/results/lama.md.
 *
 *     npx tsx bench/systems/lama.ts [--data ../shared/data] [--encoder gru] [--seeds 0,1,2] [--share 0.2] [--epochs 12]
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { LabelTree, lama, readDataset, splitRows } from '../../dist/index.js'
import { attentionSpecs } from '../../dist/models/slots/pooled-attention.js'
import { provenance, spread, table, writePage } from '../results-page.ts'
import { gain, measure, type Outcome, pick, verdict } from './few-rows.ts'

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    encoder: { type: 'string', default: 'gru' },
    width: { type: 'string', default: '128' },
    seeds: { type: 'string', default: '0,1,2' },
    share: { type: 'string', default: '0.2' },
    epochs: { type: 'string', default: '12' },
    lr: { type: 'string', default: '3e-3' },
    out: { type: 'string', default: 'docs/results/lama.md' },
  },
})
const seeds = flags.seeds.split(',').map(Number)
const folder = join(flags.data, 'trec')
/** The first level alone. */
const first = async (file: string) => {
  const rows = await (await readDataset(join(folder, file))).collect()
  return rows.map((row) => ({ ...row, labels: row.labels.map((path) => path.slice(0, 1)) }))
}
const all = await first('train.jsonl.gz')
const test = await first('test.jsonl.gz')
const labels = LabelTree.fromPaths(all.flatMap((row) => row.labels))

const shared = { kind: 'pooled-attention', heads: 8 } as const
const variants = {
  'mean of the states': [lama({ attention: 'mean' }), { kind: 'pooled-attention', form: 'mean' }],
  'structured, 8 heads, 64 wide': [lama({ attention: 'structured' }), { ...shared, form: 'structured', inner: 64 }],
  'LAMA, 8 heads, learned context': [
    lama({ context: 'learned' }),
    { ...shared, form: 'low-rank', rank: 1, context: 'learned', bounded: true },
  ],
  'LAMA, 8 heads, mean context': [lama(), { ...shared, form: 'low-rank', rank: 1, context: 'mean', bounded: true }],
} as const
type Variant = keyof typeof variants
const found = new Map<Variant, Outcome[]>()
const of = (variant: Variant) => found.get(variant) ?? []
const parameters = (variant: Variant) =>
  attentionSpecs(variants[variant][1], Number(flags.width)).reduce(
    (sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1),
    0,
  )

for (const seed of seeds) {
  const order = pick(all, all.length, seed)
  const { dev: rows } = splitRows(order, { dev: Number(flags.share), seed })
  const taken = new Set(rows)
  const dev = order.filter((row) => !taken.has(row)).slice(0, 300)
  for (const name of Object.keys(variants) as Variant[]) {
    const settings = {
      labels,
      encoder: flags.encoder,
      epochs: Number(flags.epochs),
      lr: Number(flags.lr),
      batch: 32,
      seed,
      dev,
    }
    const outcome = (await measure(rows, test, variants[name][0], settings)).get('leaf-up')!
    found.set(name, [...of(name), outcome])
    console.log(seed, name, JSON.stringify(outcome))
  }
  await write()
}

async function write() {
  const names = Object.keys(variants) as Variant[]
  const structured = of('structured, 8 heads, 64 wide')
  const checks = (['LAMA, 8 heads, learned context', 'LAMA, 8 heads, mean context'] as const).flatMap((variant) => [
    verdict(`accuracy, ${variant}, over the mean`, gain(of(variant), of('mean of the states'), 'exactPath'), 2),
    verdict(`accuracy, ${variant}, over structured attention`, gain(of(variant), structured, 'exactPath'), -3),
  ])
  const least = parameters('structured, 8 heads, 64 wide') / parameters('LAMA, 8 heads, mean context')
  await writePage(
    flags.out,
    `# LAMA

\`--method lama\` on the six labels of TREC's first level, ${100 * Number(flags.share)} % of the training rows: at most ${flags.epochs} epochs of ${flags.encoder === 'gru' ? 'a bidirectional GRU (64 units a direction)' : 'a small encoder'} from scratch,
300 dev rows, which stop the training early, ${test.length} test texts. Percent, mean ± standard deviation over ${structured.length} seeds; a seed draws rows,
first weights, order and dropout.

${table(
  ['read through', 'parameters of the attention', 'accuracy', 'macro-F1'],
  names.map((variant) => [
    variant,
    String(parameters(variant)),
    ...(['exactPath', 'macroF1'] as const).map((key) =>
      spread(
        of(variant).map((outcome) => 100 * outcome[key]),
        1,
      ),
    ),
  ]),
)}

The checks of the catalogue (LAMA with the learned context is its plain form; with the mean it found it unstable):

${[...checks, verdict('parameters of structured attention over those of LAMA', least, 4)].join('\n')}

${provenance(`npx tsx bench/systems/lama.ts --encoder ${flags.encoder} --share ${flags.share} --epochs ${flags.epochs} --seeds ${flags.seeds}`).join('\n')}`,
  )
}
