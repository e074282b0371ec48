/**
 * The peak memory that --plan says of merges in mergekit's arithmetic, beside what a process takes: methods, dtypes and threads on one large tensor and
 * several small ones of four models. Writes docs/results/strict-memory.md.
 *
 *     npx tsx bench/strict-memory.ts [--rows 20000] [--columns 512] [--dtypes float32,bfloat16] [--only ties,della] [--folder FOLDER]
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { writeCheckpoint } from '../dist/checkpoint/write-checkpoint.js'
import { fromFloat64 } from '../dist/tensor/dtypes.js'
import { random } from '../dist/tensor/random.js'
import { provenance, table, writePage } from './results-page.ts'

const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', default: '20000' },
    columns: { type: 'string', default: '512' },
    dtypes: { type: 'string', default: 'float32,bfloat16,float64' },
    folder: { type: 'string', default: tmpdir() },
    only: { type: 'string' },
    out: { type: 'string', default: 'docs/results/strict-memory.md' },
  },
})
const [rows, columns] = [Number(flags.rows), Number(flags.columns)]
const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const folder = mkdtempSync(join(flags.folder, 'strict-memory-'))

const watch = join(folder, 'watch.mjs')
writeFileSync(
  watch,
  `import { writeFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'
if (isMainThread) process.on('exit', () => writeFileSync(process.env.PEAK, String(process.resourceUsage().maxRSS * 1024)))
`,
)

const dtypes = { float32: 'F32', bfloat16: 'BF16', float64: 'F64' } as const
const shapes: Record<string, number[]> = {
  'embeddings.word_embeddings.weight': [rows, columns],
  ...Object.fromEntries([0, 1].map((i) => [`encoder.layer.${i}.output.dense.weight`, [columns, 4 * columns]])),
  'encoder.layer.0.output.LayerNorm.weight': [columns],
}

async function writeModel(seed: number, dtype: (typeof dtypes)[keyof typeof dtypes]): Promise<string> {
  const path = join(folder, `${dtype}-${seed}`)
  await writeCheckpoint(path, {
    config: { model_type: 'bert', num_hidden_layers: 2, vocab_size: rows },
    tensors: Object.entries(shapes).map(([name, shape]) => ({
      name,
      dtype,
      shape,
      async data() {
        const [base, change] = [random('base', name), random('change', seed, name)]
        const count = shape.reduce((product, size) => product * size, 1)
        const values = Float64Array.from({ length: count }, (_, i) =>
          seed === 0 ? base.normal(i) : base.normal(i) + 0.1 * change.normal(i),
        )
        return fromFloat64(values, dtype)
      },
    })),
  })
  return path
}

interface Case {
  method: string
  models: number
  parameters?: Record<string, unknown>
  base?: boolean
}
const cases: Case[] = [
  { method: 'linear', models: 3, parameters: { weight: 1 } },
  { method: 'task_arithmetic', models: 3, base: true, parameters: { weight: 0.5 } },
  { method: 'ties', models: 3, base: true, parameters: { weight: 1, density: 0.2 } },
  { method: 'dare_ties', models: 3, base: true, parameters: { weight: 1, density: 0.5 } },
  { method: 'della', models: 3, base: true, parameters: { weight: 1, density: 0.5, epsilon: 0.1 } },
  { method: 'breadcrumbs', models: 3, base: true, parameters: { weight: 1, density: 0.9 } },
  { method: 'sce', models: 3, base: true, parameters: { select_topk: 0.5 } },
  { method: 'model_stock', models: 3, base: true },
  { method: 'karcher', models: 3 },
  { method: 'multislerp', models: 3, parameters: { weight: 1 } },
  { method: 'slerp', models: 1, base: true, parameters: { t: 0.5 } },
  { method: 'nuslerp', models: 2, parameters: { weight: 1 } },
  { method: 'nearswap', models: 1, base: true, parameters: { t: 0.001 } },
  { method: 'arcee_fusion', models: 1, base: true },
  { method: 'ram', models: 3, base: true },
]

function peaks({ method, models, parameters, base }: Case, dtype: string, threads: number) {
  const path = (seed: number) => join(folder, `${dtype}-${seed}`)
  const recipe = join(folder, 'recipe.yml')
  writeFileSync(
    recipe,
    JSON.stringify({
      merge_method: method,
      ...(base ? { base_model: path(0) } : {}),
      models: Array.from({ length: models }, (_, i) => ({ model: path(i + 1) })),
      ...(parameters ? { parameters } : {}),
    }),
  )
  const run = (...more: string[]) => {
    const args = ['--import', watch, main, 'merge', recipe, ...more, '--threads', String(threads)]
    const result = spawnSync(process.execPath, [...args, '--strict-mergekit', '--force', '--json'], {
      encoding: 'utf8',
      env: { ...process.env, PEAK: join(folder, 'peak') },
    })
    if (result.status !== 0) throw new Error(`${method} ${dtype}: ${result.stdout}${result.stderr}`)
    return JSON.parse(result.stdout)
  }
  const planned = run('--plan').peakBytes as number
  run(join(folder, 'out'))
  return { planned, measured: Number(readFileSync(join(folder, 'peak'), 'utf8')) }
}

const mega = (bytes: number) => `${Math.round(bytes / 1e6)} MB`
const results: { method: string; dtype: string; threads: number; planned: number; measured: number }[] = []
try {
  for (const [name, dtype] of Object.entries(dtypes).filter(([key]) => flags.dtypes.split(',').includes(key))) {
    for (const seed of [0, 1, 2, 3]) await writeModel(seed, dtype)
    for (const each of cases.filter(({ method }) => flags.only === undefined || flags.only.split(',').includes(method)))
      for (const threads of name === 'float32' ? [1, 2] : [1]) {
        const found = peaks(each, dtype, threads)
        results.push({ method: each.method, dtype: name, threads, ...found })
        console.error(
          `${each.method} ${name} ${threads}: ${mega(found.planned)} planned, ${mega(found.measured)} measured, ${(found.planned / found.measured).toFixed(2)}`,
        )
      }
    for (const seed of [0, 1, 2, 3]) rmSync(join(folder, `${dtype}-${seed}`), { recursive: true })
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

const ratios = results.map(({ planned, measured }) => planned / measured)
await writePage(
  flags.out,
  `# Memory in mergekit's arithmetic

\`--strict-mergekit\` holds each tensor whole. The peak memory of the plan beside the largest resident size of the process; the largest tensor has ${rows.toLocaleString('en-US')} x ${columns} elements. The plan is
${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)} times what was measured; above 1 it is an upper bound.

${table(
  ['method', 'dtype', 'threads', 'planned', 'measured', 'planned / measured'],
  results.map(({ method, dtype, threads, planned, measured }) => [
    method,
    dtype,
    String(threads),
    mega(planned),
    mega(measured),
    (planned / measured).toFixed(2),
  ]),
)}

${provenance(`npx tsx bench/strict-memory.ts --rows ${rows} --columns ${columns} --dtypes ${flags.dtypes}${flags.only === undefined ? '' : ` --only ${flags.only}`}`).join('\n')}`,
)
