import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { HeadLayout } from '../labels/head-layout.ts'
import { headTargets } from '../labels/head-targets.ts'
import { LabelTree } from '../labels/label-tree.ts'
import type { NgramModel } from '../models/ngram.ts'
import { loadNgramModel, saveNgramModel } from '../models/ngram-files.ts'
import { random } from '../tensor/random.ts'
import { trainLinear } from './linear.ts'

const branches = { animal: ['cat', 'dog', 'horse'], plant: ['oak', 'rose'], stone: ['flint', 'granite', 'marble'] }
const tree = new LabelTree(
  Object.entries(branches).flatMap(([branch, leaves]) => [
    { key: branch, name: branch, parents: [] },
    ...leaves.map((leaf) => ({ key: leaf, name: leaf, parents: [branch] })),
  ]),
)
const idOf = new Map(tree.nodes.map((node) => [node.name, node.id]))

/** Sentences about one leaf, with words of its branch, and filler words that say nothing. */
function sentences(count: number, key: string): { texts: string[]; labels: number[][] } {
  const r = random('linear test', key)
  let at = 0
  const pick = <T>(list: readonly T[]): T => list[Math.floor(r.uniform(at++) * list.length)]!
  const filler = 'the a of near some old we saw it was there today again two much late'.split(' ')
  const texts: string[] = []
  const labels: number[][] = []
  for (let i = 0; i < count; i++) {
    const [branch, leaves] = pick(Object.entries(branches))
    const leaf = pick(leaves)
    const words = Array.from({ length: 6 }, () => pick(filler))
    words.splice(2, 0, `${leaf}${pick(['', 's', 'like'])}`)
    if (r.uniform(at++) < 0.5) words.push(branch)
    texts.push(words.join(' '))
    labels.push([idOf.get(leaf)!])
  }
  return { texts, labels }
}

const leaves: HeadLayout = {
  activation: 'softmax',
  unitNodes: Int32Array.from(tree.leaves),
  groups: [{ parent: -1, start: 0, end: tree.leaves.length }],
}
const bySibling: HeadLayout = {
  activation: 'softmax',
  unitNodes: Int32Array.from([...tree.roots, ...tree.roots.flatMap((id) => tree.nodes[id]!.children)]),
  groups: [
    { parent: -1, start: 0, end: 3 },
    { parent: tree.roots[0]!, start: 3, end: 6 },
    { parent: tree.roots[1]!, start: 6, end: 8 },
    { parent: tree.roots[2]!, start: 8, end: 11 },
  ],
}
const everyNode: HeadLayout = {
  activation: 'sigmoid',
  unitNodes: Int32Array.from(tree.nodes, (node) => node.id),
  groups: [{ parent: -1, start: 0, end: tree.size }],
}

const train = sentences(600, 'train')
const dev = sentences(200, 'dev')
const job = (layout: HeadLayout, rows = train) => ({
  texts: rows.texts,
  layout,
  targets: headTargets(layout, tree, rows.labels),
  tree,
  threads: 1,
})

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-linear-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function bytesOf(model: NgramModel, name: string): Promise<string> {
  await mkdir(join(folder, name), { recursive: true })
  await saveNgramModel(model, join(folder, name))
  return createHash('sha256')
    .update(await readFile(join(folder, name, 'model.safetensors')))
    .digest('hex')
}

/** The unit with the largest logit in start..end-1 of each row. */
const best = (logits: Float32Array, units: number, row: number, start: number, end: number): number => {
  let unit = start
  for (let i = start; i < end; i++) if (logits[row * units + i]! > logits[row * units + unit]!) unit = i
  return unit
}

describe('trainLinear', () => {
  test('learns a flat head; its probabilities are near the share of right answers', async () => {
    const { model, heldOut } = await trainLinear(job(leaves))
    const logits = model.score(dev.texts)
    let right = 0
    let confidence = 0
    for (let row = 0; row < dev.texts.length; row++) {
      const unit = best(logits, 8, row, 0, 8)
      if (leaves.unitNodes[unit] === dev.labels[row]![0]) right++
      const scores = logits.subarray(row * 8, row * 8 + 8)
      const most = Math.max(...scores)
      confidence += 1 / scores.reduce((sum, score) => sum + Math.exp(score - most), 0)
    }
    expect(right / dev.texts.length).toBeGreaterThan(0.95)
    expect(Math.abs(confidence - right) / dev.texts.length).toBeLessThan(0.1)
    expect(heldOut.rows.length).toBe(60)
    expect(heldOut.logits.length).toBe(60 * 8)
  })

  test('learns a head of sibling groups, each on the rows below its parent', async () => {
    const { model } = await trainLinear(job(bySibling))
    const logits = model.score(dev.texts)
    let right = 0
    for (let row = 0; row < dev.texts.length; row++) {
      const top = best(logits, 11, row, 0, 3)
      const { start, end } = bySibling.groups[1 + top]!
      if (bySibling.unitNodes[best(logits, 11, row, start, end)] === dev.labels[row]![0]) right++
    }
    expect(right / dev.texts.length).toBeGreaterThan(0.9)
  })

  test('learns yes or no for every label, several of them per row', async () => {
    const { model } = await trainLinear(job(everyNode))
    const logits = model.score(['a cat and a rose'])
    const yes = tree.nodes.filter((_, unit) => logits[unit]! > 0).map((node) => node.name)
    expect(yes).toEqual(expect.arrayContaining(['animal', 'plant']))
    expect(yes).not.toContain('stone')
  })

  test('gives the same bytes with one thread and with two', async () => {
    const one = await trainLinear(job(everyNode))
    const two = await trainLinear({ ...job(everyNode), threads: 2 })
    expect(await bytesOf(two.model, 'two')).toBe(await bytesOf(one.model, 'one'))
    expect(two.heldOut).toEqual(one.heldOut)
  })

  test('another seed gives other bytes', async () => {
    const one = await trainLinear(job(leaves))
    const other = await trainLinear({ ...job(leaves), seed: 1 })
    expect(await bytesOf(other.model, 'other')).not.toBe(await bytesOf(one.model, 'one'))
  })

  test('a saved model scores the same when it is loaded', async () => {
    const { model } = await trainLinear(job(leaves))
    await bytesOf(model, 'saved')
    const loaded = await loadNgramModel(join(folder, 'saved'))
    expect(loaded.score(dev.texts)).toEqual(model.score(dev.texts))
    expect(loaded.parameters).toBe(model.parameters)
  })

  test('an interrupted run goes on from its work folder to the same bytes', async () => {
    const manyNodes = { ...everyNode, groups: Array.from(tree.nodes, (_, i) => ({ parent: -1, start: i, end: i + 1 })) }
    const work = join(folder, 'work')
    const controller = new AbortController()
    const training = { ...job(manyNodes), workFolder: work }
    const stopped = trainLinear(training, {
      signal: controller.signal,
      onProgress: ({ step, done }) => step === 'train ngram' && done === 3 && controller.abort(),
    })
    await expect(stopped).rejects.toMatchObject({ code: 'INTERRUPTED' })
    expect((await readFile(join(work, 'block-0.bin'))).length).toBeGreaterThan(0)
    await writeFile(join(work, 'block-1.bin'), 'damaged')
    const resumed = await bytesOf((await trainLinear(training)).model, 'resumed')
    const uninterrupted = await bytesOf((await trainLinear(job(manyNodes))).model, 'uninterrupted')
    expect(resumed).toBe(uninterrupted)
    await expect(trainLinear({ ...training, seed: 5 })).rejects.toMatchObject({ code: 'RESUME_MISMATCH' })
  })

  test('rows and targets that do not fit are refused', async () => {
    await expect(trainLinear({ ...job(leaves), texts: [] })).rejects.toMatchObject({ code: 'ROWS_EMPTY' })
    await expect(trainLinear({ ...job(leaves), texts: ['one'] })).rejects.toMatchObject({ code: 'ROWS_TARGETS' })
  })

  test('few rows, one label, and texts without any word are trained on without NaN', async () => {
    const tiny = { texts: ['cat', '', '   ', 'oak'], labels: [0, 0, 1, 1].map((i) => [tree.leaves[i]!]) }
    for (const layout of [leaves, bySibling, everyNode]) {
      const { model } = await trainLinear(job(layout, tiny))
      expect(model.score(['cat', '', 'something else']).every(Number.isFinite)).toBe(true)
    }
    const single = { texts: ['cat', 'cats'], labels: [[tree.leaves[0]!], [tree.leaves[0]!]] }
    const { model } = await trainLinear(job(leaves, single))
    expect(best(model.score(['cat']), 8, 0, 0, 8)).toBe(0)
  })
})

describe('contributions', () => {
  test('add up to the logit, and name the words that matter', async () => {
    const { model } = await trainLinear(job(leaves))
    const text = 'we saw the GRANITE stone'
    const unit = leaves.unitNodes.indexOf(idOf.get('granite')!)
    const [logit] = [model.score([text])[unit]!]
    const empty = model.score([''])[unit]!
    const parts = model.contributions(text, unit)
    expect(parts.reduce((sum, part) => sum + part.value, empty)).toBeCloseTo(logit, 3)
    for (const { start, end, text: span } of parts) expect(text.slice(start, end)).toBe(span)
    expect(parts.slice(0, 5).some((part) => part.text.includes('GRANITE') && part.value > 0)).toBe(true)
  })

  test('refuse a unit that is not there', async () => {
    const { model } = await trainLinear(job(leaves))
    expect(() => model.contributions('cat', 8)).toThrow(expect.objectContaining({ code: 'UNIT' }))
  })
})
