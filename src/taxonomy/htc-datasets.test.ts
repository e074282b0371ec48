import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/temporary-folder.ts'
import { datasetOf } from '../data/dataset.ts'
import { htcDatasets } from './methods/index.ts'
import { nearDuplicates } from './near-duplicates.ts'
import { organize } from './organize.ts'
import { agreed, mapSchemas } from './schema-map.ts'
import { schemaQuality, sphericalKMeans } from './schema-quality.ts'
import { unitVectors } from './text-vectors.ts'

const { folder } = temporaryFolder()

test('classes are compatible where enough of the second class has the first', () => {
  const map = mapSchemas(
    { first: ['j0', 'j1'], second: ['c0', 'c1'], together: Uint32Array.of(8, 2, 1, 9) },
    { theta: 0.5 },
  )
  expect(map.get('c0')!.get('j0')).toBeCloseTo(0.888889, 6)
  expect(map.get('c1')!.get('j1')).toBeCloseTo(0.818182, 6)
  expect([...map.values()].map(({ size }) => size)).toEqual([1, 1])
  expect(agreed(['j0', 'j1'], ['c0'], map)).toEqual(['j0'])
  expect(agreed(['j1'], ['c0'], map)).toEqual([])
})

const words = { sea: ['wave', 'boat', 'fish'], sky: ['cloud', 'wind', 'bird'], soil: ['root', 'worm', 'clay'] }
type Topic = keyof typeof words
const topics = Object.keys(words) as Topic[]

/** Every sixth text has a wrong label in the first schema, every sixth (another one) in the second. */
function rows() {
  return Array.from({ length: 180 }, (_, i) => {
    const topic = topics[i % 3]!
    const wrong = topics[(i + 1) % 3]!
    const own = words[topic]
    const text = `${own[i % 3]} ${own[(i >> 1) % 3]} ${own[(i >> 2) % 3]} number${i} x${i * 7} y${i * 13}`
    const block = Math.floor(i / 3) % 6
    return { text, topic, first: block === 0 ? wrong : topic, second: block === 3 ? wrong : topic }
  })
}
const schema = (side: 'first' | 'second') =>
  datasetOf(rows().map((row) => ({ text: row.text, labels: [['all', row[side]]] })))

test('what both schemas say stays, what only one says goes, and the rest is of one kind', async () => {
  const out = join(folder, 'clean')
  const {
    rows: kept,
    dropped,
    report,
    splits,
    tree,
  } = await organize(schema('first'), {
    method: htcDatasets(),
    second: schema('second'),
    out,
  })
  const topicOf = new Map(rows().map(({ text, topic }) => [text, topic]))
  expect(kept).toHaveLength(120)
  expect(kept.every(({ text, labels }) => labels.length === 1 && labels[0]![1] === topicOf.get(text))).toBe(true)
  expect(dropped.every(({ reason }) => reason === 'disagreement')).toBe(true)
  expect(tree.leaves).toHaveLength(3)
  expect(splits).toEqual({ train: 84, dev: 12, test: 24 })
  const quality = report['quality'] as Record<
    string,
    { intra: number; inter: number; silhouette: number; nmi: number }[]
  >
  for (const other of ['first', 'second'] as const) {
    expect(quality['combined']![1]!.intra).toBeGreaterThan(quality[other]![1]!.intra)
    expect(quality['combined']![1]!.inter).toBeLessThan(quality[other]![1]!.inter)
    expect(quality['combined']![1]!.silhouette).toBeGreaterThan(quality[other]![1]!.silhouette)
    expect(quality['combined']![1]!.nmi).toBeGreaterThan(quality[other]![1]!.nmi)
  }
  const files = await readdir(out)
  expect(files.sort()).toEqual([
    'dev.jsonl',
    'dropped.jsonl',
    'espalier.json',
    'labels.json',
    'report.json',
    'test.jsonl',
    'train.jsonl',
  ])
  expect((await readFile(join(out, 'dropped.jsonl'), 'utf8')).trim().split('\n')).toHaveLength(60)
})

test('dominant gives a text without support the class of its second label', async () => {
  const { rows: kept } = await organize(schema('first'), {
    method: htcDatasets({ dominant: true }),
    second: schema('second'),
  })
  expect(kept).toHaveLength(180)
})

test('small classes go, large ones are sampled, and the same seed draws the same texts', async () => {
  const method = htcDatasets({ cap: 10, minTexts: 5 })
  const run = (seed: number) => organize(schema('first'), { method, second: schema('second'), seed })
  const [one, again, other] = [await run(1), await run(1), await run(2)]
  expect(one.rows).toHaveLength(30)
  expect(again.rows).toEqual(one.rows)
  expect(other.rows).not.toEqual(one.rows)
  await expect(
    organize(schema('first'), { method: htcDatasets({ minTexts: 50 }), second: schema('second') }),
  ).rejects.toMatchObject({ code: 'DATA_EMPTY' })
})

test('other texts in the second data set are refused, with the row', async () => {
  const second = datasetOf([...rows().map(({ text }) => ({ text: `${text}!`, labels: ['x'] }))])
  await expect(organize(schema('first'), { method: htcDatasets(), second })).rejects.toMatchObject({
    code: 'ROWS_DIFFER',
    where: { line: 1 },
  })
})

test('texts that nearly repeat an earlier one are found', () => {
  const text = 'the quick brown fox jumps over the lazy dog and runs away from it all'
  expect([...nearDuplicates([text, 'something else entirely, and rather short', `${text} again`, text], 0.8)]).toEqual([
    -1, -1, 0, 0,
  ])
})

test('a text of several labels counts for the nearest; k-means finds separate directions', () => {
  const vectors = unitVectors([
    [1, 0.1],
    [1, 0],
    [0, 1],
    [0.1, 1],
  ]) // prettier-ignore
  const both = schemaQuality(vectors, [['a'], ['a', 'b'], ['b'], ['b']])
  expect(both).toMatchObject({ texts: 4, classes: 2, nmi: 1 })
  expect(both.silhouette).toBeGreaterThan(0.9)
  const clusters = sphericalKMeans(vectors, 2, 0)
  expect([clusters[0] === clusters[1], clusters[2] === clusters[3], clusters[0] === clusters[2]]).toEqual([
    true,
    true,
    false,
  ])
})
