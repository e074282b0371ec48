/**
 * How the cost of merging grows: time and peak memory over bytes of a model and over the number of models. The inputs are sparse files, so
 * that the arithmetic, the reads from memory and the writes count, not an input disk.
 *
 * npx tsx bench/merge/scaling.ts [--method ties] [--write]
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { layoutSafetensors } from '../../src/checkpoint/safetensors-header.ts'
import { createSafetensors } from '../../src/checkpoint/write-safetensors.ts'
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
  seconds: number
  rss: number
}

async function measure(gigabytes: number, models: number): Promise<Measured> {
  const size = ofSize(gigabytes)
  const folders: string[] = []
  for (let index = 0; index <= models; index++) folders.push(await sparseModel(size, index))
  const [base, ...tuned] = folders
  const density = flags.method === 'linear' ? {} : { density: 0.5 }
  const recipe = join(cache, 'recipe.yml')
  writeFileSync(
    recipe,
    JSON.stringify({
      merge_method: flags.method,
      ...(flags.method === 'linear' ? {} : { base_model: base }),
      models: tuned.map((model) => ({ model, parameters: { weight: 1, ...density } })),
    }),
  )
  const out = join(cache, 'out')
  rmSync(out, { recursive: true, force: true })
  const start = performance.now()
  const { status, stderr } = spawnSync(
    '/usr/bin/env',
    ['time', '-f', '%M', process.execPath, main, 'merge', recipe, out],
    {
      encoding: 'utf8',
    },
  )
  const seconds = (performance.now() - start) / 1000
  if (status !== 0) throw new Error(stderr.slice(-500))
  rmSync(out, { recursive: true, force: true })
  return { gigabytes, models, seconds, rss: Number(stderr.trim().split('\n').at(-1)) * 1024 }
}

const sizes = flags.gigabytes.split(',').map(Number)
const counts = flags.models.split(',').map(Number)
const rows: Measured[] = []
for (const gigabytes of sizes) rows.push(await measure(gigabytes, 2))
for (const models of counts.slice(1)) rows.push(await measure(sizes.find((size) => size >= 1) ?? sizes[0]!, models))
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
const page = [
  `# Merging: cost over bytes and models, ${flags.method}`,
  '',
  `Command: \`npx tsx bench/merge/scaling.ts --method ${flags.method} --gigabytes ${flags.gigabytes} --models ${flags.models}\`, ${new Date().toISOString().slice(0, 10)}, commit ${commit}, ${cpus().length} cores (${cpus()[0]!.model.trim()}), one run each, bfloat16, sparse input files.`,
  '',
  '| GB a model | models | seconds | seconds for a GB read and written | peak MB |',
  '| --- | --- | --- | --- | --- |',
  ...rows.map(
    ({ gigabytes, models, seconds, rss }) =>
      `| ${gigabytes} | ${models} | ${seconds.toFixed(1)} | ${(seconds / (gigabytes * (models + 1 + (flags.method === 'linear' ? 0 : 1)))).toFixed(2)} | ${(rss / 1e6).toFixed(0)} |`,
  ),
  '',
].join('\n')
console.log(page)
if (flags.write) {
  mkdirSync('docs/results', { recursive: true })
  writeFileSync(`docs/results/merge-scaling-${flags.method}.md`, page)
}
