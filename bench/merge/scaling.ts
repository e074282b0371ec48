/**
 * How the cost of merging grows: processor time, wall time and peak memory over bytes of a model and over the number of models. The inputs are sparse files, so
 * that the arithmetic, the reads from memory and the writes count, not an input disk.
 *
 * npx tsx bench/merge/scaling.ts [--method ties] [--write]
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { layoutSafetensors } from '../../src/checkpoint/safetensors-header.ts'
import { createSafetensors } from '../../src/checkpoint/write-safetensors.ts'
import { provenance, table, writePage } from '../results-page.ts'
import { decoder, type ModelSize } from './make-models.ts'

const { values: flags } = parseArgs({
  options: {
    method: { type: 'string', default: 'linear' },
    gigabytes: { type: 'string', default: '0.1,0.3,1,3,10' },
    models: { type: 'string', default: '2,4,8,16' },
    write: { type: 'boolean', default: false },
  },
})
const cache = resolve('bench/.cache/sparse')
const main = resolve('dist/cli/main.js')
mkdirSync(cache, { recursive: true })

/** A checkpoint whose weights are holes: zeros that take no room. */
async function sparseModel(size: ModelSize, index: number): Promise<string> {
  const folder = join(cache, `${size.name}-${index}`)
  if (existsSync(folder)) return folder
  mkdirSync(folder)
  const layout = layoutSafetensors(size.shapes.map(([name, shape]) => ({ name, dtype: 'BF16' as const, shape })))
  await (await createSafetensors(join(folder, 'model.safetensors'), layout)).close()
  writeFileSync(join(folder, 'config.json'), JSON.stringify(size.config))
  return folder
}

/** A decoder of about so many bytes in bfloat16; 13.5 GB has the shape of a 7B model. */
function ofSize(gigabytes: number): ModelSize {
  if (gigabytes >= 13) return decoder({ layers: 32, h: 4096, wide: 11_008, kv: 4096, vocabulary: 32_000, tied: false })
  const h = gigabytes < 0.5 ? 1024 : 2048
  const layerBytes = 2 * (2 * h * h + h * 512 + 3 * h * 4 * h)
  const layers = Math.max(1, Math.round((gigabytes * 1e9 - 2 * 32_000 * h) / layerBytes))
  return decoder({ layers, h, wide: 4 * h, vocabulary: 32_000 })
}

interface Measured {
  gigabytes: number
  models: number
  wall: number
  /** User and system time of all threads. */
  cpu: number
  rss: number
  /** Bytes read and written. */
  moved: number
}

async function measure(gigabytes: number, models: number): Promise<Measured> {
  const size = ofSize(gigabytes)
  const folders: string[] = []
  for (let index = 0; index <= models; index++) folders.push(await sparseModel(size, index))
  const [base, ...tuned] = folders
  const linear = flags.method === 'linear'
  const recipe = join(cache, 'recipe.yml')
  writeFileSync(
    recipe,
    JSON.stringify({
      merge_method: flags.method,
      ...(linear ? {} : { base_model: base }),
      models: tuned.map((model) => ({ model, parameters: { weight: 1, ...(linear ? {} : { density: 0.5 }) } })),
    }),
  )
  const out = join(cache, 'out')
  rmSync(out, { recursive: true, force: true })
  const command = [process.execPath, main, 'merge', recipe, out, '--json']
  const { status, stdout, stderr } = spawnSync('python3', [resolve('bench/peers/measure.py'), ...command], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr.slice(-500))
  const { wallSeconds, cpuSeconds, peakRssBytes } = JSON.parse(stdout.trim().split('\n').at(-1)!)
  const bytes = statSync(join(out, 'model.safetensors'), { throwIfNoEntry: false })?.size ?? gigabytes * 1e9
  rmSync(out, { recursive: true, force: true })
  const moved = bytes * (models + 1 + (linear ? 0 : 1))
  console.error(gigabytes, models, wallSeconds, cpuSeconds, peakRssBytes)
  return { gigabytes, models, wall: wallSeconds, cpu: cpuSeconds, rss: peakRssBytes, moved }
}

const sizes = flags.gigabytes.split(',').map(Number)
const counts = flags.models.split(',').map(Number)
const rows: Measured[] = []
const load: number[] = []
const take = async (gigabytes: number, models: number) => {
  load.push(loadavg()[0]!)
  rows.push(await measure(gigabytes, models))
}
for (const gigabytes of sizes) await take(gigabytes, counts[0]!)
for (const models of counts.slice(1)) await take(sizes.find((size) => size >= 1) ?? sizes[0]!, models)
rmSync(cache, { recursive: true, force: true })
const page = [
  '# Merging: cost over bytes and models',
  '',
  `Method ${flags.method}, bfloat16, one run each; the inputs are sparse files, so the arithmetic, reading from memory and writing count.`,
  'The last column is flat where the cost is linear; processor time is that of all threads.',
  `Load average ${Math.min(...load).toFixed(1)} to ${Math.max(...load).toFixed(1)} on ${cpus().length} cores: other work was running, so wall time says less.`,
  '',
  table(
    ['GB a model', 'models', 'wall s', 'cpu s', 'peak MB', 'cpu s for a GB read or written'],
    rows.map(({ gigabytes, models, wall, cpu, rss, moved }) => [
      String(gigabytes),
      String(models),
      wall.toFixed(1),
      cpu.toFixed(1),
      (rss / 1e6).toFixed(0),
      (cpu / (moved / 1e9)).toFixed(2),
    ]),
  ),
  '',
  ...provenance(
    `npx tsx bench/merge/scaling.ts --method ${flags.method} --gigabytes ${flags.gigabytes} --models ${flags.models}`,
  ),
].join('\n')
console.log(page)
if (flags.write) await writePage('docs/results/merge-scaling.md', page)
