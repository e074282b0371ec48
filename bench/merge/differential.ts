/**
 * Differential test against mergekit: random recipes over small random models, merged by both. The reference is mergekit computing in
 * float64; ours is compared with it in units in the last place of the output's dtype, and so is mergekit in its own working dtype.
 *
 * npx tsx bench/merge/differential.ts [--cases 210] [--seed 0] [--write]
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { openCheckpoint } from '../../src/checkpoint/checkpoint.ts'
import { writeCheckpoint } from '../../src/checkpoint/write-checkpoint.ts'
import { mergeRecipe } from '../../src/merge/merge.ts'
import { type Dtype, fromFloat64, toFloat64 } from '../../src/tensor/dtypes.ts'
import { random } from '../../src/tensor/random.ts'
import { bert, decoder, type ModelSize } from './make-models.ts'

const { values: flags } = parseArgs({
  options: {
    cases: { type: 'string', default: '210' },
    seed: { type: 'string', default: '0' },
    write: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  },
})
const cases = Number(flags.cases)
const folder = mkdtempSync(join(tmpdir(), 'espalier-differential-'))
const python = resolve('bench/peers/venv/bin/python')
const runner = resolve('bench/peers/mergekit_runner.py')

const sizes: Record<string, ModelSize> = {
  bert: bert({ layers: 3, h: 16, vocabulary: 50, positions: 20, name: 'bert' }),
  decoder: decoder({ layers: 4, h: 16, wide: 40, kv: 8, vocabulary: 64, tied: false }),
}

/** A base and three fine-tunes of a size in a dtype; made once. */
const made = new Map<string, string[]>()
async function models(kind: string, dtype: Dtype): Promise<string[]> {
  const key = `${kind}-${dtype}`
  const found = made.get(key)
  if (found) return found
  const size = sizes[kind]!
  const folders: string[] = []
  for (let model = 0; model < 4; model++) {
    const path = join(folder, `${key}-${model}`)
    await writeCheckpoint(path, {
      config: size.config,
      tensors: size.shapes.map(([name, shape]) => {
        const [origin, change] = [random(kind, name), random(kind, name, model)]
        const values = Float64Array.from(
          { length: shape.reduce((product, n) => product * n, 1) },
          (_, i) => 0.05 * origin.normal(i) + (model === 0 ? 0 : 0.01 * change.normal(i)),
        )
        return { name, dtype, shape, data: fromFloat64(values, dtype) }
      }),
    })
    folders.push(path)
  }
  made.set(key, folders)
  return folders
}

interface Case {
  name: string
  method: string
  recipe: string
  out: string
  seed: number
  dtype: Dtype
}

const needs: Record<string, { base: boolean; models: number; options: string[] }> = {
  linear: { base: false, models: 3, options: ['weight', 'normalize'] },
  slerp: { base: true, models: 1, options: ['t'] },
  nuslerp: { base: false, models: 2, options: ['weight', 'nuslerp_flatten', 'nuslerp_row_wise'] },
  multislerp: { base: true, models: 3, options: ['weight', 'normalize_weights'] },
  karcher: { base: false, models: 3, options: ['max_iter'] },
  task_arithmetic: { base: true, models: 3, options: ['weight', 'lambda', 'normalize'] },
  ties: { base: true, models: 3, options: ['weight', 'density', 'lambda', 'normalize', 'int8_mask'] },
  dare_linear: { base: true, models: 3, options: ['weight', 'density', 'lambda', 'rescale'] },
  dare_ties: { base: true, models: 3, options: ['weight', 'density', 'normalize', 'rescale'] },
  della: { base: true, models: 3, options: ['weight', 'della_density', 'lambda'] },
  della_linear: { base: true, models: 3, options: ['weight', 'della_density', 'rescale'] },
  breadcrumbs: { base: true, models: 3, options: ['weight', 'density', 'gamma', 'lambda'] },
  breadcrumbs_ties: { base: true, models: 3, options: ['weight', 'density', 'gamma'] },
  model_stock: { base: true, models: 3, options: ['filter_wise'] },
  nearswap: { base: true, models: 1, options: ['near'] },
  arcee_fusion: { base: true, models: 1, options: [] },
  sce: { base: true, models: 3, options: ['select_topk'] },
  ram: { base: true, models: 3, options: [] },
  ramplus_tl: { base: true, models: 3, options: ['r'] },
  passthrough: { base: false, models: 1, options: ['scale'] },
}

async function makeCase(index: number): Promise<Case> {
  const r = random(Number(flags.seed), 'case', index)
  let drawn = 0
  const uniform = () => r.uniform(drawn++)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(uniform() * list.length)]!
  const number = (low: number, high: number) => Number((low + uniform() * (high - low)).toFixed(3))
  const names = Object.keys(needs)
  const method = names[index % names.length]!
  const { base, models: count, options } = needs[method]!
  const kind = pick(['bert', 'decoder'])
  const dtype = pick<Dtype>(['F32', 'BF16', 'F16'])
  const [origin, ...tuned] = await models(kind, dtype)
  /** A number as a scalar, a gradient, or by name filters. */
  const setting = (low: number, high: number): unknown => {
    const form = pick(['scalar', 'scalar', 'gradient', 'filters'])
    if (form === 'scalar') return number(low, high)
    if (form === 'gradient') return Array.from({ length: pick([2, 3, 5]) }, () => number(low, high))
    const filter = pick(['attn', 'attention', 'mlp', 'layers.1', 'dense', 'embed', 'norm'])
    return [
      { filter, value: pick([number(low, high), [number(low, high), number(low, high)]]) },
      { value: number(low, high) },
    ]
  }
  const shared: Record<string, unknown> = {}
  const perModel: (() => Record<string, unknown>)[] = []
  for (const option of options) {
    if (option === 'weight') perModel.push(() => ({ weight: setting(0.1, 1) }))
    else if (option === 'density') perModel.push(() => ({ density: setting(0.1, 1) }))
    else if (option === 'della_density')
      perModel.push(() => ({ density: setting(0.3, 0.7), epsilon: number(0.05, 0.25) }))
    else if (option === 'gamma') perModel.push(() => ({ gamma: setting(0, 0.2) }))
    else if (option === 'scale') perModel.push(() => ({ scale: setting(0.5, 1.5) }))
    else if (option === 't') shared['t'] = setting(0, 1)
    else if (option === 'near') shared['t'] = setting(0.001, 0.01)
    else if (option === 'lambda') shared['lambda'] = setting(0.3, 1.2)
    else if (option === 'select_topk') shared['select_topk'] = setting(0.2, 1)
    else if (option === 'r') shared['r'] = number(0, 0.5)
    else if (option === 'max_iter') shared['max_iter'] = pick([1, 5, 10])
    else shared[option] = pick([true, false])
  }
  if (shared['nuslerp_flatten'] === false) delete shared['nuslerp_row_wise']
  const entries = tuned.slice(0, count).map((model) => ({
    model,
    ...(perModel.length > 0 ? { parameters: Object.assign({}, ...perModel.map((make) => make())) } : {}),
  }))
  const recipe: Record<string, unknown> = { merge_method: method, ...(base ? { base_model: origin } : {}) }
  const layers = kind === 'bert' ? 3 : 4
  const sliced = uniform() < 0.3
  if (sliced) {
    const sources = (range: number[]) =>
      [...(base ? [{ model: origin }] : []), ...entries].map((entry) => ({ ...entry, layer_range: range }))
    const cut = 1 + Math.floor(uniform() * (layers - 1))
    recipe['slices'] = [{ sources: sources([0, cut]) }, { sources: sources([cut - 1, layers]) }]
  } else recipe['models'] = entries
  if (Object.keys(shared).length > 0) recipe['parameters'] = shared
  const outDtype = pick([undefined, undefined, 'float32', 'bfloat16', 'float16'] as const)
  if (outDtype) recipe[pick(['dtype', 'out_dtype'])] = outDtype
  const file = join(folder, `case-${index}.yml`)
  writeFileSync(file, JSON.stringify(recipe, null, 1)) // JSON is YAML
  const written = { float32: 'F32', bfloat16: 'BF16', float16: 'F16' } as const
  return {
    name: `${method} ${kind} ${dtype}${outDtype ? ` to ${outDtype}` : ''}${sliced ? ' sliced' : ''}`,
    method,
    recipe: file,
    out: join(folder, `out-${index}`),
    seed: index,
    dtype: outDtype ? written[outDtype] : dtype,
  }
}

/** The distance of two values in units in the last place of a dtype at the reference. */
function units(value: number, reference: number, dtype: Dtype): number {
  const mantissa = dtype === 'F32' ? 23 : dtype === 'BF16' ? 7 : 10
  const least = dtype === 'F16' ? -14 : -126
  const exponent = Math.max(least, Math.floor(Math.log2(Math.max(Math.abs(reference), 2 ** least))))
  return Math.abs(value - reference) / 2 ** (exponent - mantissa)
}

async function tensorsOf(path: string): Promise<Map<string, Float64Array>> {
  const checkpoint = await openCheckpoint(path)
  const tensors = new Map<string, Float64Array>()
  for (const [name, { dtype }] of checkpoint.tensors) tensors.set(name, toFloat64(await checkpoint.read(name), dtype))
  await checkpoint.close()
  return tensors
}

function runPeer(list: readonly Record<string, unknown>[]): Map<string, { error?: string; seconds?: number }> {
  const file = join(folder, 'cases.jsonl')
  writeFileSync(file, list.map((entry) => JSON.stringify(entry)).join('\n'))
  const { stdout, stderr } = spawnSync(python, [runner, file], { encoding: 'utf8', maxBuffer: 1 << 28 })
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'))
  if (lines.length < list.length) console.error(stderr.slice(-2000))
  return new Map(lines.map((line) => JSON.parse(line)).map((result) => [result.out, result]))
}

const all: Case[] = []
for (let index = 0; index < cases; index++) all.push(await makeCase(index))
console.error(`${cases} recipes over ${made.size * 4} models`)
const peer = runPeer(
  all.flatMap(({ recipe, out, seed }) => [
    { recipe, out: `${out}-peer`, seed },
    { recipe, out: `${out}-f64`, seed, override: { dtype: 'float64', out_dtype: 'float64' } },
  ]),
)
interface Outcome {
  test: Case
  fault?: string
  /** Largest distances from the float64 reference, in units in the last place, and shares of elements farther than one half. */
  ours: number
  theirs: number
  far: number
  elements: number
}
const outcomes: Outcome[] = []
for (const test of all) {
  const outcome: Outcome = { test, ours: 0, theirs: 0, far: 0, elements: 0 }
  outcomes.push(outcome)
  const reference = peer.get(`${test.out}-f64`)
  const theirs = peer.get(`${test.out}-peer`)
  if (!reference || reference.error || !theirs || theirs.error) {
    outcome.fault = `mergekit: ${reference?.error ?? theirs?.error ?? 'no result'}`
    continue
  }
  try {
    await mergeRecipe(test.recipe, test.out, { seed: test.seed, threads: 1 })
  } catch (error) {
    outcome.fault = `ours: ${(error as Error).message}`
    continue
  }
  const [ours, exact, native] = await Promise.all([test.out, `${test.out}-f64`, `${test.out}-peer`].map(tensorsOf))
  const missing = [...exact!.keys()].filter((name) => !ours!.has(name))
  if (missing.length > 0 || ours!.size !== exact!.size) outcome.fault = `names differ: ${missing.slice(0, 2)}`
  for (const [name, values] of exact!) {
    const [a, b] = [ours!.get(name), native!.get(name)]
    if (!a || a.length !== values.length) {
      outcome.fault ??= `shape of ${name}`
      continue
    }
    for (let i = 0; i < values.length; i++) {
      const distance = units(a[i]!, values[i]!, test.dtype)
      outcome.ours = Math.max(outcome.ours, distance)
      if (distance > 1) outcome.far++
      if (b) outcome.theirs = Math.max(outcome.theirs, units(b[i]!, values[i]!, test.dtype))
      outcome.elements++
    }
  }
}
const lines = [...new Set(all.map(({ method }) => method))].map((method) => {
  const mine = outcomes.filter(({ test }) => test.method === method)
  const sound = mine.filter(({ fault }) => !fault)
  const most = (key: 'ours' | 'theirs') => Math.max(0, ...sound.map((outcome) => outcome[key]))
  return `| ${method} | ${mine.length} | ${mine.length - sound.length} | ${most('ours').toFixed(3)} | ${most('theirs').toFixed(1)} | ${sound.reduce((sum, { far }) => sum + far, 0)} of ${sound.reduce((sum, { elements }) => sum + elements, 0)} |`
})
const faults = outcomes
  .filter(({ fault }) => fault)
  .map(({ test, fault }) => `- ${test.name} (seed ${test.seed}): ${fault}`)
const worst = outcomes
  .filter(({ ours }) => ours > 1)
  .map(({ test, ours, far }) => `- ${test.name} (seed ${test.seed}): ${ours.toFixed(2)} units, ${far} elements`)
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
const page = [
  '# Merging: differential test against mergekit',
  '',
  `Command: \`npx tsx bench/merge/differential.ts --cases ${cases} --seed ${flags.seed}\`, ${new Date().toISOString().slice(0, 10)}, commit ${commit}, mergekit 0.1.5.`,
  'Random recipes (methods, dtypes, gradients, filters, slices) over small random models. The reference is mergekit computing in float64;',
  'distances from it are in units in the last place of the output dtype: a correct rounding is at most 0.5.',
  '',
  '| method | recipes | faults | ours, largest distance | mergekit, largest distance | elements farther than 1 (ours) |',
  '| --- | --- | --- | --- | --- | --- |',
  ...lines,
  '',
  ...(worst.length > 0 ? ['Recipes where ours is farther than one unit:', '', ...worst, ''] : []),
  ...(faults.length > 0 ? ['Recipes that one side refused:', '', ...faults, ''] : []),
].join('\n')
console.log(page)
if (flags.write) {
  mkdirSync('docs/results', { recursive: true })
  writeFileSync('docs/results/merge-differential.md', page)
}
if (!flags.keep) rmSync(folder, { recursive: true, force: true })
else console.error(folder)
