/**
 * TransHP on text: prompts of the domains inside a small encoder, against no coarse labels, a plain coarse head, and prompts in the last layer. Writes
 * docs/results/transhp.md.
 *
 *     npx tsx bench/systems/transhp.ts [--data ../shared/data] [--seeds 0,1,2] [--shots 12] [--epochs 15] [--layers 3] [--width 48]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fewShotPaths, readDataset, readLabelTree, transhp } from '../../dist/index.js'
import { mean, provenance, table, writePage } from '../results-page.ts'
import { cells, freshEncoder, gain, kept, measure, measureNames, type Outcome, pick, verdict } from './few-rows.ts'

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    seeds: { type: 'string', default: '0,1,2' },
    shots: { type: 'string', default: '12' },
    epochs: { type: 'string', default: '15' },
    layers: { type: 'string', default: '3' },
    width: { type: 'string', default: '48' },
    lr: { type: 'string', default: '3e-3' },
    cache: { type: 'string', default: 'bench/.cache/transhp' },
    out: { type: 'string', default: 'docs/results/transhp.md' },
  },
})
const seeds = flags.seeds.split(',').map(Number)
const layers = Number(flags.layers)
const folder = join(flags.data, 'clinc150')
const labels = await readLabelTree(join(folder, 'labels.json'))
const all = await (await readDataset(join(folder, 'train.jsonl.gz'))).collect()
const test = pick(await (await readDataset(join(folder, 'test.jsonl.gz'))).collect(), 1000, 0)

const variants = {
  'intents alone': () => transhp({ prompts: false, weight: 0 }),
  'domains read off the first token, weight 0.3': () => transhp({ prompts: false, weight: 0.3 }),
  'prompts in the layer before the last, weight 0.1': () => transhp({ weight: 0.1 }),
  'prompts in the layer before the last, weight 0.3': () => transhp({ weight: 0.3 }),
  'prompts in the last layer, weight 0.3': () => transhp({ blocks: [layers], weight: 0.3 }),
}
type Variant = keyof typeof variants
const found = new Map<Variant, Outcome[]>()
const of = (variant: Variant) => found.get(variant) ?? []
/** The domain by the coarse head itself. */
const coarse = new Map<Variant, Outcome[]>()

const work = await mkdtemp(join(tmpdir(), 'espalier-transhp-'))
try {
  for (const seed of seeds) {
    const { train: rows, dev } = fewShotPaths(all, { k: Number(flags.shots), dev: 2, seed })
    const texts = rows.map(({ text }) => text)
    const width = Number(flags.width)
    const encoder = await freshEncoder(work, texts, { layers, hiddenSize: width, heads: Math.max(1, width / 16) }, seed)
    for (const name of Object.keys(variants) as Variant[]) {
      const settings = { labels, encoder, epochs: Number(flags.epochs), lr: Number(flags.lr), batch: 32, seed, dev }
      const { labels: _, dev: __, encoder: ___, ...asked } = settings
      const key = { name, asked, shots: flags.shots, layers, width, test: test.length }
      const outcomes = new Map(
        await kept(flags.cache, key, async () => [
          ...(await measure(rows, test, variants[name](), settings, ['leaf-up', 'per-level-argmax'])),
        ]),
      )
      found.set(name, [...of(name), outcomes.get('leaf-up')!])
      coarse.set(name, [...(coarse.get(name) ?? []), outcomes.get('per-level-argmax')!])
      console.log(seed, name, JSON.stringify(outcomes.get('leaf-up')))
    }
    await write()
  }
} finally {
  await rm(work, { recursive: true, force: true })
}

async function write() {
  const names = Object.keys(variants) as Variant[]
  const plain = of('intents alone')
  const prompted = 'prompts in the layer before the last, weight 0.3'
  const own = (variant: Variant) => 100 * mean((coarse.get(variant) ?? []).map(({ top }) => top))
  const head = (variant: Variant) => (variant === 'intents alone' ? '' : own(variant).toFixed(1))
  await writePage(
    flags.out,
    `# TransHP

\`--method transhp\` on CLINC150 (10 domains, 150 intents) with ${flags.shots} texts of each intent: at most ${flags.epochs} epochs of a fresh encoder of ${flags.layers} layers, ${flags.width} wide,
two dev texts of each intent, which stop the training early, ${test.length} test texts, label smoothing 0.1. Percent, mean ± standard deviation over
${plain.length} seeds. "coarse head": the domain by the head of the domains itself; the other columns follow from the intent.

${table(
  ['variant', ...measureNames, 'coarse head'],
  names.map((variant) => [variant, ...cells(of(variant)), head(variant)]),
)}

The checks of the catalogue:

${[
  verdict('intents, with prompts over intents alone', gain(of(prompted), plain, 'leaf'), -2.5),
  verdict('accuracy of the coarse head', own(prompted), 50),
  verdict(
    'intents, prompts before the last layer over prompts in it',
    gain(of(prompted), of('prompts in the last layer, weight 0.3'), 'leaf'),
    2,
  ),
].join('\n')}

No gain over intents alone is claimed: the published gain is on images, with large encoders.

${provenance(`npx tsx bench/systems/transhp.ts --shots ${flags.shots} --epochs ${flags.epochs} --layers ${flags.layers} --width ${flags.width} --seeds ${flags.seeds}`).join('\n')}`,
  )
}
