import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { serialize } from 'node:v8'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openCheckpoint } from '../checkpoint/checkpoint.ts'
import type { HeadLayout, HeadTargets } from '../labels/head-layout.ts'
import { miniConfig } from '../models/mini.ts'
import { workerUrl } from '../util/worker.ts'
import { packTokens } from './batches.ts'
import { type EncoderJob, type EncoderResult, scratchDefaults, type TrainOptions } from './encoder-job.ts'
import { runEncoderJob } from './encoder-trainer.ts'
import { trainEncoder } from './train-encoder.ts'
import { readTrainLog } from './train-log.ts'
import { logFile, stateFile } from './training-state.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-train-'))
})
afterEach(() => rm(folder, { recursive: true }))

// Tree: 0 {2, 3}, 1 {4, 5}. A row's leaf is told by one of its tokens, 2 + leaf.
const conditional: HeadLayout = {
  activation: 'softmax',
  unitNodes: Int32Array.of(0, 1, 2, 3, 4, 5),
  groups: [
    { parent: -1, start: 0, end: 2 },
    { parent: 0, start: 2, end: 4 },
    { parent: 1, start: 4, end: 6 },
  ],
}
const flat: HeadLayout = {
  activation: 'softmax',
  unitNodes: Int32Array.of(2, 3, 4, 5),
  groups: [{ parent: -1, start: 0, end: 4 }],
}
const perNode: HeadLayout = { ...conditional, activation: 'sigmoid' }

function data(count: number, layout: HeadLayout, offset = 0) {
  const rows: Int32Array[] = []
  const units: number[][] = []
  const groups: number[][] = []
  for (let i = offset; i < offset + count; i++) {
    const leaf = 2 + ((i * 7) % 4)
    const filler = Array.from({ length: 2 + ((i * 5) % 6) }, (_, k) => 10 + ((i * 13 + k * 11) % 20))
    rows.push(Int32Array.of(1, ...filler, 2 + leaf, ...filler.slice(0, i % 3)))
    units.push(layout === flat ? [leaf - 2] : [leaf < 4 ? 0 : 1, leaf])
    groups.push(layout === flat ? [0] : [0, leaf < 4 ? 1 : 2])
  }
  const offsets = (lists: number[][]) =>
    Uint32Array.from([0, ...lists.map((_, i) => lists.slice(0, i + 1).flat().length)])
  const targets: HeadTargets = {
    groupOffsets: offsets(groups),
    activeGroups: Uint32Array.from(groups.flat()),
    unitOffsets: offsets(units),
    rightUnits: Uint32Array.from(units.flat()),
  }
  return { rows: packTokens(rows), targets }
}

const config = miniConfig({ vocabularySize: 30, layers: 1, hiddenSize: 16, heads: 2, maxLength: 16 })
const job = (
  options: Partial<TrainOptions> = {},
  layout = conditional,
  more: Partial<EncoderJob> = {},
): EncoderJob => ({
  source: { config },
  pooling: 'mean',
  layout,
  train: data(90, layout),
  dev: data(40, layout, 90),
  options: { ...scratchDefaults, patience: undefined, epochs: 4, batchSize: 8, learningRate: 1e-2, ...options },
  ...more,
})

const same = (a: EncoderResult, b: EncoderResult) => {
  expect([...a.weights.keys()]).toEqual([...b.weights.keys()])
  for (const [name, values] of a.weights)
    expect(Buffer.compare(bytes(values), bytes(b.weights.get(name)!)), name).toBe(0)
  expect(a.best).toEqual(b.best)
}
const bytes = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength)
const withoutPace = (history: EncoderResult['history']) => history.map(({ rowsPerSecond: _, ...entry }) => entry)

describe('training', () => {
  test.each([
    ['conditional softmax', conditional, 'exactPath'],
    ['flat softmax', flat, 'exactPath'],
    ['sigmoid per node', perNode, 'microF1'],
  ] as const)('%s learns what a token tells', async (_, layout, metric) => {
    const result = await runEncoderJob(job({ epochs: 10 }, layout))
    expect(result.best!.metric).toBe(metric)
    expect(result.best!.value).toBeGreaterThan(0.95)
    expect(result.stoppedBy).toBe('epochs')
    expect(result.step).toBe(120)
    const losses = result.history.flatMap(({ loss }) => (loss === undefined ? [] : [loss]))
    expect(losses).toHaveLength(6)
    expect(losses.at(-1)!).toBeLessThan(0.3 * losses[0]!)
  })

  test('the same job gives the same bytes, another seed other ones', async () => {
    const [a, b, c] = [await runEncoderJob(job()), await runEncoderJob(job()), await runEncoderJob(job({ seed: 1 }))]
    same(a, b)
    expect(() => same(a, c)).toThrow()
  })

  test('micro-batches give the result of the whole batch', async () => {
    const options = { dropout: 0, epochs: 1, labelSmoothing: 0.1 }
    const whole = await runEncoderJob(job(options))
    const parts = await runEncoderJob(job({ ...options, microBatchSize: 3 }))
    for (const [name, values] of whole.weights) {
      const other = parts.weights.get(name)!
      for (let i = 0; i < values.length; i++) expect(Math.abs(other[i]! - values[i]!), name).toBeLessThan(2e-4)
    }
    const losses = [whole, parts].map(({ history }) => history.find(({ loss }) => loss !== undefined)!.loss!)
    expect(losses[1]).toBeCloseTo(losses[0]!, 4)
  })

  test('frozen weights stay, the others move', async () => {
    const options = { epochs: 1, weightDecay: 0.1 }
    const start = await runEncoderJob(job({ ...options, learningRate: 1e-12 }))
    const end = await runEncoderJob(job({ ...options, freeze: ['embeddings', 'layers:1'] }))
    for (const [name, values] of end.weights) {
      const moved = values.some((value, i) => Math.abs(value - start.weights.get(name)![i]!) > 1e-6)
      expect(moved, name).toBe(name.startsWith('classifier'))
    }
  })

  test('patience does not run out while nothing is right yet', async () => {
    const labels: HeadLayout = { ...flat, activation: 'sigmoid' }
    const result = await runEncoderJob(
      job({ epochs: 5, patience: 1, learningRate: 1e-6 }, labels, {
        train: data(90, flat),
        dev: data(40, flat, 90),
        initial: new Map([['classifier.bias', new Float32Array(4).fill(-9)]]),
      }),
    )
    expect(result).toMatchObject({ stoppedBy: 'epochs', best: { value: 0, step: result.step } })
  })

  test('patience stops early and the best weights are returned', async () => {
    const result = await runEncoderJob(job({ epochs: 40, patience: 2 }))
    expect(result.stoppedBy).toBe('patience')
    const scores = result.history.flatMap(({ step, dev }) => (dev ? [{ step, value: dev['exactPath']! }] : []))
    const best = scores.reduce((top, score) => (score.value > top.value ? score : top))
    expect(result.best).toEqual({ ...best, metric: 'exactPath' })
    expect(scores.at(-1)!.step - best.step).toBe(2 * 12)
  })

  test('time stops in order, and more time continues', async () => {
    const limited = job({ epochs: 30, maxMinutes: 1e-9 }, conditional, { workFolder: folder })
    const result = await runEncoderJob(limited)
    expect(result).toMatchObject({ stoppedBy: 'time', step: 0 })
    expect(result.best!.step).toBe(0)
    const rest = await runEncoderJob({ ...limited, resume: true, options: { ...limited.options, maxMinutes: 9 } })
    same(rest, await runEncoderJob(job({ epochs: 30 })))
  })

  test('without dev rows the last weights are returned', async () => {
    const { dev: _, ...blind } = job({ epochs: 1 })
    const result = await runEncoderJob(blind)
    expect(result.best).toBeUndefined()
    expect(result.history.every(({ dev }) => dev === undefined)).toBe(true)
  })
})

test('a checkpoint folder is the start, with a new classifier', async () => {
  const source = { folder: fileURLToPath(new URL('../../test/fixtures/encoders/bert', import.meta.url)) }
  const checkpoint = await openCheckpoint(source.folder)
  const still = await runEncoderJob(job({ epochs: 1, learningRate: 1e-12 }, flat, { source, pooling: 'head' }))
  const name = 'bert.encoder.layer.0.intermediate.dense.weight'
  const stored = await checkpoint.readFloat32(name)
  await checkpoint.close()
  expect(still.weights.get(name)).toEqual(stored)
  expect(still.weights.get('classifier.bias')).toHaveLength(4)
  const tuned = await runEncoderJob(job({ epochs: 10 }, flat, { source, pooling: 'head' }))
  expect(tuned.best!.value).toBeGreaterThan(0.9)
})

describe('faults', () => {
  test('a diverging run fails early and says what to try', async () => {
    const wild = job({ learningRate: 0.9, warmUp: 0, clip: 0, epochs: 20 }, conditional, {
      adjustment: new Float32Array(6).fill(Number.NaN),
    })
    await expect(runEncoderJob(wild)).rejects.toMatchObject({ code: 'LOSS_NOT_FINITE', exitCode: 1, data: { step: 1 } })
  })

  test('a saved state survives a run that diverges', async () => {
    const first = job({ saveMinutes: 0 }, conditional, { workFolder: folder })
    const controller = new AbortController()
    const stop = abortAt(controller, 5)
    await expect(runEncoderJob(first, { signal: controller.signal, onProgress: stop })).rejects.toThrow(
      /continue with --resume/,
    )
    const before = await readFile(join(folder, stateFile))
    const broken = { ...first, resume: true, adjustment: new Float32Array(6).fill(Number.NaN) }
    await expect(runEncoderJob(broken)).rejects.toMatchObject({ code: 'RESUME_OTHER' })
    expect(Buffer.compare(before, await readFile(join(folder, stateFile)))).toBe(0)
  })

  test('options, rows and adjustments are checked before anything is read', async () => {
    const bad = (options: Partial<TrainOptions>) => expect(runEncoderJob(job(options))).rejects
    await bad({ epochs: 0 }).toThrow(/Expected epochs to be a whole number from 1, received 0/)
    await bad({ learningRate: Number.NaN }).toThrow(/learningRate/)
    await bad({ labelSmoothing: 1 }).toThrow(/labelSmoothing/)
    await bad({ freeze: ['nothing'] }).toMatchObject({ code: 'FREEZE_UNKNOWN' })
    await expect(runEncoderJob({ ...job(), train: data(0, conditional) })).rejects.toMatchObject({
      code: 'TRAIN_EMPTY',
    })
    await expect(runEncoderJob({ ...job(), adjustment: new Float32Array(2) })).rejects.toThrow(
      /6 adjustments, received 2/,
    )
  })
})

/** An onProgress that aborts once the loop has come to `step` updates. */
function abortAt(controller: AbortController, step: number) {
  return ({ done }: { done: number }) => {
    if (done >= step * 8) controller.abort()
  }
}

describe('interruption', () => {
  test.each([[1], [7], [12], [13], [31], [47]])(
    'aborted at step %i and resumed: the same bytes and log',
    async (step) => {
      const whole = await runEncoderJob(job())
      const options = job({}, conditional, { workFolder: folder })
      const signal = stepSignal(step)
      await expect(runEncoderJob(options, { signal })).rejects.toThrow(
        `stopped at epoch ${Math.floor(step / 12) + 1}/4, step ${step}; continue with --resume`,
      )
      const resumed = await runEncoderJob({ ...options, resume: true })
      same(resumed, whole)
      expect(withoutPace(resumed.history)).toEqual(withoutPace(whole.history))
      expect(withoutPace(await readTrainLog(join(folder, logFile)))).toEqual(withoutPace(whole.history))
    },
  )

  test('killed three times while saving after every step, then resumed: the same bytes and log', async () => {
    const whole = await runEncoderJob(job())
    const options = job({ saveMinutes: 0 }, conditional, { workFolder: folder, resume: true })
    const jobFile = join(folder, 'job.bin')
    await writeFile(jobFile, serialize(withoutSharing(options)))
    for (const lines of [1, 2, 3]) await killAfterLines(jobFile, join(folder, logFile), lines)
    const resumed = await runEncoderJob(options)
    same(resumed, whole)
    expect(withoutPace(resumed.history)).toEqual(withoutPace(whole.history))
  })

  test('an unfinished run is not overwritten by accident', async () => {
    const options = job({}, conditional, { workFolder: folder })
    await expect(runEncoderJob(options, { signal: stepSignal(3) })).rejects.toThrow()
    await expect(runEncoderJob(options)).rejects.toMatchObject({ code: 'RUN_UNFINISHED' })
    const other = { ...options, resume: true, options: { ...options.options, learningRate: 0.02 } }
    await expect(runEncoderJob(other)).rejects.toMatchObject({ code: 'RESUME_OTHER' })
  })

  test('half-written states are cleared, and resuming without a state starts from the beginning', async () => {
    await writeFile(join(folder, `.${stateFile}.tmp-1-a`), 'half')
    const notes: string[] = []
    const result = await runEncoderJob(job({}, conditional, { workFolder: folder, resume: true }), {
      onProgress: ({ note }) => note && notes.push(note),
    })
    expect(notes).toEqual(['there is no saved state: training starts from the beginning'])
    same(result, await runEncoderJob(job()))
    expect((await readdir(folder)).filter((name) => name.includes('tmp'))).toEqual([])
    expect((await stat(join(folder, logFile))).size).toBeGreaterThan(0)
  })
})

/** A signal that fires when it has been looked at `step` times: the loop looks once after each update. */
function stepSignal(step: number): AbortSignal {
  let looks = 0
  const { signal } = new AbortController()
  return new Proxy(signal, {
    get: (target, key) => (key === 'aborted' ? ++looks >= step : Reflect.get(target, key)),
  })
}

/** A job whose arrays can be written to a file. */
function withoutSharing(options: EncoderJob): EncoderJob {
  const plain = ({ rows, targets }: EncoderJob['train']) => ({
    rows: { offsets: Uint32Array.from(rows.offsets), tokens: Int32Array.from(rows.tokens) },
    targets,
  })
  return { ...options, train: plain(options.train), dev: plain(options.dev!) }
}

/** Runs the job in a process of its own and kills it as soon as the log has so many lines. */
async function killAfterLines(jobFile: string, log: string, lines: number): Promise<void> {
  const script = `
    import { readFileSync } from 'node:fs'
    import { deserialize } from 'node:v8'
    import { runEncoderJob } from ${JSON.stringify(workerUrl(import.meta.url, './encoder-trainer.ts').href)}
    await runEncoderJob(deserialize(readFileSync(${JSON.stringify(jobFile)})))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'ignore', 'pipe'] })
  let complaint = ''
  child.stderr.on('data', (text) => (complaint += text))
  const ended = new Promise<string | null>((resolve) => child.on('exit', (_, signal) => resolve(signal)))
  const timer = setInterval(async () => {
    if ((await readTrainLog(log)).length >= lines) child.kill('SIGKILL')
  }, 2)
  expect(await ended, complaint).toBe('SIGKILL')
  clearInterval(timer)
}

test('in a worker thread: the same bytes, the event loop free', async () => {
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  const result = await trainEncoder(job())
  clearInterval(timer)
  expect(turns).toBeGreaterThan(5)
  same(result, await runEncoderJob(job()))
})

test('an abort reaches the worker thread, which saves and can be resumed', async () => {
  const options = job({ epochs: 30 }, conditional, { workFolder: folder })
  const controller = new AbortController()
  const run = trainEncoder(options, { signal: controller.signal, onProgress: () => controller.abort() })
  await expect(run).rejects.toMatchObject({
    code: 'INTERRUPTED',
    message: expect.stringMatching(/^stopped at epoch \d+\/30, step \d+; continue with --resume$/),
  })
  same(await trainEncoder({ ...options, resume: true }), await runEncoderJob(job({ epochs: 30 })))
})
