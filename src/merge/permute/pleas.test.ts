import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openCheckpoint } from '../../checkpoint/checkpoint.ts'
import { writeCheckpoint } from '../../checkpoint/write-checkpoint.ts'
import { encoderModel, initialWeights, loadWeights, openEncoder, readEncoderConfig } from '../../models/index.ts'
import { MatrixKernels, matrix, transposed } from '../../tensor/linear-algebra/index.ts'
import { permutation, random } from '../../tensor/random.ts'
import type { EspalierError } from '../../util/errors.ts'
import { merge, permuteToMatch } from '../merge.ts'
import { linear } from '../methods/linear.ts'
import { withoutPrefix } from '../plan/tensor-names.ts'
import { axesOf, unitGroups } from './encoder-units.ts'
import { matchRows, permuted } from './match-units.ts'
import { leastAlike, widened } from './separate-units.ts'

const fixtures = join(import.meta.dirname, '../../../test/fixtures/encoders')
const common = { vocab_size: 40, max_position_embeddings: 20 }
const bertLike = { ...common, hidden_size: 24, num_hidden_layers: 2, num_attention_heads: 3, intermediate_size: 40 }
const families = {
  bert: { model_type: 'bert', ...bertLike },
  roberta: { model_type: 'roberta', ...bertLike },
  distilbert: { model_type: 'distilbert', ...common, dim: 24, n_layers: 2, n_heads: 3, hidden_dim: 40 },
}
const tokens = [Int32Array.from([2, 7, 9, 30, 3]), Int32Array.from([2, 11, 3])]

let folder: string
let count = 0
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-permute-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function logitsOf(path: string): Promise<number[]> {
  const checkpoint = await openCheckpoint(path)
  const model = encoderModel(readEncoderConfig(checkpoint.config), { units: 4 })
  const encoder = await openEncoder(model, await loadWeights(model, checkpoint), 'logits')
  const logits = await encoder.run(tokens)
  await encoder.close()
  await checkpoint.close()
  return logits.flatMap((row) => Array.from(row))
}

/** An encoder with random weights, and the same with its units shuffled. */
async function shuffledPair(family: keyof typeof families): Promise<[string, string]> {
  const config = families[family]
  const encoderConfig = readEncoderConfig(config)
  const model = encoderModel(encoderConfig, { units: 4 })
  const weights = initialWeights(model, 1)
  // Norms and biases that tell units apart.
  for (const [name, values] of weights)
    if (values.length < 100) for (let i = 0; i < values.length; i++) values[i]! += 0.1 * random(name).normal(i)
  const orders = new Map(
    Array.from(unitGroups(encoderConfig, true), ([group, size]) => {
      const numbers = random('order', group)
      if (!/^(queries|values)/.test(group)) return [group, Int32Array.from(permutation(size, numbers))] as const
      const { heads } = encoderConfig
      const width = size / heads
      const order = permutation(heads, random('heads', group.split('.')[1]!))
      const inside = Array.from({ length: heads }, (_, head) => permutation(width, random('inside', group, head)))
      const units = Int32Array.from({ length: size }, (_, i) => {
        const from = order[Math.floor(i / width)]!
        return from * width + inside[from]![i % width]!
      })
      return [group, units] as const
    }),
  )
  const paths = [join(folder, `${family}-a-${count}`), join(folder, `${family}-b-${count++}`)] as [string, string]
  for (const [i, path] of paths.entries())
    await writeCheckpoint(path, {
      config: { ...config },
      tensors: model.parameters.map(({ name, shape }) => {
        const values = Float64Array.from(weights.get(name)!)
        const tensor = {
          values: matrix(shape[0]!, shape[1] ?? 1, values),
          axes: axesOf(withoutPrefix(name, `${family}.`), true)!,
        }
        const data = Float32Array.from(
          i === 0
            ? values
            : permuted(tensor, new Map(Array.from(orders, ([group, order]) => [group, Int32Array.from(order)]))).data,
        )
        return { name, dtype: 'F32' as const, shape: [...shape], data }
      }),
    })
  return paths
}

/** In the merged encoder neurons that stay apart have their own weights on the way in and half of them on the way out; the rest are means. */
async function expectPartialMerge(files: {
  merged: string
  a: string
  matched: string
  neurons: number
  apart: number
}) {
  const { neurons, apart } = files
  const open = await Promise.all([files.merged, files.a, files.matched].map((path) => openCheckpoint(path)))
  for (const name of open[0]!.tensors.keys()) {
    const bare = withoutPrefix(name, /^(bert|roberta|distilbert)\./.exec(name)?.[0] ?? '')
    const axes = axesOf(bare, true)
    if (!axes || name.startsWith('classifier') || name.startsWith('pre_classifier')) continue
    const [m, a, b] = (await Promise.all(open.map((checkpoint) => checkpoint.readFloat32(name)))) as [
      Float32Array,
      Float32Array,
      Float32Array,
    ]
    const axis = axes.findIndex((group) => group?.startsWith('neurons.'))
    if (axis < 0) {
      for (const [i, x] of m.entries()) expect(x).toBeCloseTo((a[i]! + b[i]!) / 2, 6)
      continue
    }
    const width = axis === 0 ? a.length / neurons : neurons
    const wide = axis === 0 ? width : neurons + apart
    const unit = (values: Float32Array, columns: number, i: number) =>
      Array.from(values).filter((_, at) => (axis === 0 ? Math.floor(at / columns) : at % columns) === i)
    const half = axis === 0 ? 1 : 0.5
    const alone: number[] = []
    for (let i = 0; i < neurons; i++) {
      const [own, other, got] = [unit(a, width, i), unit(b, width, i), unit(m, wide, i)]
      const isMean = got.every((x, j) => Math.abs(x - (own[j]! + other[j]!) / 2) < 1e-6)
      const isOwn = got.every((x, j) => Math.abs(x - half * own[j]!) < 1e-6)
      expect(isMean || isOwn).toBe(true)
      if (isOwn) alone.push(i)
    }
    expect(alone.length).toBeGreaterThanOrEqual(apart)
    for (let k = 0; k < apart; k++) {
      const got = unit(m, wide, neurons + k)
      const from = alone.some((i) => unit(b, width, i).every((x, j) => Math.abs(half * x - got[j]!) < 1e-6))
      expect(from).toBe(true)
    }
  }
  await Promise.all(open.map((checkpoint) => checkpoint.close()))
}

describe('partial merging', () => {
  const groups = new Map([
    ['residual', 2],
    ['neurons.0', 2],
  ])
  const encoder = (way: number[], bias: number[], out: number[]) =>
    new Map([
      ['in', { values: matrix(2, 2, way), axes: ['neurons.0', 'residual'] }],
      ['bias', { values: matrix(2, 1, bias), axes: ['neurons.0'] }],
      ['out', { values: matrix(2, 2, out), axes: ['residual', 'neurons.0'] }],
    ])
  const a = encoder([1, 0, 0, 1], [0.1, 0.2], [1, 2, 3, 4])
  const b = encoder([1, 0, 5, 1], [0.1, 0.2], [1, 2, 3, 6])
  const average = (name: string, separate: number) => {
    const separation = leastAlike(a, b, groups, separate)
    const [x, y] = [a.get(name)!, b.get(name)!]
    const wide = [
      widened(x.values, y.values, x.axes, separation, true),
      widened(y.values, x.values, x.axes, separation, false),
    ]
    return Array.from(wide[0]!.data, (value, i) => (value + wide[1]!.data[i]!) / 2)
  }

  it('keeps the pair apart that is least alike', () => {
    expect(Array.from(leastAlike(a, b, groups, 0.5).get('neurons.0')!)).toEqual([1])
    expect(leastAlike(a, b, groups, 0).get('neurons.0')).toHaveLength(0)
    expect(average('in', 0.5)).toEqual([1, 0, 0, 1, 5, 1])
    expect(average('bias', 0.5)).toEqual([0.1, 0.2, 0.2])
    expect(average('out', 0.5)).toEqual([1, 1, 1, 3, 2, 3])
  })

  it('all apart: the block gives the mean of both blocks', () => {
    const relu = (x: number) => Math.max(0, x)
    const run = (
      width: number,
      way: readonly number[],
      bias: readonly number[],
      out: readonly number[],
      x: number[],
    ) => {
      const hidden = bias.map((start, i) => relu(way[2 * i]! * x[0]! + way[2 * i + 1]! * x[1]! + start))
      return [0, 1].map((r) => hidden.reduce((sum, h, i) => sum + h * out[r * width + i]!, 0))
    }
    const of = (model: typeof a, x: number[]) =>
      run(
        2,
        ...(['in', 'bias', 'out'].map((name) => Array.from(model.get(name)!.values.data)) as [
          number[],
          number[],
          number[],
        ]),
        x,
      )
    for (const x of [
      [1, 2],
      [-0.3, 0.7],
    ]) {
      const both = run(4, average('in', 1), average('bias', 1), average('out', 1), x)
      for (const [r, value] of both.entries()) expect(value).toBeCloseTo((of(a, x)[r]! + of(b, x)[r]!) / 2, 12)
    }
  })
})

describe('matching units', () => {
  it('assigns by inner products', async () => {
    const a = matrix(2, 3, [1, 0, 2, 0, 1, 1])
    const b = matrix(2, 3, [2, 1, 0, 1, 0, 1])
    const order = matchRows(await MatrixKernels.open(), transposed(a), transposed(b))
    expect(Array.from(order)).toEqual([1, 2, 0])
    expect(Array.from(permuted({ values: b, axes: [undefined, 'units'] }, new Map([['units', order]])).data)).toEqual(
      Array.from(a.data),
    )
  })

  it.each(Object.keys(families) as (keyof typeof families)[])(
    'finds the shuffled units of %s again',
    async (family) => {
      const [a, b] = await shuffledPair(family)
      const logits = await logitsOf(a)
      for (const [i, x] of (await logitsOf(b)).entries()) expect(x).toBeCloseTo(logits[i]!, 5)
      const out = join(folder, `${family}-matched`)
      const result = await permuteToMatch(b, { reference: a, out })
      // ones in the norms make strangers look alike
      expect(result.before).toBeLessThan(0.95)
      expect(result.after).toBeCloseTo(1, 6)
      const [matched, original] = [await openCheckpoint(out), await openCheckpoint(a)]
      for (const name of original.tensors.keys())
        if (!name.startsWith('classifier') && !name.startsWith('pre_classifier'))
          expect(await matched.readFloat32(name)).toEqual(await original.readFloat32(name))
      await Promise.all([matched.close(), original.close()])
      for (const [i, x] of (await logitsOf(out)).entries()) expect(x).toBeCloseTo(logits[i]!, 5)
    },
  )

  it('leaves what an encoder calculates as it is, also beside a stranger', async () => {
    const [a] = await shuffledPair('bert')
    const stranger = join(folder, 'stranger')
    const model = encoderModel(readEncoderConfig(families.bert), { units: 4 })
    const weights = initialWeights(model, 2)
    await writeCheckpoint(stranger, {
      config: { ...families.bert },
      tensors: model.parameters.map(({ name, shape }) => ({
        name,
        dtype: 'F32' as const,
        shape: [...shape],
        data: weights.get(name)!,
      })),
    })
    const out = join(folder, 'stranger-matched')
    const result = await permuteToMatch(stranger, { reference: a, out })
    expect(result.after).toBeGreaterThan(result.before)
    const before = await logitsOf(stranger)
    for (const [i, x] of (await logitsOf(out)).entries()) expect(x).toBeCloseTo(before[i]!, 5)
    const same = await permuteToMatch(a, { reference: a, out: join(folder, 'same') })
    expect(same.moved).toBe(0)
  })

  it.each(Object.keys(families) as (keyof typeof families)[])(
    'keeps the neurons of %s apart that are least alike: both calculate what they did, and their average merges the rest',
    async (family) => {
      const [a] = await shuffledPair(family)
      const stranger = join(folder, `${family}-stranger`)
      const model = encoderModel(readEncoderConfig(families[family]), { units: 4 })
      const weights = initialWeights(model, 3)
      await writeCheckpoint(stranger, {
        config: { ...families[family] },
        tensors: model.parameters.map(({ name, shape }) => ({
          ...{ name, dtype: 'F32' as const, shape: [...shape] },
          data: weights.get(name)!,
        })),
      })
      const [wideA, wideB] = [join(folder, `${family}-wide-a`), join(folder, `${family}-wide-b`)]
      const options = { reference: a, out: wideB, referenceOut: wideA }
      const result = await permuteToMatch(stranger, { ...options, separate: 0.25 })
      expect(result.separate).toBe(10)
      for (const [wide, original] of [
        [wideA, a],
        [wideB, stranger],
      ] as const) {
        const before = await logitsOf(original)
        for (const [i, x] of (await logitsOf(wide)).entries()) expect(x).toBeCloseTo(before[i]!, 5)
        const checkpoint = await openCheckpoint(wide)
        expect(readEncoderConfig(checkpoint.config).intermediateSize).toBe(50)
        await checkpoint.close()
      }
      const matched = join(folder, `${family}-narrow`)
      await permuteToMatch(stranger, { reference: a, out: matched })
      const merged = join(folder, `${family}-partial`)
      await merge([wideA, wideB], { method: linear(), out: merged, head: { kind: 'keep-per-task' } })
      await expectPartialMerge({ merged, a, matched, neurons: 40, apart: 10 })
    },
  )

  it('refuses to keep neurons apart in one encoder only, and shares above 1', async () => {
    const [a, b] = await shuffledPair('bert')
    for (const options of [{ separate: 0.5 }, { referenceOut: 'never' }, { separate: 2, referenceOut: 'never' }]) {
      const work = permuteToMatch(b, { reference: a, out: join(folder, 'never'), ...options })
      await expect(work).rejects.toMatchObject({ code: 'OPTION_RANGE' })
    }
  })

  it('refuses encoders of another size', async () => {
    const [a] = await shuffledPair('bert')
    const work = permuteToMatch(a, { reference: join(fixtures, 'bert'), out: join(folder, 'never') })
    const error = await work.catch((fault: EspalierError) => fault)
    expect(error).toMatchObject({ code: 'PERMUTE_SHAPE' })
  })
})
