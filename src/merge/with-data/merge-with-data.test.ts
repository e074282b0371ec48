import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadTasks } from '../../classify/load-tasks.ts'
import { predict } from '../../classify/predict.ts'
import { pretrain } from '../../classify/pretrain.ts'
import { train } from '../../classify/train.ts'
import { datasetOf } from '../../data/dataset.ts'
import { Graph } from '../../graph/index.ts'
import { openEncoder } from '../../models/index.ts'
import { merge } from '../merge.ts'
import { linear } from '../methods/linear.ts'
import { EntropyOfBlend } from './learn-coefficients.ts'
import { GramCollector, linearInputs, tokenCounts } from './linear-grams.ts'
import { addModel } from './merge-by-importance.ts'
import { type AplOptions, scoreChange } from './merge-located.ts'
import { mergeWithData } from './merge-with-data.ts'
import * as methods from './methods/index.ts'
import { softmaxOf } from './own-labels.ts'
import { between, gradientEffects, interventionEffects, partEffects, partsOf } from './parameter-effects.ts'
import { openSpecialists, type Specialist, type Specialists } from './specialists.ts'
import { diagonalFisher } from './squared-gradients.ts'
import { openLandscape } from './task-landscape.ts'

const { adamerging, apl, fisher, regmean, regmeanPlusplus } = methods
const colours = ['red', 'green', 'blue', 'black']
const animals = ['cat', 'dog', 'bird']
const texts = Array.from({ length: 160 }, (_, i) => `the ${colours[i % 4]} ${animals[i % 3]} sleeps in room ${i % 7}`)
const rows = {
  colour: texts.map((text, i) => ({ text, labels: [[colours[i % 4]!]] })),
  animal: texts.map((text, i) => ({ text, labels: [[animals[i % 3]!]] })),
}
const data = [datasetOf(rows.colour), datasetOf(rows.animal)]

let folder: string
const at = (name: string) => join(folder, name)
const pair = () => [at('colour'), at('animal')]
let specialists: Specialists

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-with-data-'))
  const shape = { layers: 2, hiddenSize: 32, vocabularySize: 120, maxLength: 16, epochs: 2 }
  await pretrain(datasetOf(texts.map((text) => ({ text }))), { ...shape, out: at('base') })
  const options = { encoder: at('base'), epochs: 25, lr: 5e-3, threads: 1, maxLength: 16 }
  for (const [name, part] of Object.entries(rows))
    await (await train(datasetOf(part), { ...options, out: at(name) })).close()
  specialists = await openSpecialists(pair(), { base: at('base'), data, rows: 64, seed: 0, labels: true })
}, 120_000)
afterAll(() => rm(folder, { recursive: true, force: true }))

async function accuracies(model: string): Promise<number[]> {
  const opened = await loadTasks(at(model))
  const found: number[] = []
  for (const task of ['colour', 'animal'] as const) {
    const answers = await predict(opened.classifier(task), texts)
    found.push(
      answers.filter((answer, i) => answer.paths[0]?.path[0] === rows[task][i]!.labels[0]![0]).length / texts.length,
    )
  }
  await opened.close()
  return found
}

describe('Gram matrices of linear maps', () => {
  it('finds the input of every linear map', () => {
    const { model } = specialists.models[0]!
    const found = linearInputs(model.build(new Graph()))
    const expected = model.parameters.filter(({ name, shape }) => shape.length === 2 && !/embeddings/.test(name))
    expect([...found.keys()].sort()).toEqual(expected.map(({ name }) => name).sort())
    const first = 'bert.encoder.layer.0.attention.self'
    expect(found.get(`${first}.query.weight`)).toBe(found.get(`${first}.value.weight`))
  })

  it('sums the products of inputs over real tokens alone, whatever the batches', async () => {
    const [{ model, weights, rows }] = specialists.models as [Specialists['models'][0]]
    const tokens = [rows.tokens[0]!, rows.tokens[1]!.slice(0, 4), rows.tokens[2]!.slice(0, 7)]
    const collector = await GramCollector.open(model, () => true, { threads: 1 })
    const together = await collector.collect(weights, tokens)
    const alone: Awaited<ReturnType<typeof collector.collect>>[] = []
    for (const text of tokens) alone.push(await collector.collect(weights, [text]))
    await collector.close()
    for (const [name, { sum, count }] of together) {
      const first = /pooler|classifier|layer\.1\.(attention\.(self\.query|output)|intermediate|output)/.test(name)
      expect(count, name).toBe(first ? 3 : tokens.reduce((total, { length }) => total + length, 0))
      const added = sum.data.map((_, i) => alone.reduce((total, part) => total + part.get(name)!.sum.data[i]!, 0))
      const size = Math.max(...sum.data.map(Math.abs))
      for (const [i, value] of sum.data.entries()) expect(Math.abs(value - added[i]!)).toBeLessThan(1e-4 * size)
    }
    // What the pooler is given is the first token of the last hidden states.
    const encoder = await openEncoder(model, weights, 'hidden')
    const states = await encoder.run(tokens)
    await encoder.close()
    const { rows: width, data: sum } = together.get('bert.pooler.dense.weight')!.sum
    for (const [i, j] of [
      [0, 0],
      [1, 5],
      [31, 2],
    ] as const) {
      const expected = states.reduce((total, state) => total + state[i]! * state[j]!, 0)
      expect(sum[i * width + j]!).toBeCloseTo(expected, 3)
    }
  })

  it('counts tokens', () => {
    expect([...tokenCounts([Int32Array.of(1, 3, 1), Int32Array.of(3)], 5)]).toEqual([0, 2, 0, 2, 0])
  })
})

describe('the diagonal of the Fisher information', () => {
  const names = ['bert.encoder.layer.0.output.dense.bias', 'bert.embeddings.word_embeddings.weight']
  /** Probabilities of one text's labels with one weight moved. */
  async function moved({ model, weights, rows }: Specialist, name: string, index: number, by: number) {
    const changed = new Map(weights)
    const values = weights.get(name)!.slice()
    values[index]! += by
    changed.set(name, values)
    const encoder = await openEncoder(model, changed, 'logits')
    const [logits] = await encoder.run([rows.tokens[0]!])
    await encoder.close()
    return softmaxOf(logits!, 0, logits!.length)
  }

  it('is what finite differences of the log-likelihood give, for given and for expected labels', async () => {
    const whole = specialists.models[0]!
    const tokens = [whole.rows.tokens[0]!]
    const one = {
      ...whole,
      rows: { texts: whole.rows.texts.slice(0, 1), tokens, labels: whole.rows.labels.slice(0, 1) },
    }
    const options = { threads: 1, key: [0], names }
    const given = await diagonalFisher(one, { ...options, labels: 'given' })
    const expected = await diagonalFisher(one, { ...options, labels: 'expected' })
    const right = one.layout.unitNodes.indexOf(one.rows.labels[0]![0]!)
    const token = tokens[0]![2]!
    for (const [name, index] of [
      [names[0]!, 3],
      [names[1]!, token * 32 + 5],
    ] as const) {
      const step = 2e-2
      const [up, down] = [await moved(one, name, index, step), await moved(one, name, index, -step)]
      const middle = await moved(one, name, index, 0)
      const slopes = Array.from(up, (p, unit) => (Math.log(p) - Math.log(down[unit]!)) / (2 * step))
      const exact = slopes.reduce((sum, slope, unit) => sum + middle[unit]! * slope ** 2, 0)
      expect(given.get(name)![index]! / slopes[right]! ** 2).toBeCloseTo(1, 1)
      expect(expected.get(name)![index]! / exact).toBeCloseTo(1, 1)
    }
    const unseen = [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20].find((id) => !tokens[0]!.includes(id))!
    expect(given.get(names[1]!)![unseen * 32]).toBe(0)
  })

  it('of drawn labels is near to the expected one', async () => {
    const options = { threads: 1, key: [1], names: names.slice(0, 1) }
    const sum = (values: Float64Array) => values.reduce((a, b) => a + b, 0)
    // At a fitted model all labels but one are improbable, so the base's head answers here: every label is drawn.
    const unsure = {
      ...specialists.models[0]!,
      weights: new Map([...specialists.models[0]!.weights, ...specialists.base!]),
    }
    const drawn = await diagonalFisher(unsure, { ...options, labels: 'drawn' })
    const expected = await diagonalFisher(unsure, { ...options, labels: 'expected' })
    const ratio = sum(drawn.get(names[0]!)!) / sum(expected.get(names[0]!)!)
    expect(ratio).toBeGreaterThan(0.6)
    expect(ratio).toBeLessThan(1.6)
  })

  it('weights models by their diagonals over the length', () => {
    const one = (...values: number[]) => new Map([['w', Float64Array.from(values)]])
    const sums = one(0, 0)
    const totals = one(0, 0)
    addModel(sums, totals, new Map([['w', Float32Array.of(1, 2)]]), one(3, 4), 1e-6)
    addModel(sums, totals, new Map([['w', Float32Array.of(5, 6)]]), one(8, 0), 1e-6)
    expect(totals.get('w')![0]).toBeCloseTo(1.600002, 9)
    expect(sums.get('w')![0]! / totals.get('w')![0]!).toBeCloseTo((0.6 + 5) / 1.6, 5)
    expect(sums.get('w')![1]! / totals.get('w')![1]!).toBeCloseTo(2, 5)
  })
})

describe('AdaMerging', () => {
  it('has the slopes that finite differences of the entropy give, for each group and model', async () => {
    const group = (name: string) => (name.includes('embeddings') ? 'embeddings' : 'rest')
    const blend = await EntropyOfBlend.open(specialists, group, 1)
    const batches = specialists.models.map(({ rows }) => rows.tokens.slice(0, 8))
    const at = (...values: [number, number, number, number]) => {
      const coefficients = new Map([
        ['embeddings', Float64Array.of(values[0], values[1])],
        ['rest', Float64Array.of(values[2], values[3])],
      ])
      blend.set(coefficients)
      return blend.slopes(coefficients, batches)
    }
    const point = [0.3, 0.25, 0.35, 0.3] as const
    const { slopes } = await at(...point)
    const found = [...slopes.get('embeddings')!, ...slopes.get('rest')!]
    for (const [i, slope] of found.entries()) {
      const step = 5e-3
      const moved = (by: number) =>
        at(...(point.map((x, j) => (i === j ? x + by : x)) as [number, number, number, number]))
      const [up, down] = [await moved(step), await moved(-step)]
      expect((up.entropy - down.entropy) / (2 * step) / slope).toBeCloseTo(1, 1)
    }
    await blend.close()
  })

  it('starts as task arithmetic, and makes the answers more certain', async () => {
    const common = { threads: 1, seed: 0 }
    const start = await adamerging({ steps: 0, start: 0.5, level: 'task' }).merge(specialists, common)
    for (const name of specialists.shared.slice(0, 6)) {
      const origin = specialists.base!.get(name)!
      for (const i of [0, 7, 31]) {
        const sum = specialists.models.reduce((total, { weights }) => total + weights.get(name)![i]! - origin[i]!, 0)
        expect(start.weights.get(name)![i]!).toBeCloseTo(origin[i]! + 0.5 * sum, 5)
      }
    }
    const { report } = await adamerging({ steps: 30, learningRate: 0.01, level: 'layer' }).merge(specialists, common)
    const { first, last } = report['entropy'] as { first: number; last: number }
    expect(last).toBeLessThan(first)
    expect(Object.keys(report['coefficients'] as object).length).toBe(4)
  })
})

describe('APL', () => {
  const run = { threads: 1, seed: 0 }
  it('ranks rows by gradients as the intervention does', async () => {
    const [fitted] = specialists.models
    const names = specialists.shared
    const of = (weights: ReadonlyMap<string, Float32Array>) => new Map(names.map((name) => [name, weights.get(name)!]))
    const base = of(specialists.base!)
    // Half way: a model that has come to rest has hardly any gradient.
    const model = between(base, of(fitted!.weights), 0.5)
    const landscape = await openLandscape(fitted!, names, { labels: 'own', threads: 1 })
    const parts = partsOf(specialists.shapes, 'row').filter(
      ({ name, start }, i) => i % 7 === 0 && !(name.includes('embeddings') && start > 1000),
    )
    const near = partEffects(await gradientEffects(landscape, base, model, [1]), parts)
    const exact = await interventionEffects(landscape, base, model, parts)
    await landscape.close()
    const [a, b] = [near, exact].map((list) => list.map((x) => list.filter((y) => y < x).length))
    const n = parts.length
    const squares = a!.reduce((sum, rank, i) => sum + (rank - b![i]!) ** 2, 0)
    expect(1 - (6 * squares) / (n * (n * n - 1))).toBeGreaterThan(0.8)
  })

  it('scores tokens that no text has as nothing, and is task arithmetic if all is kept', async () => {
    const method = apl().options as unknown as AplOptions
    const [model] = specialists.models
    const table = (await scoreChange(model!, specialists, method, run)).get(model!.model.tokenTable)!
    const used = new Set(model!.rows.tokens.flatMap((text) => [...text]))
    const silent = Array.from({ length: table.length / 32 }, (_, id) => id).filter((id) => !used.has(id))
    expect(silent.length).toBeGreaterThan(0)
    for (const id of silent) expect(table.subarray(id * 32, (id + 1) * 32).every((x) => x === 0)).toBe(true)
    const { weights } = await apl({ density: 1, lambda: 0.5 }).merge(specialists, run)
    const plain = await adamerging({ steps: 0, start: 0.5 }).merge(specialists, run)
    for (const name of specialists.shared)
      for (const [i, value] of weights.get(name)!.entries()) expect(value).toBeCloseTo(plain.weights.get(name)![i]!, 5)
  })

  it('keeps as much as it is told, and elects signs among what is left', async () => {
    const { weights } = await apl({ density: 0.1, lambda: 1, inner: 'ties' }).merge(specialists, run)
    let [changed, total] = [0, 0]
    for (const name of specialists.shared) {
      const origin = specialists.base!.get(name)!
      for (const [i, value] of weights.get(name)!.entries()) if (value !== origin[i]) changed++
      total += origin.length
    }
    expect(changed / total).toBeGreaterThan(0.1)
    expect(changed / total).toBeLessThanOrEqual(0.2)
    await expect(apl({ effect: 'intervention' }).merge(specialists, run)).rejects.toMatchObject({
      code: 'METHOD_OPTION',
    })
  })
})

describe('mergeWithData', () => {
  it('writes a multi-task model that keeps both tasks better than the mean, equal bytes for equal seeds', async () => {
    // Labels that the models do not know matter to no method that needs none.
    const foreign = [datasetOf(rows.colour.map(({ text }) => ({ text, labels: [['other']] }))), data[1]!]
    const result = await mergeWithData(pair(), { method: regmean(), data: foreign, rows: 64, out: at('regmean') })
    expect(result.rows).toEqual([64, 64])
    expect(result.plan.heads.length).toBe(2)
    await merge(pair(), { method: linear(), out: at('mean'), threads: 1 })
    const [found, plain] = [await accuracies('regmean'), await accuracies('mean')]
    expect(found[0]! + found[1]!).toBeGreaterThan(plain[0]! + plain[1]!)
    await mergeWithData(pair(), { method: regmean(), data, rows: 64, out: at('again') })
    const [a, b] = await Promise.all(['regmean', 'again'].map((name) => readFile(at(`${name}/model.safetensors`))))
    expect(a!.equals(b!)).toBe(true)
    const record = JSON.parse(await readFile(at('regmean/espalier.json'), 'utf8'))
    expect(record).toMatchObject({ method: 'regmean', options: { alpha: 0.9 }, rows: [64, 64] })
  })

  it.each([regmean, regmeanPlusplus, fisher])('%o gives a model back that is merged with itself', async ({ info }) => {
    const method = Object.values(methods).find((found) => found.info === info)!()
    const same = { ...specialists, models: [specialists.models[0]!, specialists.models[0]!] }
    const { weights } = await method.merge(same, { threads: 1, seed: 0 })
    for (const name of specialists.shared) {
      const [found, expected] = [weights.get(name)!, specialists.models[0]!.weights.get(name)!]
      const size = Math.max(...expected.map(Math.abs))
      for (let i = 0; i < expected.length; i++)
        expect(Math.abs(found[i]! - expected[i]!)).toBeLessThan(1e-4 * size + 1e-12)
    }
  })

  it('says what does not fit', async () => {
    const fault = (options: object) => mergeWithData(pair(), { method: regmean(), data, out: at('never'), ...options })
    await expect(fault({ data: data.slice(1) })).rejects.toMatchObject({ code: 'MERGE_INPUT' })
    const bare = texts.map((text) => ({ text }))
    const given = { method: fisher({ labels: 'given' }), data: [datasetOf(bare), data[1]] }
    await expect(fault(given)).rejects.toMatchObject({ code: 'LABELS_NONE' })
    await expect(fault({ method: adamerging() })).rejects.toMatchObject({ code: 'BASE_MISSING' })
    await expect(fault({ rows: 0 })).rejects.toMatchObject({ code: 'OPTION_RANGE' })
    await expect(fault({ method: regmean({ rest: 'sum' }) })).rejects.toMatchObject({ code: 'BASE_MISSING' })
    await expect(fault({ data: [datasetOf([]), data[1]] })).rejects.toMatchObject({ code: 'DATA_EMPTY' })
    await expect(fault({ out: at('colour') })).rejects.toMatchObject({ code: 'OUT_EXISTS' })
    expect(() => regmean({ alpha: 2 })).toThrow(expect.objectContaining({ code: 'METHOD_OPTION' }))
  })
})
