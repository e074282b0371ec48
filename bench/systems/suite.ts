/**
 * What the benchmarks of merge methods share: arms measured on the merging suite, seed by seed, with their scale or setting chosen on validation
 * texts; what is measured is kept in bench/.cache until the merge code or the script changes; tables and verdicts.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { linear, type MergeMethod } from '../../dist/index.js'
import { mean, provenance, spread, table, writePage } from '../results-page.ts'
import { type MergeSuite, openSuite, readHead, readWeights, type Specialist, trainInto } from './merge-suite.ts'

/** A method measured as it stands and, where a grid is given, with what it changed scaled by the best λ on validation. */
export interface Arm {
  readonly name: string
  readonly method: MergeMethod
  readonly grid?: readonly number[]
}

/** Settings of one method; the one that is best on validation counts. */
export interface Choice {
  readonly name: string
  readonly settings: readonly (readonly [label: string, method: MergeMethod])[]
}

/** That the mean of the differences of two measurements reaches a number of points. */
export type Requirement = readonly [method: string, text: string, a: string, b: string, points: number]

export const one = (name: string) => `${name} λ1`
export const best = (name: string) => `${name} λ*`
export const chosen = (name: string) => `${name} chosen`

/** Measurements of one seed by name; each is made once. */
export class Measurements {
  readonly values: Record<string, number>
  private readonly file: string

  constructor(file: string) {
    this.file = file
    this.values = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, number>) : {}
  }

  /** Measures these names unless they are known. */
  async once(names: readonly string[], measure: () => Promise<readonly number[]>): Promise<void> {
    if (names.every((name) => name in this.values)) return
    for (const [i, value] of (await measure()).entries()) {
      this.values[names[i]!] = value
      console.error(`  ${names[i]}: ${value.toFixed(3)}`)
    }
    writeFileSync(this.file, JSON.stringify(this.values))
  }
}

/** The specialists, the base and the average. */
export async function measureEncoders(suite: MergeSuite, known: Measurements): Promise<void> {
  await known.once(['specialists', 'base', 'average'], async () => {
    const weights = await Promise.all(suite.specialists.map(({ folder }) => readWeights(folder)))
    return [
      mean(await suite.accuraciesFor((_, index) => weights[index]!)),
      await suite.accuracy(suite.base),
      await suite.accuracy(await suite.merge(linear(), undefined, { base: false })),
    ]
  })
}

export async function measureArms(suite: MergeSuite, known: Measurements, arms: readonly Arm[]): Promise<void> {
  for (const { name, method, grid } of arms)
    await known.once(grid ? [one(name), best(name), chosen(name)] : [one(name)], async () => {
      const merged = await suite.merge(method)
      const accuracy = await suite.accuracy(merged)
      if (!grid) return [accuracy]
      const { lambda, weights } = await suite.chooseLambda(merged, grid)
      return [accuracy, await suite.accuracy(weights), lambda]
    })
}

export async function measureChoices(
  suite: MergeSuite,
  known: Measurements,
  choices: readonly Choice[],
): Promise<void> {
  for (const { name, settings } of choices)
    await known.once([one(name), chosen(name)], async () => {
      let found = { accuracy: -1, test: 0, index: -1 }
      for (const [index, [, method]] of settings.entries()) {
        const merged = await suite.merge(method)
        const accuracy = await suite.accuracy(merged, 'validation')
        if (accuracy > found.accuracy) found = { accuracy, index, test: await suite.accuracy(merged) }
      }
      return [found.test, found.index]
    })
}

/** The suite's specialists with the first one trained three times as long at four times the rate. */
export async function unequalTasks(suite: MergeSuite): Promise<Specialist[]> {
  const [first, ...others] = suite.specialists
  const folder = join(suite.folder, `${first!.name}-long`)
  await trainInto(folder, { folder: suite.baseFolder }, first!.train, {
    ...{ epochs: 18, learningRate: 4e-3, seed: suite.seed, copyFrom: suite.baseFolder, labels: first!.labels },
  })
  return [{ ...first!, folder, head: await readHead(folder) }, ...others]
}

/** How many times as large the first specialist's change is as the others' on the mean. */
export async function changeRatio(suite: MergeSuite, tasks: readonly Specialist[]): Promise<number> {
  const norms: number[] = []
  for (const { folder } of tasks) {
    let square = 0
    for (const [name, values] of await readWeights(folder))
      for (const [i, value] of values.entries()) square += (value - suite.base.get(name)![i]!) ** 2
    norms.push(Math.sqrt(square))
  }
  return norms[0]! / mean(norms.slice(1))
}

/** What is measured over all seeds. */
export class Results {
  private readonly seeds: readonly Measurements[]

  constructor(seeds: readonly Measurements[]) {
    this.seeds = seeds
  }

  has(name: string): boolean {
    return this.seeds.every(({ values }) => name in values)
  }

  of(name: string): number[] {
    return this.seeds.map(({ values }) => values[name]!)
  }

  /** `0.612 ± 0.005`; empty where it was not measured. */
  spread(name: string, digits = 3): string {
    return this.has(name) ? spread(this.of(name), digits) : ''
  }

  /** Differences in points, seed by seed. */
  points(a: string, b: string): number[] {
    const others = this.of(b)
    return this.of(a).map((value, i) => 100 * (value - others[i]!))
  }

  encoders(): string {
    const names = ['specialists', 'base', 'average']
    return table(
      ['encoder', 'accuracy'],
      names.map((name) => [name === 'specialists' ? 'specialists, each on its task' : name, this.spread(name)]),
    )
  }

  arms(arms: readonly Arm[], choices: readonly Choice[] = []): string {
    return table(
      ['merge', 'λ 1', 'best λ', 'chosen'],
      [
        ...arms.map(({ name }) => [
          name,
          this.spread(one(name)),
          this.spread(best(name)),
          this.has(chosen(name)) ? this.of(chosen(name)).join(', ') : '',
        ]),
        ...choices.map(({ name, settings }) => [
          name,
          this.spread(one(name)),
          '',
          this.of(chosen(name))
            .map((index) => settings[index]![0])
            .join(', '),
        ]),
      ],
    )
  }

  /** Rows of method, requirement, what was measured, and whether it is met; of what was not measured none. */
  verdicts(requirements: readonly Requirement[]): string[][] {
    return requirements
      .filter(([, , a, b]) => this.has(a) && this.has(b))
      .map(([method, text, a, b, least]) => {
        const values = this.points(a, b)
        return [method, text, spread(values, 1), mean(values) >= least ? 'yes' : '**no**']
      })
  }
}

export const verdictTable = (rows: readonly string[][]): string =>
  table(['method', 'requirement', 'measured', 'met'], rows)

export interface Bench {
  /** Of the script and of its page: `merge-methods`. */
  readonly name: string
  /** Sections that --arms can leave out. */
  readonly sections?: readonly string[]
  measure(suite: MergeSuite, known: Measurements, sections: readonly string[]): Promise<void>
  page(results: Results, seeds: string, sections: readonly string[]): string
}

/** Measures every seed and writes the page. */
export async function runBench({ name, sections = [], measure, page }: Bench): Promise<void> {
  const { values: flags } = parseArgs({
    options: {
      data: { type: 'string', default: '../shared/data' },
      seeds: { type: 'string', default: '0,1,2' },
      arms: { type: 'string', default: sections.join(',') },
      out: { type: 'string', default: `docs/results/${name}.md` },
    },
  })
  const wanted = flags.arms.split(',')
  const folder = join('bench/.cache', name)
  mkdirSync(folder, { recursive: true })
  const version = versionOf(name)
  const measured: Measurements[] = []
  for (const seed of flags.seeds.split(',').map(Number)) {
    console.error(`seed ${seed}`)
    const suite = await openSuite({ data: flags.data, seed })
    const known = new Measurements(join(folder, `${seed}-${version}.json`))
    await measure(suite, known, wanted)
    measured.push(known)
    await suite.close()
  }
  const command = `npx tsx bench/systems/${name}.ts --seeds ${flags.seeds}${sections.length > 0 ? ` --arms ${flags.arms}` : ''}`
  await writePage(flags.out, `${page(new Results(measured), flags.seeds, wanted)}\n\n${provenance(command).join('\n')}`)
}

/** Changes with the built merge code, the linear algebra and the scripts. */
function versionOf(name: string): string {
  const hash = createHash('sha256')
  for (const folder of ['dist/merge', 'dist/tensor'])
    for (const file of (readdirSync(folder, { recursive: true }) as string[]).sort())
      if (/\.(js|wasm)$/.test(file)) hash.update(readFileSync(join(folder, file)))
  for (const script of [name, 'suite', 'merge-suite']) hash.update(readFileSync(`bench/systems/${script}.ts`))
  return hash.digest('hex').slice(0, 8)
}
