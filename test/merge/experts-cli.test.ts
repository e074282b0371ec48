import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { document, espalier, failure } from '../cli/espalier.ts'
import { writeSmallMoe } from './checkpoints.ts'

let folder: string
let model: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-experts-'))
  model = join(folder, 'mixtral')
  await writeSmallMoe(model)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

it('merges experts on the command line, for people and for programs', async () => {
  const statistics = join(folder, 'statistics.json')
  await writeFile(statistics, JSON.stringify([{ usage: [0.1, 0.4, 0.3, 0.2] }]))
  const out = join(folder, 'smaller')
  const result = await document(['merge', model, out, '--experts', '2', '--statistics', statistics])
  expect(result.groups[0].cores).toEqual([1, 2])
  expect(result.bytes).toBeLessThan(result.bytesBefore)
  const clusters = join(folder, 'clusters')
  const args = ['merge', model, clusters, '--experts', '2', '--method', 'sub_moe', '--method-option', 'rank=0.5']
  const { status, stdout } = await espalier(args)
  expect(status).toBe(0)
  expect(stdout).toContain('model.layers.0:')
})

it('says what is wrong', async () => {
  const out = join(folder, 'never')
  expect((await failure(['merge', model, out, '--experts', '9'])).code).toBe('OPTION_RANGE')
  expect((await failure(['merge', model, out, '--experts', '2', '--method', 'sub-mole'])).code).toBe('METHOD_UNKNOWN')
  expect((await failure(['merge', model, out, '--method', 'm-smoe'])).code).toBe('USAGE')
  const statistics = join(folder, 'wrong.json')
  await writeFile(statistics, '{"usage": 3}')
  const args = ['merge', model, out, '--experts', '2', '--statistics', statistics]
  expect((await failure(args)).code).toBe('EXPERTS_STATISTICS')
})

it('matches the units of encoders on the command line', async () => {
  const fixture = join(import.meta.dirname, '../fixtures/encoders/bert')
  const out = join(folder, 'matched')
  const result = await document(['merge', fixture, out, '--match', fixture])
  expect([result.moved, result.after]).toEqual([0, expect.closeTo(1, 6)])
  expect((await failure(['merge', model, join(folder, 'no'), '--match', fixture])).code).toBe('CONFIG_FAMILY')
})

describe('--plan', () => {
  it('of --experts says what stays and what it costs, and writes nothing', async () => {
    const out = join(folder, 'planned')
    const plan = await document(['merge', model, out, '--experts', '2', '--plan'])
    expect(plan).toMatchObject({ method: 'm-smoe', layers: ['model.layers.0'], experts: { before: 4, after: 2 } })
    const { bytesBefore, bytes } = await document(['merge', model, out, '--experts', '2'])
    expect([plan.readBytes, plan.writeBytes]).toEqual([bytesBefore, bytes])
    const { status, stdout } = await espalier(['merge', model, '--experts', '2', '--plan'])
    expect(status).toBe(0)
    expect(stdout).toContain('4 to 2 in each layer')
    for (const line of stdout.split('\n')) if (!line.includes(folder)) expect(line.length).toBeLessThanOrEqual(80)
    expect((await failure(['merge', model, '--experts', '9', '--plan'])).code).toBe('OPTION_RANGE')
  })

  it('of --match says which units can be matched', async () => {
    const fixture = join(import.meta.dirname, '../fixtures/encoders/bert')
    const plan = await document(['merge', fixture, '--match', fixture, '--plan'])
    const result = await document(['merge', fixture, join(folder, 'matched-again'), '--match', fixture])
    expect(plan.units).toBe(result.units)
    const { status, stdout } = await espalier(['merge', fixture, '--match', fixture, '--plan'])
    expect(status).toBe(0)
    expect(stdout).toContain('holds both encoders')
    const other = join(import.meta.dirname, '../fixtures/encoders/distilbert')
    expect((await failure(['merge', fixture, '--match', other, '--plan'])).code).toBe('PERMUTE_SHAPE')
  })

  it('does not mix kinds of merges', async () => {
    const args = ['merge', model, join(folder, 'no'), '--experts', '2', '--match', model]
    expect((await failure(args)).message).toBe('--experts and --match do not go together')
  })
})
