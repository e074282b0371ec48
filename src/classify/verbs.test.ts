import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { datasetOf } from '../data/dataset.ts'
import { parseLabelTree } from '../labels/read-label-tree.ts'
import { evaluate } from './evaluate.ts'
import { loadClassifier } from './load-classifier.ts'
import { conditionalSoftmax, flat, perNode } from './methods/index.ts'
import { planTrain } from './plan-train.ts'
import { predict } from './predict.ts'
import { train } from './train.ts'
import { workFolderOf } from './work-folder.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-verbs-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const words = {
  visa: ['visa', 'passport', 'border', 'embassy'],
  hotel: ['hotel', 'room', 'bed', 'breakfast'],
  card: ['card', 'pin', 'stolen', 'plastic'],
  loan: ['loan', 'interest', 'mortgage', 'debt'],
}
const paths: Record<string, string[]> = {
  visa: ['travel', 'visa'],
  hotel: ['travel', 'hotel'],
  card: ['bank', 'card'],
  loan: ['bank', 'loan'],
}
const fillers = [
  'please help with my',
  'i want to know about the',
  'what happens to a',
  'tell me of this',
  'how do i get another',
]

/** Rows whose topic shows in their words; every text is different. */
function rows(perTopic: number, offset = 0) {
  return Object.entries(words).flatMap(([topic, own]) =>
    Array.from({ length: perTopic }, (_, i) => {
      const n = i + offset
      return { text: `${fillers[n % 5]} ${own[n % 4]} ${own[(n >> 2) % 4]} number ${n}`, labels: [paths[topic]!] }
    }),
  )
}
const data = datasetOf(rows(24))
const test = datasetOf(rows(8, 1000))

describe.each([
  ['flat', flat()],
  ['conditional-softmax', conditionalSoftmax({ logitAdjustment: 0.5 })],
  ['per-node', perNode()],
])('ngram with %s', (name, method) => {
  it('learns, is calibrated, and gives the same answers after saving and loading', async () => {
    const out = join(folder, name)
    const model = await train(data, { method, out, dev: datasetOf(rows(6, 500)), threads: 1 })
    const { metrics } = await evaluate(model, test)
    expect(metrics.exactPath).toBeGreaterThan(0.95)
    expect(metrics.consistency).toBe(1)
    const texts = ['my passport at the border', 'a stolen card and its pin']
    const answers = await predict(model, texts, { topK: 3 })
    expect(answers.map(({ path }) => path)).toEqual([paths['visa'], paths['card']])
    for (const { confidence, top } of answers) {
      expect(confidence[0]).toBeGreaterThanOrEqual(confidence[1]!)
      expect(top).toHaveLength(3)
      expect(top[0]!.probability).toBeGreaterThanOrEqual(top[1]!.probability)
    }
    const loaded = await loadClassifier(out)
    expect(await predict(loaded, texts, { topK: 3 })).toEqual(answers)
    expect((await readdir(out)).sort()).toEqual([
      'classifier.json',
      'config.json',
      'espalier.json',
      'labels.json',
      'model.safetensors',
    ])
    expect(JSON.parse(await readFile(join(out, 'espalier.json'), 'utf8'))).toMatchObject({
      verb: 'train',
      encoder: 'ngram',
      method: { name },
      seed: 0,
    })
    await expect(stat(workFolderOf(out))).rejects.toThrow()
  })
})

describe('several labels per row', () => {
  const both = datasetOf([
    ...rows(20),
    ...Array.from({ length: 20 }, (_, i) => ({
      text: `${words.visa[i % 4]} and ${words.loan[(i >> 1) % 4]} case ${i}`,
      labels: [paths['visa']!, paths['loan']!],
    })),
  ])
  it.each([
    ['flat', flat()],
    ['per-node', perNode()],
  ])('predicts several paths with %s', async (_, method) => {
    const model = await train(both, { method, threads: 1 })
    expect(model.settings.multiLabel).toBe(true)
    const [answer] = await predict(model, ['passport and mortgage'])
    expect(answer!.paths.map(({ path }) => path).sort()).toEqual([paths['loan'], paths['visa']])
    const { metrics } = await evaluate(model, both)
    expect(metrics.microF1).toBeGreaterThan(0.9)
    expect(metrics.consistency).toBe(1)
  })
  it('is refused by a method of one path per row', async () => {
    await expect(train(both, { method: conditionalSoftmax() })).rejects.toMatchObject({
      code: 'METHOD_DATA',
      exitCode: 2,
    })
  })
})

it('trains on labels with several parents', async () => {
  const tree = parseLabelTree({ visa: ['travel', 'office'], hotel: 'travel', card: ['bank', 'office'], loan: 'bank' })
  const model = await train(datasetOf(rows(24).map(({ text, labels }) => ({ text, labels: [labels[0]!.slice(-1)] }))), {
    labels: tree,
    threads: 1,
  })
  expect(model.settings.method.name).toBe('per-node')
  const { metrics } = await evaluate(model, datasetOf([{ text: 'passport visa border', labels: [['office', 'visa']] }]))
  expect(metrics).toMatchObject({ exactPath: 1, consistency: 1 })
})

it('favours rare siblings with logit adjustment', async () => {
  const skewed = datasetOf([
    ...rows(24).filter(({ labels }) => labels[0]![1] !== 'visa'),
    ...rows(3).filter(({ labels }) => labels[0]![1] === 'visa'),
  ])
  const text = ['something else entirely']
  const shares = []
  for (const logitAdjustment of [0, 1]) {
    const model = await train(skewed, { method: conditionalSoftmax({ logitAdjustment }), threads: 1 })
    const [answer] = await predict(model, text, { topK: 4 })
    const of = (name: string) => answer!.top.find(({ path }) => path[1] === name)!.probability
    shares.push(of('visa') / of('hotel'))
  }
  expect(shares[1]!).toBeGreaterThan(2 * shares[0]!)
})

it('learns paths that stop at an inner node', async () => {
  const stops = Array.from({ length: 24 }, (_, i) => ({ text: `general money matter ${i}`, labels: [['bank']] }))
  for (const method of [flat(), conditionalSoftmax(), perNode()]) {
    const model = await train(datasetOf([...rows(24), ...stops]), { method, threads: 1 })
    const [inner, leaf] = await predict(model, ['general money matter', 'loan interest debt'])
    expect(inner!.path).toEqual(['bank'])
    expect(leaf!.path).toEqual(['bank', 'loan'])
  }
})

it('stops at an inner node or abstains when it is unsure', async () => {
  const model = await train(data, { threads: 1 })
  const text = ['stolen card loan interest']
  const [sure] = await predict(model, text)
  const between = (sure!.confidence[0]! + sure!.confidence[1]!) / 2
  const [unsure] = await predict(model, text, { minConfidence: between })
  expect(unsure!.path).toEqual(sure!.path.slice(0, 1))
  const [none] = await predict(model, ['zzz qqq xxx'], { minConfidence: 0.99 })
  expect(none).toMatchObject({ path: [], paths: [] })
  const outOfScope = datasetOf([{ text: 'zzz qqq xxx', labels: [] }])
  expect((await evaluate(model, outOfScope, { minConfidence: 0.9 })).metrics.exactPath).toBe(1)
})

it('gives the same bytes for the same seed, whatever the number of threads', async () => {
  const bytes = []
  for (const threads of [1, 2]) {
    const out = join(folder, `threads-${threads}`)
    await train(data, { out, threads, seed: 3 })
    bytes.push(await readFile(join(out, 'model.safetensors')))
  }
  expect(bytes[0]!.equals(bytes[1]!)).toBe(true)
})

describe('output folders', () => {
  it('are never overwritten unless asked to, and then only our own', async () => {
    const out = join(folder, 'twice')
    await train(data, { out, threads: 1 })
    await expect(train(data, { out })).rejects.toMatchObject({ code: 'OUT_EXISTS', exitCode: 2 })
    await train(data, { out, force: true, threads: 1 })
    await writeFile(join(folder, 'file'), '')
    await expect(train(data, { out: join(folder, 'file'), force: true })).rejects.toMatchObject({ code: 'OUT_EXISTS' })
  })

  it('stay absent when training is interrupted, and --resume wants the same run', async () => {
    const out = join(folder, 'interrupted')
    const controller = new AbortController()
    const onProgress = ({ step }: { step: string }) => step === 'train ngram' && controller.abort()
    await expect(train(data, { out, signal: controller.signal, onProgress })).rejects.toMatchObject({
      code: 'INTERRUPTED',
      exitCode: 1,
    })
    await expect(stat(out)).rejects.toThrow()
    const work = await stat(workFolderOf(out)).catch(() => undefined)
    if (work) {
      await expect(train(data, { out })).rejects.toMatchObject({ code: 'RUN_WAITING' })
      await expect(train(data, { out, resume: true, seed: 9 })).rejects.toMatchObject({ code: 'RESUME_MISMATCH' })
    }
    await train(data, { out, resume: true, threads: 1 })
    const whole = join(folder, 'uninterrupted')
    await train(data, { out: whole, threads: 1 })
    expect(
      (await readFile(join(out, 'model.safetensors'))).equals(await readFile(join(whole, 'model.safetensors'))),
    ).toBe(true)
  })
})

it('plans without training or writing', async () => {
  const out = join(folder, 'planned')
  const plan = await planTrain(datasetOf([...rows(24), rows(1)[0]!]), { out })
  expect(plan).toMatchObject({
    encoder: 'ngram',
    method: { name: 'flat' },
    rows: 97,
    labels: { count: 6, levels: 2, leaves: 4, multiLabel: false },
  })
  expect(plan.warnings).toContain('1 training rows repeat an earlier one')
  expect(plan.peakMemoryBytes).toBeGreaterThan(1e6)
  await expect(stat(out)).rejects.toThrow()
})

describe('the encoder mini', () => {
  it('learns from scratch, and gives the same answers after saving and loading', async () => {
    const out = join(folder, 'mini')
    const model = await train(data, { encoder: 'mini', out, epochs: 12, batch: 8, maxLength: 16, threads: 2 })
    const loaded = await loadClassifier(out, { threads: 2 })
    const { metrics } = await evaluate(loaded, test)
    expect(metrics.exactPath).toBeGreaterThan(0.8)
    const [before] = await predict(model, ['my passport at the border'])
    const [after] = await predict(loaded, ['my passport at the border'])
    expect(after!.confidence[1]).toBeCloseTo(before!.confidence[1]!, 5)
    expect(await readdir(out)).toEqual(
      expect.arrayContaining(['tokenizer.json', 'train-log.jsonl', 'model.safetensors', 'config.json']),
    )
    const plan = await planTrain(data, { encoder: 'mini', epochs: 6 })
    expect(plan.parameters).toBeGreaterThan(500_000)
    await Promise.all([model.close(), loaded.close()])
  })

  it('makes a checkpoint that loads as a plain classifier without our files', async () => {
    const out = join(folder, 'mini')
    for (const file of ['classifier.json', 'labels.json', 'espalier.json']) await rm(join(out, file))
    const plain = await loadClassifier(out)
    const [answer] = await predict(plain, ['my passport at the border'])
    expect(answer!.path).toEqual(['travel › visa'])
    await plain.close()
  })
})
