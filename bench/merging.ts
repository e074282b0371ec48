/**
 * Merging fine-tuned classifiers, measured: individual models, a multi-task model, every merge of all specialists of a zoo with the specialists' own
 * heads, and the same merges after FT-Classifier; and how far merged features are from what the heads were trained on. Everything is cached, so that
 * a run that is cut short goes on. Writes docs/results/merging.md, or merging-SIZE.md for other zoos than MiniLM.
 *
 *     nice -n 10 npx tsx bench/merging.ts [--size minilm|small|tiny] [--seeds 0,1,2] [--shot-seeds 0] [--tune] [--multi-task 0,1] [--methods average,ties,...] [--test 150]
 */
import { parseArgs } from 'node:util'
import { type Candidate, candidates } from './merging/candidates.ts'
import type { Outcome } from './merging/measure.ts'
import { mergingPage } from './merging/page.ts'
import { Study } from './merging/study.ts'
import { mean, writePage } from './results-page.ts'
import type { ZooSize } from './zoo/zoo.ts'

const { values: flags } = parseArgs({
  options: {
    size: { type: 'string', default: 'minilm' },
    seeds: { type: 'string', default: '0' },
    'shot-seeds': { type: 'string', default: '0,1,2' },
    shots: { type: 'string', default: '10' },
    curve: { type: 'string', default: '1,2,5,10,25' },
    methods: { type: 'string' },
    test: { type: 'string', default: '150' },
    tune: { type: 'boolean', default: false },
    'multi-task': { type: 'string', default: '' },
    data: { type: 'string', default: '../shared/data' },
    cache: { type: 'string', default: 'bench/.cache' },
    out: { type: 'string' },
  },
})
const size = flags.size as ZooSize
const numbers = (list: string) => list.split(',').map(Number)
const started = performance.now()
const say = (text: string) => console.error(`${((performance.now() - started) / 1000).toFixed(0)} s  ${text}`)
const shared = {
  size,
  test: Number(flags.test),
  shots: Number(flags.shots),
  shotSeeds: numbers(flags['shot-seeds']),
  tune: flags.tune,
}
const { size: _, ...typed } = flags
const command = `npx tsx bench/merging.ts --size ${size}${Object.entries(typed)
  .filter(([name]) => ['seeds', 'shot-seeds', 'methods', 'test', 'tune', 'multi-task'].includes(name))
  .map(([name, value]) =>
    value === true ? ` --${name}` : value === false || value === '' ? '' : ` --${name} ${value}`,
  )
  .join('')}`

const studies: Study[] = []
for (const seed of numbers(flags.seeds))
  studies.push(await Study.open(seed, { ...shared, data: flags.data, cache: flags.cache, say }))

const joint = flags['multi-task'] === '' ? [] : numbers(flags['multi-task'])
for (const study of studies.filter(({ zoo }) => joint.includes(zoo.seed))) await study.openMultiTask()

const wanted = flags.methods?.split(',')
const outcomes = new Map<Candidate, Outcome[]>()
let curve: Parameters<typeof mergingPage>[0]['curve']
const publish = () =>
  writePage(
    flags.out ?? `docs/results/${size === 'minilm' ? 'merging' : `merging-${size}`}.md`,
    mergingPage({ ...shared, studies, outcomes, curve, command }),
  )

for (const candidate of candidates.filter(({ name }) => wanted?.includes(name) ?? true)) {
  const found: Outcome[] = []
  for (const study of studies) {
    found.push(await study.run(candidate))
    const { lambda, own, trained } = found.at(-1)!
    const fitted = mean(trained.map(mean)).toFixed(3)
    say(
      `${candidate.name} (${lambda ?? '-'}), seed ${study.zoo.seed}: own heads ${mean(own).toFixed(3)}, fitted ${fitted}`,
    )
  }
  outcomes.set(candidate, found)
  await publish()
}

const dataFree = [...outcomes].filter(([{ family }]) => family !== 'with data' && family !== 'per task')
const score = ([, found]: (typeof dataFree)[number]) => mean(found.map(({ own }) => mean(own)))
const best = dataFree.sort((a, b) => score(b) - score(a))[0]
if (best) {
  const [candidate, found] = best
  const values = new Map<number, number[]>()
  for (const shots of numbers(flags.curve)) {
    const accuracies: number[] = []
    for (const [s, study] of studies.entries())
      for (const seed of shared.shotSeeds)
        accuracies.push(mean(await study.curve(candidate, found[s]!.lambda, shots, seed)))
    values.set(shots, accuracies)
    say(`${candidate.name}, ${shots} shots: ${mean(accuracies).toFixed(3)}`)
    curve = { method: candidate.name, values }
    await publish()
  }
}
