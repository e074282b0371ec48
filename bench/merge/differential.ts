/**
 * Differential test against mergekit: random recipes over small random models, merged by both. In mergekit's arithmetic (--strict-mergekit)
 * ours is compared with mergekit bit by bit; in the default mode both are compared with mergekit computing in float64.
 *
 * npx tsx bench/merge/differential.ts [--cases 240] [--seed 0] [--write]
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { openCheckpoint } from '../../src/checkpoint/checkpoint.ts'
import { mergeRecipe } from '../../src/merge/merge.ts'
import { isVocabulary } from '../../src/merge/plan/tensor-names.ts'
import { type Dtype, toFloat64 } from '../../src/tensor/dtypes.ts'
import { provenance, table, writePage } from '../results-page.ts'
import { TestModels } from './differential-models.ts'
import { type Case, makeCase, methodNames } from './differential-recipes.ts'

const { values: flags } = parseArgs({
  options: {
    cases: { type: 'string', default: '240' },
    seed: { type: 'string', default: '0' },
    only: { type: 'string' },
    write: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  },
})
const cases = Number(flags.cases)
const folder = mkdtempSync(join(tmpdir(), 'espalier-differential-'))

interface Tensor {
  readonly dtype: Dtype
  readonly shape: readonly number[]
  readonly values: Float64Array
}

interface Output {
  readonly tensors: ReadonlyMap<string, Tensor>
  /** Ids of tokens. */
  readonly tokens: ReadonlyMap<string, number>
}

async function readOutput(path: string): Promise<Output> {
  const checkpoint = await openCheckpoint(path)
  const tensors = new Map<string, Tensor>()
  for (const [name, { dtype, shape }] of checkpoint.tensors)
    tensors.set(name, { dtype, shape, values: toFloat64(await checkpoint.read(name), dtype) })
  await checkpoint.close()
  let tokens = new Map<string, number>()
  try {
    const json = JSON.parse(readFileSync(join(path, 'tokenizer.json'), 'utf8'))
    tokens = new Map(Object.entries(json.model.vocab as Record<string, number>))
    for (const { content, id } of json.added_tokens) tokens.set(content, id)
  } catch {
    // mergekit writes a tokenizer only where the recipe has one
  }
  return { tensors, tokens }
}

/** Pairs of values of one tensor in two outputs: embeddings are matched by token, rows that only pad follow if `padding`. */
function* pairs(name: string, a: Output, b: Output, padding: boolean): Generator<[number, number]> {
  const [x, y] = [a.tensors.get(name)!, b.tensors.get(name)!]
  if (b.tokens.size === 0 || !isVocabulary(name.replace('bert.', ''))) {
    for (let i = 0; i < y.values.length; i++) yield [x.values[i]!, y.values[i]!]
    return
  }
  const columns = y.values.length / y.shape[0]!
  const rows = [...b.tokens].map(([token, id]) => [a.tokens.get(token) ?? -1, id] as const)
  if (padding) for (let id = b.tokens.size; id < y.shape[0]!; id++) rows.push([id, id])
  for (const [from, to] of rows)
    for (let i = 0; i < columns; i++) yield [x.values[from * columns + i] ?? Number.NaN, y.values[to * columns + i]!]
}

const mantissas: Partial<Record<Dtype, [bits: number, least: number]>> = {
  F64: [52, -1022],
  F32: [23, -126],
  BF16: [7, -126],
  F16: [10, -14],
}

/** One unit in the last place of a dtype at a value. */
function unit(value: number, dtype: Dtype): number {
  const [mantissa, least] = mantissas[dtype]!
  return 2 ** (Math.max(least, Math.floor(Math.log2(Math.max(Math.abs(value), 2 ** least)))) - mantissa)
}

const distance = (value: number, reference: number, dtype: Dtype): number =>
  Math.abs(value - reference) / unit(reference, dtype)

function runPeer(list: readonly Record<string, unknown>[]): Map<string, { error?: string }> {
  const file = join(folder, 'cases.jsonl')
  writeFileSync(file, list.map((entry) => JSON.stringify(entry)).join('\n'))
  const { stdout, stderr } = spawnSync(
    resolve('bench/peers/venv/bin/python'),
    [resolve('bench/peers/mergekit_runner.py'), file],
    { encoding: 'utf8', maxBuffer: 1 << 28, env: { ...process.env, THREADS: '1' } },
  )
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'))
  if (lines.length < list.length) console.error(stderr.slice(-2000))
  return new Map(lines.map((line) => JSON.parse(line)).map((result) => [result.out, result]))
}

interface Comparison {
  elements: number
  /** Elements that differ at all, and by more than one unit. */
  different: number
  far: number
  most: number
}

function compare(ours: Output, peer: Output, padding: boolean, dtype?: Dtype): Comparison | string {
  const result: Comparison = { elements: 0, different: 0, far: 0, most: 0 }
  for (const [name, { dtype: own, shape }] of peer.tensors) {
    const mine = ours.tensors.get(name)
    if (!mine) return `${name} is missing`
    if (mine.shape.join() !== shape.join()) return `${name} has shape [${mine.shape}], not [${shape}]`
    if (!dtype && mine.dtype !== own) return `${name} is ${mine.dtype}, not ${own}`
    for (const [x, y] of pairs(name, ours, peer, padding)) {
      result.elements++
      if (x === y) continue
      const d = distance(x, y, dtype ?? own)
      result.different++
      if (!(d <= 1)) result.far++
      result.most = Math.max(result.most, Number.isNaN(d) ? Number.POSITIVE_INFINITY : d)
    }
  }
  return ours.tensors.size === peer.tensors.size ? result : 'the tensors are not the same'
}

interface Outcome {
  readonly test: Case
  fault?: string
  /** Ours in mergekit's arithmetic against mergekit with exact long sums, and against it as it is. */
  strict?: Comparison
  plain?: Comparison
  /** Distances from the float64 reference in units of the output's dtype. */
  ours?: Comparison
  theirs?: Comparison
}

async function judge(test: Case, peer: ReadonlyMap<string, { error?: string }>): Promise<Outcome> {
  const names = ['exact', 'plain', ...(test.strictOnly ? [] : ['f64'])].map((mode) => `${test.out}-${mode}`)
  const refused = names.map((name) => peer.get(name)?.error ?? (peer.has(name) ? undefined : 'no result')).find(Boolean)
  if (refused) return { test, fault: `mergekit: ${refused}` }
  const [exact, plain, reference] = await Promise.all(names.map(readOutput))
  const options = { seed: test.seed, threads: 1 }
  const outcome: Outcome = { test }
  try {
    await mergeRecipe(test.recipe, `${test.out}-strict`, { ...options, strictMergekit: true })
    if (!test.strictOnly) await mergeRecipe(test.recipe, test.out, options)
  } catch (error) {
    return { test, fault: `ours: ${(error as Error).message}` }
  }
  const take = (found: Comparison | string): Comparison | undefined => {
    if (typeof found !== 'string') return found
    outcome.fault ??= found
    return undefined
  }
  const strict = await readOutput(`${test.out}-strict`)
  const kept = (found: Comparison | undefined, key: 'strict' | 'plain' | 'ours' | 'theirs') => {
    if (found) outcome[key] = found
  }
  kept(take(compare(strict, exact!, true)), 'strict')
  kept(take(compare(strict, plain!, true)), 'plain')
  if (reference) {
    const ours = await readOutput(test.out)
    const dtype = [...ours.tensors.values()][0]!.dtype
    kept(take(compare(ours, reference, false, dtype)), 'ours')
    kept(take(compare(plain!, reference, false, dtype)), 'theirs')
  }
  return outcome
}

const all: Case[] = []
const models = new TestModels(folder)
for (let index = 0; index < cases; index++) {
  const test = await makeCase(index, Number(flags.seed), folder, models)
  if (flags.only === undefined || test.name.includes(flags.only)) all.push(test)
}
console.error(`${all.length} recipes over ${models.count} models and adapters`)
const peer = runPeer(
  all.flatMap(({ recipe, out, seed, strictOnly }) => [
    { recipe, out: `${out}-plain`, seed },
    { recipe, out: `${out}-exact`, seed, mode: 'exact' },
    ...(strictOnly
      ? []
      : [{ recipe, out: `${out}-f64`, seed, mode: 'reference', override: { dtype: 'float64', out_dtype: 'float64' } }]),
  ]),
)
console.error('mergekit is done')
const outcomes: Outcome[] = []
for (const test of all) outcomes.push(await judge(test, peer))

const rounded = 0.5 + 1e-6
/** As close as a correct rounding, or at least as close as mergekit. */
const close = ({ ours, theirs }: Outcome): boolean => !ours || ours.most <= rounded || ours.most <= theirs!.most

type Key = 'strict' | 'plain' | 'ours' | 'theirs'
const most = (list: readonly Outcome[], key: Key): string => {
  const value = Math.max(0, ...list.map((outcome) => outcome[key]?.most ?? 0))
  return value >= 1000 ? value.toExponential(1) : value.toFixed(value < 10 ? 2 : 0)
}
const total = (list: readonly Outcome[], key: Key, field: keyof Comparison): number =>
  list.reduce((sum, outcome) => sum + (outcome[key]?.[field] ?? 0), 0)
const percent = (part: number, whole: number): string => (whole === 0 ? '' : `${((100 * part) / whole).toFixed(3)} %`)

const rows = methodNames.flatMap((method) => {
  const mine = outcomes.filter(({ test }) => test.method === method)
  if (mine.length === 0) return []
  const plain = total(mine, 'plain', 'elements')
  return [
    [
      method,
      String(mine.length),
      String(mine.filter(({ fault }) => fault).length),
      most(mine, 'strict'),
      percent(plain - total(mine, 'plain', 'different'), plain),
      percent(plain - total(mine, 'plain', 'far'), plain),
      most(mine, 'ours'),
      most(mine, 'theirs'),
      `${mine.filter(close).length} of ${mine.length}`,
    ],
  ]
})
const features = new Map<string, number>()
for (const { test } of outcomes)
  for (const feature of test.features) features.set(feature, (features.get(feature) ?? 0) + 1)
const listed = (title: string, list: readonly string[]) => (list.length === 0 ? [] : [title, '', ...list, ''])
const page = [
  '# Merging: differential test against mergekit',
  '',
  `${outcomes.length} random recipes over small random models (a BERT and a decoder of width 16; float32, bfloat16, float16), merged by`,
  "mergekit 0.1.5 and by Espalier twice: in mergekit's arithmetic (`--strict-mergekit`) and in the default mode. Distances are in units in",
  "the last place of the output's dtype, at the value compared with.",
  '',
  `Recipes with: ${[...features]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')}.`,
  '',
  `- strict, within one unit of mergekit: **${outcomes.filter(({ strict }) => strict && strict.most <= 1).length} of ${outcomes.length}**, with bit-identical tensors ${outcomes.filter(({ strict }) => strict?.different === 0).length}`,
  `- default, as close to the float64 reference as a correct rounding or as mergekit: **${outcomes.filter((outcome) => outcome.ours && close(outcome)).length} of ${outcomes.filter(({ test }) => !test.strictOnly).length}**`,
  '',
  table(
    [
      'method',
      'recipes',
      'faults',
      'strict: largest distance',
      'equal to plain mergekit',
      'within 1 of it',
      'default: largest distance',
      "mergekit's",
      'as close or closer',
    ],
    rows,
  ),
  '',
  '*Strict* compares with mergekit whose random masks are ours, whose sorts are stable, and whose sums over more than four elements, norms,',
  'products and transcendental functions are computed in float64 and rounded once: in torch they depend on the processor and its threads.',
  '*Plain mergekit* has only the masks and the stable sorts; what differs there comes from the order of its sums.',
  '*Default* compares with mergekit run in float64. Rows that only pad an embedding are left out there (see docs/mergekit.md); recipes in',
  'which mergekit merges the base as one more model are compared in strict mode only.',
  '',
  ...listed(
    'Recipes farther than one unit in strict mode:',
    outcomes
      .filter(({ strict }) => strict && !(strict.most <= 1))
      .map(
        ({ test, strict }) =>
          `- ${test.name} (${test.seed}): ${strict!.most.toFixed(1)} units, ${strict!.far} of ${strict!.elements} elements`,
      ),
  ),
  ...listed(
    'Recipes in which the default mode is farther from the reference than mergekit:',
    outcomes
      .filter((outcome) => !close(outcome))
      .map(
        ({ test, ours, theirs }) =>
          `- ${test.name} (${test.seed}): ${ours!.most.toFixed(2)} units, mergekit ${theirs!.most.toFixed(2)}`,
      ),
  ),
  ...listed(
    'Recipes that one side refused, or whose outputs are not alike:',
    outcomes.flatMap(({ test, fault }) => (fault ? [`- ${test.name} (${test.seed}): ${fault}`] : [])),
  ),
  ...provenance(`npx tsx bench/merge/differential.ts --cases ${cases} --seed ${flags.seed}`),
].join('\n')
console.log(page)
if (flags.write) await writePage('docs/results/merge-differential.md', page)
if (flags.keep) console.error(folder)
else rmSync(folder, { recursive: true, force: true })
