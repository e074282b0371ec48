/**
 * Matching the units of encoders from different starts before they are averaged: two encoders trained on one task (15 intents of the merging suite) from
 * different first weights, averaged as they are and with matched units. Weights only, without data. Writes docs/results/pleas.md.
 *
 *     npx tsx bench/systems/pleas.ts [--data ../shared/data] [--seeds 0,1,2]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { linear, permuteToMatch } from '../../dist/index.js'
import { mean, provenance, spread, table, writePage } from '../results-page.ts'
import { mergeFolders, openSuite, readHead, readWeights, trainInto } from './merge-suite.ts'

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    seeds: { type: 'string', default: '0,1,2' },
    out: { type: 'string', default: 'docs/results/pleas.md' },
  },
})
const seeds = flags.seeds.split(',').map(Number)
const results = new Map<string, number[]>()
const note = (name: string, value: number) => {
  results.set(name, [...(results.get(name) ?? []), value])
  console.error(`  ${name}: ${value.toFixed(3)}`)
}

for (const seed of seeds) {
  console.error(`seed ${seed}`)
  const suite = await openSuite({ data: flags.data, seed })
  const [task] = suite.specialists
  const members = ['one', 'other'].map((name) => join(suite.folder, `${task!.name}-${name}-start`))
  for (const [i, folder] of members.entries())
    await trainInto(folder, { config: suite.config }, task!.train, {
      ...{ epochs: 15, learningRate: 1e-3, seed: 100 * (i + 1) + seed, labels: task!.labels },
    })
  const folder = await mkdtemp(join(tmpdir(), 'espalier-pleas-'))
  try {
    const matched = join(folder, 'matched')
    const { before, after } = await permuteToMatch(members[1]!, { reference: members[0]!, out: matched })
    note('cosine of the weights before', before)
    note('cosine of the weights after', after)
    for (const [i, member] of members.entries()) {
      const own = { ...task!, head: await readHead(member) }
      note(`member ${i + 1}`, await suite.accuracy(await readWeights(member), 'test', [own]))
    }
    for (const [name, other] of [
      ['plain average', members[1]!],
      ['average with matched units', matched],
    ] as const) {
      const merged = await mergeFolders(linear(), [members[0]!, other], { head: true })
      note(name, (await suite.score(merged, task!, 'test')).accuracy)
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  await suite.close()
}

const gap = results
  .get('average with matched units')!
  .map((value, i) => 100 * (value - results.get('plain average')![i]!))
await writePage(
  flags.out,
  `# Matching units before averaging

Two encoders of the [merging suite](merge-suite.md)'s size, trained from different first weights on one task of 15 intents, averaged with their heads. Units are matched by weights alone
(the least squares of PLeaS need data and are not part of this). Test accuracy, mean ± standard deviation over seeds ${flags.seeds}.

${table(
  ['encoder', 'measured'],
  [...results].map(([name, values]) => [name, spread(values)]),
)}

Required: matched over plain by 15 points; measured ${spread(gap, 1)}: ${mean(gap) >= 15 ? 'met' : '**not met**'}.

${provenance(`npx tsx bench/systems/pleas.ts --seeds ${flags.seeds}`).join('\n')}`,
)
