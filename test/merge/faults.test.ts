/** What can go wrong around a merge: a full disk, inputs that vanish or change, damaged files. Typed errors, and nothing half-written. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { merge } from '../../src/merge/merge.ts'
import { linear, taskArithmetic, ties } from '../../src/merge/methods/index.ts'
import type { EspalierError } from '../../src/util/errors.ts'
import { main } from '../cli/espalier.ts'
import { writeSmallModel } from './checkpoints.ts'

let folder: string
let models: string[]
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-faults-'))
  models = await Promise.all(
    [0, 1, 2].map((seed) => writeSmallModel(join(folder, `m${seed}`), { seed, width: 64, layers: 4 })),
  )
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const fault = (work: Promise<unknown>): Promise<EspalierError> =>
  work.then(
    () => {
      throw new Error('expected a fault')
    },
    (error: EspalierError) => error,
  )

const canMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0
if (!canMount) console.log('skipped: a full disk (this system allows no mount namespace)')

describe('a full disk', () => {
  it.skipIf(!canMount)('ends with a typed error; with room again, --resume completes', async () => {
    const recipe = join(folder, 'r.yml')
    await writeFile(recipe, `models: [{model: ${models[1]}}, {model: ${models[2]}}]\nmerge_method: linear\n`)
    const disk = join(folder, 'disk')
    mkdirSync(disk)
    const listing = join(folder, 'listing')
    const out = join(disk, 'out')
    // The disk is too small, then it is enlarged and the merge goes on.
    const script = [
      `mount -t tmpfs -o size=128k tmpfs '${disk}'`,
      `"$@" --json > '${listing}.first'; echo $? > '${listing}.status'`,
      `ls '${disk}' > '${listing}'`,
      `mount -o remount,size=8m '${disk}'`,
      `"$@" --resume --json > '${listing}.second'`,
    ].join(' ; ')
    const { status, stderr } = spawnSync('unshare', [
      '-rm',
      'sh',
      '-c',
      script,
      'sh',
      process.execPath,
      main,
      'merge',
      recipe,
      out,
    ])
    expect(status, stderr.toString()).toBe(0)
    expect(readFileSync(`${listing}.status`, 'utf8').trim()).toBe('1')
    expect(JSON.parse(readFileSync(`${listing}.first`, 'utf8')).error).toMatchObject({ code: 'ENOSPC' })
    expect(readFileSync(listing, 'utf8')).toBe('')
    expect(JSON.parse(readFileSync(`${listing}.second`, 'utf8')).folder).toBe(out)
  })
})

describe('inputs', () => {
  it('that vanish or are cut short while merging are named', async () => {
    for (const damage of ['remove', 'cut'] as const) {
      const victim = await writeSmallModel(join(folder, damage), { seed: 3, width: 64, layers: 4 })
      const file = join(victim, 'model.safetensors')
      const out = join(folder, `out-${damage}`)
      let struck = false
      const error = await fault(
        merge([models[1]!, victim], {
          base: models[0]!,
          method: ties({ density: 0.5, scope: 'model' }),
          threads: 1,
          out,
          // The first survey is done: the next pass opens the file again.
          onProgress: ({ done, total }) => {
            if (struck || done !== total) return
            struck = true
            if (damage === 'remove') spawnSync('rm', [file])
            else spawnSync('truncate', ['-s', '5000', file])
          },
        }),
      )
      expect(error).toMatchObject({
        code: damage === 'remove' ? 'ENOENT' : 'SAFETENSORS_TRUNCATED',
        exitCode: 2,
        where: { file },
      })
      expect(existsSync(out)).toBe(false)
    }
  })

  it('that are damaged are refused before anything is written', async () => {
    const victim = await writeSmallModel(join(folder, 'damaged'), {
      seed: 3,
      width: 64,
      layers: 4,
      maxShardBytes: 60_000,
    })
    const shard = (await readdir(victim)).filter((name) => name.endsWith('.safetensors'))[1]!
    const bytes = await readFile(join(victim, shard))
    const attempt = () => fault(merge([models[1]!, victim], { method: linear(), out: join(folder, 'never') }))
    await truncate(join(victim, shard), 1000)
    expect(await attempt()).toMatchObject({ code: 'SAFETENSORS_TRUNCATED' })
    await writeFile(join(victim, shard), bytes)
    const handle = await open(join(victim, shard), 'r+')
    await handle.write(Buffer.from('{{{{'), 0, 4, 8)
    await handle.close()
    expect((await attempt()).code).toMatch(/^SAFETENSORS_/)
    await rm(join(victim, shard))
    expect(await attempt()).toMatchObject({ code: 'SHARD_MISSING' })
    expect((await readdir(folder)).some((name) => name.includes('never'))).toBe(false)
  })

  it('of dtypes that cannot be merged are named', async () => {
    const eight = await writeSmallModel(join(folder, 'eight'), { seed: 4, width: 64, layers: 4, dtype: 'F8_E4M3' })
    const error = await fault(
      merge([models[1]!, eight], { base: models[0]!, method: taskArithmetic(), out: join(folder, 'never') }),
    )
    expect(error).toMatchObject({ code: 'MERGE_CONFLICT' })
    expect(error.message).toContain('F8_E4M3')
  })
})

it('a limit on memory that no merge can keep is refused, one that it can is kept', async () => {
  const options = { base: models[0]!, method: taskArithmetic(), threads: 4 }
  const error = await fault(merge(models.slice(1), { ...options, out: join(folder, 'small'), maxMemory: 50e6 }))
  expect(error).toMatchObject({ code: 'MEMORY_LIMIT' })
  const limit = Number(error.data['needed'])
  const { plan } = await merge(models.slice(1), { ...options, out: join(folder, 'fits'), maxMemory: limit })
  expect(plan.peakBytes).toBeLessThanOrEqual(limit)
  expect(plan.threads).toBe(1)
})
