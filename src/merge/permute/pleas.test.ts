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
import { permuteToMatch } from '../merge.ts'
import { withoutPrefix } from '../plan/tensor-names.ts'
import { axesOf, unitGroups } from './encoder-units.ts'
import { matchRows, permuted } from './match-units.ts'

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

  it('refuses encoders of another size', async () => {
    const [a] = await shuffledPair('bert')
    const work = permuteToMatch(a, { reference: join(fixtures, 'bert'), out: join(folder, 'never') })
    const error = await work.catch((fault: EspalierError) => fault)
    expect(error).toMatchObject({ code: 'PERMUTE_SHAPE' })
  })
})
