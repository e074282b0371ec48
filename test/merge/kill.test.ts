/** A merge that is killed at any moment and continued gives the bytes of a merge that was not. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { random } from '../../src/tensor/random.ts'
import { writeSmallModel } from './checkpoints.ts'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-kill-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Runs the command line; with `killAfter` it is killed after so many milliseconds. */
function run(args: string[], killAfter?: number): Promise<number | null> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [main, ...args], { stdio: 'ignore' })
    const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfter)
    child.on('exit', (status) => {
      clearTimeout(timer)
      resolve(status)
    })
  })
}

const digest = async (path: string) =>
  createHash('sha256')
    .update(await readFile(join(path, 'model.safetensors')))
    .digest('hex')

it('survives kill -9 at any moment', async () => {
  const size = { width: 256, layers: 12, vocabulary: 2000 }
  const models = await Promise.all(
    [0, 1, 2, 3].map((seed) => writeSmallModel(join(folder, `m${seed}`), { ...size, seed })),
  )
  const recipe = join(folder, 'r.yml')
  await writeFile(
    recipe,
    `models: [${models.slice(1).map((model) => `{model: ${model}, parameters: {density: 0.4}}`)}]\nmerge_method: dare_ties\nbase_model: ${models[0]}\n`,
  )
  const whole = join(folder, 'whole')
  const start = performance.now()
  expect(await run(['merge', recipe, whole])).toBe(0)
  const usual = performance.now() - start
  let resumed = 0
  for (let round = 0; round < 8; round++) {
    const out = join(folder, `out-${round}`)
    const delay = usual * (0.2 + 0.8 * random('kill').uniform(round))
    const killed = (await run(['merge', recipe, out], delay)) === null
    if (!killed) continue // it was faster than usual
    if (!existsSync(out)) {
      expect(await run(['merge', recipe, out, '--resume'])).toBe(0)
      resumed++
    }
    expect(await digest(out)).toBe(await digest(whole))
  }
  expect(resumed).toBeGreaterThan(0)
  expect((await readdir(folder)).filter((name) => name.endsWith('.partial'))).toEqual([])
})
