import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { datasetOf } from '../data/dataset.ts'
import { parseLabelTree } from '../labels/read-label-tree.ts'
import { readTrainingData } from './training-data.ts'

const tree = parseLabelTree({
  name: 'root',
  children: [
    { name: 'travel', children: [{ name: 'visa' }, { name: 'hotel' }] },
    { name: 'bank', children: [{ name: 'card' }] },
  ],
})
const row = (text: string, ...labels: string[][]) => ({ text, labels })
const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no error',
    (error: { code: string }) => error.code,
  )

describe('readTrainingData', () => {
  it('builds the tree from the paths of the rows', async () => {
    const data = await readTrainingData(datasetOf([row('a', ['x', 'y']), row('b', ['x', 'z']), row('c', ['w'])]))
    expect(data.tree.nodes.map(({ name }) => name)).toEqual(['w', 'x', 'y', 'z'])
    expect(data.train.labels).toEqual([[2], [3], [0]])
    expect(data.context).toEqual({ multiLabel: false, terminals: [0, 2, 3] })
  })

  it('counts an inner node as an end of paths only where a row stops there', async () => {
    const rows = [row('a', ['travel', 'visa']), row('b', ['bank'])]
    const { context, warnings } = await readTrainingData(datasetOf(rows), { labels: tree })
    expect(context.terminals.map((id) => tree.path(id).at(-1))).toEqual(['bank', 'card', 'hotel', 'visa'])
    expect(warnings).toEqual(['2 of 3 leaves have no training row (bank › card, travel › hotel)'])
  })

  it('reads the tree from a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'espalier-tree-'))
    const file = join(folder, 'labels.json')
    await writeFile(file, JSON.stringify(tree))
    const data = await readTrainingData(datasetOf([row('a', ['visa']), row('b', ['card'])]), { labels: file })
    expect(data.train.labels).toEqual([[tree.resolve(['visa'])], [tree.resolve(['card'])]])
    await rm(folder, { recursive: true })
  })

  it('treats labels that the tree does not have as asked', async () => {
    const rows = [row('a', ['travel', 'visa']), row('b', ['bank', 'card']), row('c', ['travel', 'train', 'night'])]
    const error = await readTrainingData(datasetOf(rows), { labels: tree }).catch((reason) => reason)
    expect(error).toMatchObject({ code: 'LABEL_UNKNOWN', where: { file: 'memory', line: 3 } })
    const skipped = await readTrainingData(datasetOf(rows), { labels: tree, unknownLabels: 'skip' })
    expect(skipped.train.texts).toEqual(['a', 'b'])
    expect(skipped.warnings[0]).toBe('1 training rows left out: none of their labels is in the tree')
    const added = await readTrainingData(datasetOf(rows), { labels: tree, unknownLabels: 'add' })
    expect(added.tree.size).toBe(tree.size + 2)
    expect(added.tree.path(added.train.labels[2]![0]!)).toEqual(['travel', 'train', 'night'])
  })

  it('keeps rows without labels where several may apply, and leaves them out where one must', async () => {
    const several = await readTrainingData(datasetOf([row('a', ['x'], ['y']), row('b')]))
    expect(several.context.multiLabel).toBe(true)
    expect(several.train.labels).toEqual([[0, 1], []])
    const single = await readTrainingData(datasetOf([row('a', ['x']), row('b'), row('c', ['y'])]))
    expect(single.train.texts).toEqual(['a', 'c'])
    expect(single.warnings).toHaveLength(1)
  })

  it('counts a label and its ancestor as one path', async () => {
    const { context, train } = await readTrainingData(datasetOf([row('a', ['x', 'y'], ['x']), row('b', ['z'])]))
    expect(context.multiLabel).toBe(false)
    expect(train.labels[0]).toHaveLength(1)
  })

  it.each([
    ['LABELS_NONE', [row('a'), row('b')]],
    ['LABELS_ONE', [row('a', ['x']), row('b', ['x'])]],
    ['DATA_EMPTY', []],
  ])('refuses with %s', async (expected, rows) => {
    expect(await code(readTrainingData(datasetOf(rows)))).toBe(expected)
  })

  it('refuses a dev set of another kind', async () => {
    const train = datasetOf([row('a', ['x']), row('b', ['y'])])
    const dev = datasetOf([row('c', ['x'], ['y'])])
    expect(await code(readTrainingData(train, { dev }))).toBe('DATA_MIXED')
  })

  it('stops when asked to', async () => {
    const controller = new AbortController()
    controller.abort()
    expect(await code(readTrainingData(datasetOf([row('a', ['x'])]), { signal: controller.signal }))).toBe(
      'INTERRUPTED',
    )
  })
})
