/** The plan's peak memory is what a merge stays under, and `--max-memory` is kept: measured on the command line as a process. */
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeSmallModel } from './checkpoints.ts'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
let folder: string
let models: string[]
let watch: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-memory-'))
  models = await Promise.all(
    [0, 1, 2, 3, 4, 5, 6, 7, 8].map((seed) =>
      writeSmallModel(join(folder, `m${seed}`), { seed, width: 128, layers: 6, vocabulary: 6000 }),
    ),
  )
  watch = join(folder, 'watch.mjs')
  await writeFile(
    watch,
    `import { writeFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'
if (isMainThread) process.on('exit', () => writeFileSync(process.env.PEAK, String(process.resourceUsage().maxRSS * 1024)))
`,
  )
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Plans and merges; returns the plan's peak memory and the process's, in bytes. */
async function peaks(name: string, method: object, flags: string[]): Promise<{ planned: number; measured: number }> {
  const recipe = join(folder, `${name}.yml`)
  await writeFile(recipe, JSON.stringify({ models: models.slice(1).map((model) => ({ model })), ...method }))
  const run = (args: string[]) =>
    spawnSync(process.execPath, ['--import', watch, main, 'merge', recipe, ...args, ...flags, '--json'], {
      encoding: 'utf8',
      env: { ...process.env, PEAK: join(folder, `${name}.peak`) },
    })
  const plan = run(['--plan'])
  expect(plan.status, plan.stderr).toBe(0)
  const merge = run([join(folder, `out-${name}`)])
  expect(merge.status, merge.stderr).toBe(0)
  return {
    planned: JSON.parse(plan.stdout).peakBytes,
    measured: Number(await readFile(join(folder, `${name}.peak`), 'utf8')),
  }
}

describe('peak memory', () => {
  const ties = () => ({ merge_method: 'ties', base_model: models[0], parameters: { density: 0.2, scope: 'model' } })

  it('is below the plan for a cut over the whole model', async () => {
    const { planned, measured } = await peaks('model', ties(), ['--threads', '2'])
    expect(measured).toBeLessThanOrEqual(planned)
  })

  it('is below the plan for averages and for rows', async () => {
    for (const [name, method] of [
      ['linear', { merge_method: 'linear' }],
      ['della', { merge_method: 'della', base_model: models[0], parameters: { density: 0.5 } }],
    ] as const) {
      const { planned, measured } = await peaks(name, method, ['--threads', '2'])
      expect(measured, name).toBeLessThanOrEqual(planned)
    }
  })

  it("is below the plan in mergekit's arithmetic, which holds whole tensors", async () => {
    const parameters = { weight: 1, density: 0.3 }
    const method = { merge_method: 'ties', base_model: models[0], parameters }
    const { planned, measured } = await peaks('strict', method, ['--threads', '1', '--strict-mergekit'])
    expect(measured).toBeLessThanOrEqual(planned)
    expect(planned).toBeLessThan(2.5 * measured)
  })

  it('is below --max-memory', async () => {
    const limit = 125e6
    const { planned, measured } = await peaks('limited', ties(), ['--threads', '4', '--max-memory', '125MB'])
    expect(planned).toBeLessThanOrEqual(limit)
    expect(measured).toBeLessThanOrEqual(limit)
  })
})
