/**
 * How well gradients tell what putting single parts of a model's change back to the base does to its loss, on texts that the model was trained on and on
 * others: the faithfulness check of activated parameter locating. Writes docs/results/apl-faithfulness.md.
 *
 *     nice -n 10 npx tsx bench/systems/apl-faithfulness.ts [--seeds 0,1,2] [--rows 240] [--parts 128] [--data ../shared/data]
 */
import { parseArgs } from 'node:util'
import { changeOf } from '../../dist/merge/with-data/merge-located.js'
import {
  gradientEffects,
  interventionEffects,
  type Part,
  partEffects,
  partsOf,
} from '../../dist/merge/with-data/parameter-effects.js'
import { openLandscape } from '../../dist/merge/with-data/task-landscape.js'
import { permutation, random } from '../../dist/tensor/random.js'
import { median, provenance, table, writePage } from '../results-page.ts'
import { openSuite } from './merge-suite.ts'
import { spearman } from './rank-correlation.ts'
import { suiteSpecialists } from './suite-specialists.ts'

const { values: flags } = parseArgs({
  options: {
    seeds: { type: 'string', default: '0,1,2' },
    rows: { type: 'string', default: '240' },
    parts: { type: 'string', default: '128' },
    data: { type: 'string', default: '../shared/data' },
    out: { type: 'string', default: 'docs/results/apl-faithfulness.md' },
  },
})
const count = Number(flags.parts)

interface Found {
  readonly task: string
  readonly texts: string
  readonly loss: number
  /** Rank correlation with the exact effects: of the gradient on all parts, on tensors and on rows alone; of the size of the change on all. */
  readonly all: number
  readonly tensors: number
  readonly rows: number
  readonly size: number
  readonly ratio: number
}
const found: Found[] = []
for (const seed of flags.seeds.split(',').map(Number)) {
  const suite = await openSuite({ seed, data: flags.data })
  for (const [split, labels] of [
    ['train', 'own'],
    ['validation', 'given'],
  ] as const) {
    const { models, base, shared, shapes } = await suiteSpecialists(suite, Number(flags.rows), split)
    const [model] = models
    const pick = (weights: ReadonlyMap<string, Float32Array>) =>
      new Map(shared.map((name) => [name, weights.get(name)!]))
    const [from, to] = [pick(base!), pick(model!.weights)]
    const change = changeOf(from, to, shared)
    const squares = ({ name, start, end }: Part) =>
      change
        .get(name)!
        .subarray(start, end)
        .reduce((s, x) => s + x * x, 0)
    const draw = (parts: readonly Part[], most: number) => {
      const moved = parts.filter((part) => squares(part) > 0)
      return Array.from(permutation(moved.length, random('apl parts', seed)).subarray(0, most), (i) => moved[i]!)
    }
    const tensors = draw(partsOf(shapes, 'tensor'), count / 4)
    const parts = [...tensors, ...draw(partsOf(shapes, 'row'), (3 * count) / 4)]
    const landscape = await openLandscape(model!, shared, { labels, threads: 1 })
    const loss = await landscape.loss(to)
    await landscape.gradient(to) // the first run of a session is slower
    const start = performance.now()
    const near = partEffects(await gradientEffects(landscape, from, to, [1]), parts)
    const middle = performance.now()
    const exact = await interventionEffects(landscape, from, to, parts)
    const ratio = (performance.now() - middle) / (middle - start)
    await landscape.close()
    const cut = tensors.length
    found.push({
      task: `${suite.specialists[0]!.name}, seed ${seed}`,
      texts: split === 'train' ? 'training texts, own labels' : 'unseen texts, given labels',
      loss,
      all: spearman(near, exact),
      tensors: spearman(near.subarray(0, cut), exact.subarray(0, cut)),
      rows: spearman(near.subarray(cut), exact.subarray(cut)),
      size: spearman(
        parts.map((part) => Math.sqrt(squares(part))),
        exact.map(Math.abs),
      ),
      ratio,
    })
    console.error(found.at(-1))
  }
  await suite.close()
}
const unseen = found.filter(({ texts }) => texts.startsWith('unseen'))
const least = Math.min(...unseen.map(({ all }) => all))
const lead = Math.min(...unseen.map(({ all, size }) => all - size))
await writePage(
  flags.out,
  `# Faithfulness of activated parameter locating

Specialists of [the merging suite](merge-suite.md): ${count} parts of the change of one in each suite (a quarter whole tensors, the others rows) put back to the base, one at a time, and the
first-order effect by one gradient at the model. Rank correlation (Spearman) with the exact effects on ${flags.rows} texts.

${table(
  ['task', 'texts', 'loss', 'gradient', 'on tensors', 'on rows', 'size of the change', 'times faster'],
  found.map((f) => [
    f.task,
    f.texts,
    f.loss.toFixed(4),
    f.all.toFixed(3),
    f.tensors.toFixed(3),
    f.rows.toFixed(3),
    f.size.toFixed(3),
    f.ratio.toFixed(0),
  ]),
)}

- asked: at least 0.95; on unseen texts the least is ${least.toFixed(3)}${least >= 0.95 ? '' : ': **not met**'}.
- asked: at least 0.2 above the size of the change; on unseen texts the least lead is ${lead.toFixed(3)}${lead >= 0.2 ? '' : ': **not met**'}.
- one gradient takes the time of 1/${median(found.map(({ ratio }) => ratio)).toFixed(0)} of ${count} interventions (median), whatever the number of parts.

Rows are told better than whole tensors: a tensor is a large step, and the loss bends on the way, which no first order sees.

${provenance('npx tsx bench/systems/apl-faithfulness.ts').join('\n')}`,
)
