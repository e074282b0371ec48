/**
 * Layer swapping on a made-up second language: every token of the merging suite's texts has a twin with an id of its own. A base of four layers sees
 * plain texts and one seventh of twins; a language expert goes on with twins of the same texts, three task experts learn other domains in plain. What
 * counts is each task in the second language. Writes docs/results/layer-swap.md.
 *
 *     npx tsx bench/systems/layer-swap.ts [--data ../shared/data] [--seeds 0,1,2]
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { layerSwap, linear, taskArithmetic } from '../../dist/index.js'
import { miniConfig } from '../../dist/models/index.js'
import { mean, provenance, spread, table, writePage } from '../results-page.ts'
import {
  accuracyOf,
  Features,
  mergeFolders,
  openSuite,
  type Rows,
  readHead,
  readWeights,
  trainInto,
  type Weights,
} from './merge-suite.ts'

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    seeds: { type: 'string', default: '0,1,2' },
    out: { type: 'string', default: 'docs/results/layer-swap.md' },
  },
})
const seeds = flags.seeds.split(',').map(Number)
/** Ids below are special tokens, the same in both languages. */
const special = 5
const layers = 4
const zones = { bottomTransition: 0, topTransition: 0 }
const swaps: [string, Parameters<typeof layerSwap>[0]][] = [
  ['embeddings', { bottom: [{ filter: 'embeddings', value: 1 }, { value: 0 }], top: 0, ...zones }],
  ['embeddings and 1 layer', { bottom: 1, top: 0, ...zones }],
  ['embeddings and 1 layer, 1 transition', { bottom: 1, top: 0, ...zones, bottomTransition: 1 }],
  ['embeddings and 2 layers', { bottom: 2, top: 0, ...zones }],
  ['embeddings and 3 layers', { bottom: 3, top: 0, ...zones }],
  ['embeddings, 2 layers and the top layer', { bottom: 2, top: 1, ...zones }],
]

const results = new Map<string, number[]>()
const note = (name: string, value: number) => {
  results.set(name, [...(results.get(name) ?? []), value])
  console.error(`  ${name}: ${value.toFixed(3)}`)
}

const swapOf = (name: string) => `swap: ${name}`
const validationOf = (name: string) => `swap: ${name}, validation`
const plainOf = (name: string) => `swap: ${name}, plain texts`
const bestSwap = 'the swap that is best on validation'
/** Of each seed, the swap that is best on the tasks' validation texts in twins. */
const chosen: string[] = []

for (const seed of seeds) {
  console.error(`seed ${seed}`)
  const suite = await openSuite({ data: flags.data, seed })
  const vocabulary = suite.config.vocabularySize
  const twin = (ids: Int32Array) => ids.map((id) => (id < special ? id : id + vocabulary))
  const inTwins = ({ tokens, targets }: Rows): Rows => ({ tokens: tokens.map(twin), targets })
  const [tasks, others] = [suite.specialists.slice(0, 3), [...suite.specialists.slice(3), ...suite.heldOut]]
  const offsets = others.map((_, i) => others.slice(0, i).reduce((sum, { labels }) => sum + labels.length, 0))
  const plain: Rows = {
    tokens: others.flatMap(({ train }) => [...train.tokens]),
    targets: Int32Array.from(others.flatMap(({ train }, i) => Array.from(train.targets, (y) => y + offsets[i]!))),
  }
  const twins = inTwins(plain)
  const seventh = (values: ArrayLike<number>) => Array.from(values).filter((_, i) => i % 6 === 0)
  const mixed: Rows = {
    tokens: [...plain.tokens, ...twins.tokens.filter((_, i) => i % 6 === 0)],
    targets: Int32Array.from([...plain.targets, ...seventh(twins.targets)]),
  }
  const config = miniConfig({
    ...{ vocabularySize: 2 * vocabulary, padTokenId: suite.config.padTokenId, layers, hiddenSize: 64, heads: 4 },
    ...{ intermediateSize: 128, maxLength: 32 },
  })
  const folder = join(suite.folder, 'languages')
  const base = join(folder, 'base')
  await trainInto(base, { config }, mixed, { epochs: 5, learningRate: 1e-3, seed })
  const language = join(folder, 'language')
  await trainInto(language, { folder: base }, twins, { epochs: 4, seed })
  const features = await Features.open(config)
  const measured = new Map<string, number[]>()
  for (const task of tasks) {
    const expert = join(folder, task.name)
    await trainInto(expert, { folder: base }, task.train, { epochs: 6, seed, labels: task.labels })
    const head = await readHead(expert)
    const score = async (name: string, weights: Weights, { tokens, targets }: Rows) => {
      const accuracy = accuracyOf(await features.of(weights, tokens), head, targets)
      measured.set(name, [...(measured.get(name) ?? []), accuracy])
    }
    const [foreign, foreignValidation] = [inTwins(task.test), inTwins(task.validation)]
    const own = await readWeights(expert)
    await score('task expert, plain texts', own, task.test)
    await score('task expert', own, foreign)
    await score('language expert with the task head', await readWeights(language), foreign)
    await score('average of both', await mergeFolders(linear(), [language, expert], {}), foreign)
    await score('sum of changes', await mergeFolders(taskArithmetic(), [language, expert], { base }), foreign)
    for (const [name, options] of swaps) {
      const swapped = await mergeFolders(layerSwap(options), [language], { base: expert })
      await score(swapOf(name), swapped, foreign)
      await score(validationOf(name), swapped, foreignValidation)
      await score(plainOf(name), swapped, task.test)
    }
  }
  for (const [name, values] of measured) note(name, mean(values))
  const scoreOnValidation = (name: string) => results.get(validationOf(name))!.at(-1)!
  const found = swaps.map(([name]) => name).reduce((a, b) => (scoreOnValidation(b) > scoreOnValidation(a) ? b : a))
  chosen.push(found)
  note(bestSwap, results.get(swapOf(found))!.at(-1)!)
  note(`${bestSwap}, plain texts`, results.get(plainOf(found))!.at(-1)!)
  await features.close()
  await suite.close()
}

const of = (name: string) => results.get(name)!
const gap = (other: string) => of(bestSwap).map((value, i) => 100 * (value - of(other)[i]!))
const verdicts = [
  ['over the task expert: 6', spread(gap('task expert'), 1), mean(gap('task expert')) >= 6 ? 'yes' : '**no**'],
  ['over the average: 3', spread(gap('average of both'), 1), mean(gap('average of both')) >= 3 ? 'yes' : '**no**'],
]
await writePage(
  flags.out,
  `# Layer swapping

A second language made of the first: each token has a twin. Base: ${layers} layers x 64, trained on five domains of CLINC150 in plain and a seventh of twins; the language
expert goes on with twins of the same texts, three task experts (15 intents each) with plain texts. Accuracy on the tasks' tests in twins unless said; mean ±
standard deviation over seeds ${flags.seeds}.

${table(
  ['encoder', 'accuracy'],
  [...results]
    .filter(([name]) => !name.endsWith('validation') && !(name.startsWith('swap') && name.endsWith('plain texts')))
    .concat([[bestSwap, of(bestSwap)]])
    .map(([name, values]) => [name, spread(values)]),
)}

Chosen on validation: ${chosen.join('; ')}. Of it, in points:

${table(['requirement', 'measured', 'met'], verdicts)}

${provenance(`npx tsx bench/systems/layer-swap.ts --seeds ${flags.seeds}`).join('\n')}`,
)
