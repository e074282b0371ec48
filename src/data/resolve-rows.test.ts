import { expect, test } from 'vitest'
import { faultOf } from '../../test/temporary-folder.ts'
import { parseLabelTree } from '../labels/read-label-tree.ts'
import { datasetOf } from './dataset.ts'
import { extendTree, resolveRows, treeFromRows } from './resolve-rows.ts'

const tree = parseLabelTree({
  name: 'root',
  children: [
    { name: 'billing', description: 'money', children: [{ name: 'invoice' }, { name: 'other' }] },
    { name: 'travel', children: [{ name: 'translate' }, { name: 'other' }] },
  ],
})
const rowsOf = (...labels: unknown[]) =>
  datasetOf(labels.map((label, index) => ({ text: `t${index}`, labels: label }))).collect()
const pathsOf = ({ tree, ids }: ReturnType<typeof resolveRows>) =>
  ids.map((row) => row.map((id) => tree.path(id).join('/')))

test('full paths, partial paths, single names, several labels, no label', async () => {
  const rows = await rowsOf(
    'billing > invoice',
    'travel',
    'translate',
    [['travel', 'other'], ['invoice'], ['billing', 'invoice']],
    [],
  )
  const resolved = resolveRows(tree, rows)
  expect(pathsOf(resolved)).toEqual([
    ['billing/invoice'],
    ['travel'],
    ['travel/translate'],
    ['billing/invoice', 'travel/other'],
    [],
  ])
  expect(resolved).toMatchObject({ rows, skipped: { labels: 0, rows: 0 } })
})

test('unknown and ambiguous labels name file and line', async () => {
  const unknown = await rowsOf('travel', 'travel > translat')
  expect(await faultOf(() => resolveRows(tree, unknown))).toMatchObject({
    code: 'LABEL_UNKNOWN',
    exitCode: 2,
    where: { file: 'memory', line: 2 },
    help: 'did you mean "travel › translate"?',
  })
  const ambiguous = await rowsOf('other')
  for (const unknownLabels of ['error', 'skip', 'add'] as const)
    expect(await faultOf(() => resolveRows(tree, ambiguous, { unknownLabels }))).toMatchObject({
      code: 'LABEL_AMBIGUOUS',
      where: { line: 1 },
    })
})

test('skip: unknown labels go, and rows that have no other; rows without labels stay', async () => {
  const rows = await rowsOf('travel', 'nowhere', [['nowhere'], ['travel', 'other']], [])
  const resolved = resolveRows(tree, rows, { unknownLabels: 'skip' })
  expect(resolved.rows.map(({ text }) => text)).toEqual(['t0', 't2', 't3'])
  expect(pathsOf(resolved)).toEqual([['travel'], ['travel/other'], []])
  expect(resolved.skipped).toEqual({ labels: 2, rows: 1 })
})

test('add: the tree grows, keeps its descriptions, and every row is resolved', async () => {
  const rows = await rowsOf('travel > visa > renewal', 'spam', 'invoice')
  const resolved = resolveRows(tree, rows, { unknownLabels: 'add' })
  expect(pathsOf(resolved)).toEqual([['travel/visa/renewal'], ['spam'], ['billing/invoice']])
  expect(resolved.tree.size).toBe(tree.size + 3)
  expect(resolved.tree.nodes[resolved.tree.find(['billing'])!]!.description).toBe('money')
  expect(extendTree(tree, [['billing', 'invoice']])).toBe(tree)
})

test('adding below a label with several parents keeps it one label', () => {
  const shared = { name: 'shared', id: 's' }
  const graph = parseLabelTree({
    name: 'root',
    children: [
      { name: 'a', children: [shared] },
      { name: 'b', children: [shared] },
    ],
  })
  const grown = extendTree(graph, [['b', 'shared', 'new']])
  expect(grown.size).toBe(4)
  expect(grown.find(['a', 'shared', 'new'])).toBe(grown.find(['b', 'shared', 'new']))
})

test('a tree from the rows themselves', async () => {
  const built = treeFromRows(await rowsOf('a > b', ['c', 'a'], []))
  expect(built.nodes.map(({ id }) => built.path(id))).toEqual([['a'], ['c'], ['a', 'b']])
  const none = await rowsOf([], undefined)
  expect(await faultOf(() => treeFromRows(none))).toMatchObject({ code: 'DATA_UNLABELLED', where: { file: 'memory' } })
})
