import { createHash } from 'node:crypto'
import { copyFile, cp, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/checkpoint.ts'
import { openSafetensors } from '../../src/checkpoint/safetensors-file.ts'
import { writeSafetensors } from '../../src/checkpoint/write-safetensors.ts'
import { materializeTask, merge, mergedTasks, planMerge } from '../../src/merge/merge.ts'
import { bitdelta, emr, tallMask } from '../../src/merge/methods/index.ts'
import { toFloat64 } from '../../src/tensor/dtypes.ts'
import type { EspalierError } from '../../src/util/errors.ts'
import { document, failure } from '../cli/espalier.ts'
import { type SmallModel, smallValues, writeSmallModel } from './checkpoints.ts'

const labels = [
  ['a', 'b'],
  ['c', 'd', 'e'],
  ['f', 'g'],
]
const options = (t: number, more: SmallModel = {}): SmallModel => ({ seed: t + 1, labels: labels[t]!, ...more })
const names = ['news', 'reviews', 'mails']

let folder: string
let base: string
let models: string[]
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-tasks-'))
  base = await writeSmallModel(join(folder, 'base'))
  models = await Promise.all(names.map((name, t) => writeSmallModel(join(folder, name), options(t))))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

let count = 0
const fresh = (name: string) => join(folder, `${name}-${count++}`)

async function valuesOf(path: string): Promise<Map<string, number[]>> {
  const checkpoint = await openCheckpoint(path)
  const values = new Map<string, number[]>()
  for (const [name, { dtype }] of checkpoint.tensors)
    values.set(name, Array.from(toFloat64(await checkpoint.read(name), dtype)))
  await checkpoint.close()
  return values
}

const fault = (work: Promise<unknown>): Promise<EspalierError> =>
  work.then(
    () => {
      throw new Error('expected a fault')
    },
    (error: EspalierError) => error,
  )

/** Changes of the models from the base in one tensor, as they are stored. */
function stored(name: string) {
  const float = (values: Float64Array) => Float64Array.from(values, Math.fround)
  const origin = float(smallValues({}).get(name)!.values)
  const deltas = names.map((_, t) => {
    const theta = float(smallValues(options(t)).get(name)!.values)
    return theta.map((x, i) => x - origin[i]!)
  })
  return { origin, deltas }
}

const bodies = [...smallValues({}).keys()].filter((name) => !name.startsWith('classifier.'))

describe('per-task outputs', () => {
  it('EMR: the unified change where signs agree, scaled to each model', async () => {
    const out = fresh('merged')
    await merge(models, { base, method: emr(), out })
    expect((await mergedTasks(out)).map(({ name }) => name)).toEqual(names)
    const all = bodies.map((name) => [name, stored(name)] as const)
    const unified = new Map(
      all.map(([name, { origin, deltas }]) => [
        name,
        Array.from(origin, (_, i) => {
          const changes = deltas.map((delta) => delta[i]!)
          const sign = Math.sign(changes.reduce((sum, x) => sum + x, 0))
          return sign * Math.max(0, ...changes.map((x) => x * sign))
        }),
      ]),
    )
    const merged = await valuesOf(out)
    for (const [t, task] of names.entries()) {
      let [own, agreed] = [0, 0]
      for (const [name, { deltas }] of all)
        for (const [i, delta] of deltas[t]!.entries()) {
          own += Math.abs(delta)
          if (delta * unified.get(name)![i]! > 0) agreed += Math.abs(unified.get(name)![i]!)
        }
      const target = fresh('task')
      await materializeTask(out, task, target)
      const values = await valuesOf(target)
      for (const [name, { origin, deltas }] of all)
        for (const [i, delta] of deltas[t]!.entries()) {
          const change = delta * unified.get(name)![i]! > 0 ? (own / agreed) * unified.get(name)![i]! : 0
          expect(values.get(name)![i]).toBeCloseTo(origin[i]! + change, 6)
          expect(merged.get(name)![i]).toBe(Math.fround(origin[i]! + unified.get(name)![i]!))
        }
      const head = smallValues(options(t)).get('classifier.weight')!.values
      expect(values.get('classifier.weight')).toEqual(Array.from(head, Math.fround))
      const config = JSON.parse(await readFile(join(target, 'config.json'), 'utf8'))
      expect(Object.values(config.id2label)).toEqual(labels[t])
    }
  })

  it('one model alone is restored exactly: EMR and TALL masks', async () => {
    for (const method of [emr(), tallMask()]) {
      const [out, target] = [fresh('merged'), fresh('task')]
      await merge([models[0]!], { base, method, out, head: { kind: 'keep-per-task' } })
      await materializeTask(out, 'news', target)
      const [own, values] = [await valuesOf(models[0]!), await valuesOf(target)]
      for (const [name, expected] of own)
        for (const [i, x] of expected.entries()) expect(values.get(name)![i]).toBeCloseTo(x, 6)
    }
  })

  it('TALL masks: the sum of all changes where it matters to the task, the base elsewhere', async () => {
    const out = fresh('merged')
    await merge(models, { base, method: tallMask({ threshold: 0.5 }), out })
    for (const [t, task] of names.entries()) {
      const target = fresh('task')
      await materializeTask(out, task, target)
      const values = await valuesOf(target)
      for (const name of bodies) {
        const { origin, deltas } = stored(name)
        for (const [i, start] of origin.entries()) {
          const sum = deltas.reduce((total, delta) => total + delta[i]!, 0)
          const own = deltas[t]![i]!
          const expected = Math.abs(own) > 0.5 * Math.abs(sum - own) ? start + sum : start
          expect(values.get(name)![i]).toBeCloseTo(expected, 6)
        }
      }
    }
  })

  it('BitDelta: signs times the mean magnitude; a scale for each token; vectors as they are', async () => {
    const out = fresh('merged')
    await merge(models, { base, method: bitdelta(), out })
    const target = fresh('task')
    await materializeTask(out, 'reviews', target)
    const [values, shared, origin] = [await valuesOf(target), await valuesOf(out), await valuesOf(base)]
    for (const name of bodies) {
      expect(shared.get(name)).toEqual(origin.get(name))
      const { shape } = smallValues({}).get(name)!
      const { origin: start, deltas } = stored(name)
      const delta = deltas[1]!
      const mean = (from: number, to: number) =>
        delta.subarray(from, to).reduce((sum, x) => sum + Math.abs(x), 0) / (to - from)
      for (const [i, x] of start.entries()) {
        const width = shape[1]!
        const row = Math.floor(i / width)
        const scale = name.includes('word_embeddings') ? mean(row * width, (row + 1) * width) : mean(0, delta.length)
        const change = shape.length < 2 ? delta[i]! : delta[i]! > 0 ? scale : -scale
        expect(values.get(name)![i]).toBeCloseTo(x + change, 6)
      }
    }
  })

  it('gives the same files whatever the threads and blocks', async () => {
    const wide = await writeSmallModel(fresh('base'), { width: 96 })
    const tuned = await Promise.all([0, 1].map((t) => writeSmallModel(fresh('wide'), options(t, { width: 96 }))))
    const digests: string[] = []
    for (const run of [{ threads: 1 }, { threads: 3 }, { threads: 2, blockLength: 4096 }]) {
      const out = fresh('merged')
      await merge(tuned, { base: wide, method: emr(), out, ...run })
      const hash = createHash('sha256').update(await readFile(join(out, 'model.safetensors')))
      for (const { name } of await mergedTasks(out))
        hash.update(await readFile(join(out, 'tasks', name, 'task.safetensors')))
      digests.push(hash.digest('hex'))
    }
    expect(new Set(digests).size).toBe(1)
  })

  it('resumes to the same files', async () => {
    const wide = await writeSmallModel(fresh('base'), { width: 96 })
    const tuned = await Promise.all([0, 1].map((t) => writeSmallModel(fresh('wide'), options(t, { width: 96 }))))
    const files = async (out: string) =>
      Promise.all(
        ['model.safetensors', ...(await mergedTasks(out)).map(({ name }) => `tasks/${name}/task.safetensors`)].map(
          (file) => readFile(join(out, file), 'hex'),
        ),
      )
    const [whole, resumed] = [fresh('merged'), fresh('merged')]
    await merge(tuned, { base: wide, method: emr(), out: whole })
    const controller = new AbortController()
    const stop = await fault(
      merge(tuned, {
        base: wide,
        method: emr(),
        out: resumed,
        threads: 1,
        signal: controller.signal,
        onProgress: ({ step }) => step === 'merge' && controller.abort(),
      }),
    )
    expect(stop.code).toBe('INTERRUPTED')
    const result = await merge(tuned, { base: wide, method: emr(), out: resumed, resume: true })
    expect(result.resumed).toBeGreaterThan(0)
    expect(await files(resumed)).toEqual(await files(whole))
  })

  it('counts the per-task files in the plan', async () => {
    const [plain, kept] = [
      await planMerge(models, { base, method: tallMask() }),
      await planMerge(models, { base, method: bitdelta() }),
    ]
    const elements = bodies.reduce((sum, name) => sum + smallValues({}).get(name)!.values.length, 0)
    expect(plain.writeBytes).toBeGreaterThan(4 * elements + (3 * elements) / 8)
    expect(kept.writeBytes).toBeGreaterThan(4 * elements + (3 * elements) / 8)
  })
})

describe('damaged per-task files', () => {
  let merged: string
  beforeAll(async () => {
    merged = join(folder, 'merged')
    await merge(models, { base, method: emr(), out: merged })
  })
  const damaged = async (damage: (folder: string) => Promise<unknown>) => {
    const copy = fresh('copy')
    await cp(merged, copy, { recursive: true })
    await damage(copy)
    const out = fresh('task')
    const error = await fault(materializeTask(copy, 'news', out))
    expect(await readdir(folder)).not.toContain(out)
    return error
  }
  const parts = (copy: string) => join(copy, 'tasks', 'news', 'task.safetensors')
  const rewritten = (change: (name: string, data: Uint8Array, shape: number[]) => void) => (copy: string) =>
    openSafetensors(parts(copy)).then(async (file) => {
      const entries = []
      for (const { name, dtype, shape, bytes } of file.tensors.values()) {
        const data = new Uint8Array(bytes)
        await file.readInto(name, data)
        change(name, data, shape)
        entries.push({ name, dtype, shape: shape.length > 0 && data.length === 0 ? [0] : shape, data })
      }
      await file.close()
      await rm(parts(copy))
      await writeSafetensors(
        parts(copy),
        entries.filter(({ data }) => data.length > 0),
      )
    })

  it('cut short, foreign, missing', async () => {
    expect((await damaged((copy) => stat(parts(copy)).then(({ size }) => truncate(parts(copy), size - 1)))).code).toBe(
      'SAFETENSORS_TRUNCATED',
    )
    expect((await damaged((copy) => copyFile(join(copy, 'model.safetensors'), parts(copy)))).code).toBe('TASK_FORMAT')
    expect((await damaged((copy) => rm(parts(copy)))).code).toBe('ENOENT')
  })

  it('NaN scales and missing parts', async () => {
    const scale = 'bert.pooler.dense.weight.scale'
    const nan = await damaged(
      rewritten((name, data) => name === scale && data.set(new Uint8Array(Float64Array.of(Number.NaN).buffer))),
    )
    expect([nan.code, nan.where.tensor]).toEqual(['TASK_FORMAT', scale])
    const lost = await damaged(async (copy) => {
      const file = await openSafetensors(parts(copy))
      const entries = []
      for (const { name, dtype, shape, bytes } of file.tensors.values()) {
        const data = new Uint8Array(bytes)
        await file.readInto(name, data)
        if (name !== scale) entries.push({ name, dtype, shape, data })
      }
      await file.close()
      await rm(parts(copy))
      await writeSafetensors(parts(copy), entries)
    })
    expect([lost.code, lost.where.tensor]).toEqual(['TASK_FORMAT', scale])
  })

  it('an index that says what cannot be', async () => {
    const change = (edit: (index: Record<string, never>) => unknown) => async (copy: string) => {
      const file = join(copy, 'tasks', 'tasks.json')
      const index = JSON.parse(await readFile(file, 'utf8'))
      edit(index)
      await writeFile(file, JSON.stringify(index))
    }
    const cases: ((index: Record<string, never>) => unknown)[] = [
      (index) => Object.assign(index, { format: 2 }),
      (index) => Object.assign(index, { tasks: [{ name: '../../news', model: 'x' }] }),
      (index) => Object.assign(index['forms'], { 'no.such.weight': { kind: 'mask' } }),
      (index) => Object.assign(index['forms'], { 'bert.pooler.dense.weight': { kind: 'factors', rank: 1e12 } }),
      (index) => Object.assign(index['forms'], { 'bert.pooler.dense.weight': { kind: 'factors', rank: 2 } }),
      (index) => Object.assign(index['forms'], { 'bert.pooler.dense.weight': { kind: 'whatever' } }),
    ]
    for (const edit of cases) expect((await damaged(change(edit))).code).toBe('TASK_FORMAT')
    expect((await damaged((copy) => writeFile(join(copy, 'tasks', 'tasks.json'), '{'))).code).toBe('JSON_MALFORMED')
  })

  it('another base, or none', async () => {
    const other = await writeSmallModel(fresh('base'), { base: 1 })
    const wrong = await fault(materializeTask(merged, 'news', fresh('task'), { base: other }))
    expect([wrong.code, wrong.where.file]).toEqual(['TASK_BASE', 'model.safetensors'])
    const gone = await damaged(async (copy) => {
      const file = join(copy, 'tasks', 'tasks.json')
      await writeFile(file, (await readFile(file, 'utf8')).replaceAll(base, join(folder, 'nowhere')))
    })
    expect(gone.code).toBe('TASK_BASE')
    expect(gone.help).toContain('--base')
  })

  it('no such task, no tasks at all', async () => {
    const unknown = await fault(materializeTask(merged, 'new', fresh('task')))
    expect([unknown.code, unknown.help]).toEqual(['TASK_UNKNOWN', 'did you mean "news"?'])
    expect((await fault(materializeTask(base, 'news', fresh('task')))).code).toBe('TASK_NONE')
  })

  it('on the command line', async () => {
    const out = fresh('task')
    const result = await document(['merge', merged, out, '--task', 'news'])
    expect(result.task.name).toBe('news')
    const direct = fresh('task')
    await materializeTask(merged, 'news', direct)
    const bytes = (path: string) => readFile(join(path, 'model.safetensors'), 'hex')
    expect(await bytes(out)).toBe(await bytes(direct))
    expect((await failure(['merge', merged, fresh('task'), '--task', 'nosuch'])).code).toBe('TASK_UNKNOWN')
    expect((await failure(['merge', merged, '--task', 'news'])).code).toBe('USAGE')
  })
})
