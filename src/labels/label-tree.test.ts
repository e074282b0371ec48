import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { siblingGroups } from '../classify/sibling-groups.ts'
import { LabelTree } from './label-tree.ts'
import { parseLabelTree, readLabelTree } from './read-label-tree.ts'

const code = (fn: () => unknown): string => {
  try {
    fn()
  } catch (error) {
    return (error as { code: string }).code
  }
  return 'no error'
}

const travel = parseLabelTree({
  name: 'root',
  children: [
    { name: 'travel', children: [{ name: 'translate', description: 'say it in another language' }, { name: 'other' }] },
    { name: 'banking', children: [{ name: 'transfer' }, { name: 'other' }] },
  ],
})

describe('LabelTree', () => {
  it('numbers parents before children, level by level', () => {
    expect(travel.nodes.map((node) => node.name)).toEqual([
      'banking',
      'travel',
      'other',
      'transfer',
      'other',
      'translate',
    ])
    expect(travel.depth).toBe(2)
    expect(travel.level(1)).toEqual([0, 1])
    expect(travel.leaves).toEqual([2, 3, 4, 5])
    expect(travel.nodes[5]!.description).toBe('say it in another language')
  })

  it('tells labels of one name apart by their paths', () => {
    expect(travel.find(['travel', 'other'])).toBe(4)
    expect(travel.find(['banking', 'other'])).toBe(2)
    expect(travel.resolve(['transfer'])).toBe(3)
    expect(code(() => travel.resolve(['other']))).toBe('LABEL_AMBIGUOUS')
  })

  it('suggests the nearest path for a slip', () => {
    expect(() => travel.resolve(['travel', 'translat'], { file: 'a.jsonl', line: 7 })).toThrow(
      expect.objectContaining({
        code: 'LABEL_UNKNOWN',
        where: { file: 'a.jsonl', line: 7 },
        help: 'did you mean "travel › translate"?',
      }),
    )
  })

  it('accepts paths that stop at an inner node', () => {
    expect(travel.resolve(['banking'])).toBe(0)
  })

  it('closes sets under ancestors and finds the ends of paths', () => {
    expect(travel.closure([2, 5])).toEqual([0, 1, 2, 5])
    expect(travel.ends([0, 1, 2])).toEqual([1, 2])
  })

  it('gives a label with several parents one id and several paths', () => {
    const tree = parseLabelTree({ tomato: ['fruit', 'vegetable'], fruit: null, vegetable: null, cherry: 'tomato' })
    expect(tree.isTree).toBe(false)
    const tomato = tree.find(['fruit', 'tomato'])!
    expect(tree.find(['vegetable', 'tomato'])).toBe(tomato)
    expect(tree.paths(tree.find(['fruit', 'tomato', 'cherry'])!)).toEqual([
      ['fruit', 'tomato', 'cherry'],
      ['vegetable', 'tomato', 'cherry'],
    ])
    expect(tree.closure([tree.resolve(['cherry'])])).toHaveLength(4)
    expect(parseLabelTree(tree.toJSON()).nodes).toEqual(tree.nodes)
  })

  it('levels a label below the deepest of its parents', () => {
    const tree = parseLabelTree({ d: ['a', 'c'], c: 'b', b: 'a' })
    expect(tree.nodes[tree.resolve(['d'])]!.level).toBe(4)
  })

  it('builds itself from the paths of rows', () => {
    const tree = LabelTree.fromPaths([['a', 'x'], ['b'], ['a', 'y'], ['b', 'x']])
    expect(tree.nodes.map((node) => node.name)).toEqual(['a', 'b', 'x', 'y', 'x'])
  })

  it('survives its own JSON on random graphs', () => {
    const graph = fc
      .integer({ min: 1, max: 30 })
      .chain((size) =>
        fc
          .array(fc.array(fc.nat(), { maxLength: 3 }), { minLength: size, maxLength: size })
          .map((links) =>
            Object.fromEntries(
              links.map((list, id) => [`n${id}`, id === 0 ? [] : [...new Set(list.map((link) => `n${link % id}`))]]),
            ),
          ),
      )
    fc.assert(
      fc.property(graph, (map) => {
        const tree = parseLabelTree(map)
        expect(parseLabelTree(JSON.parse(JSON.stringify(tree))).nodes).toEqual(tree.nodes)
        for (const node of tree.nodes) for (const parent of node.parents) expect(parent).toBeLessThan(node.id)
        for (const node of tree.nodes) for (const path of tree.paths(node.id)) expect(tree.find(path)).toBe(node.id)
      }),
    )
  })

  it('carries a chain of a thousand levels and a hundred thousand leaves', () => {
    expect(LabelTree.fromPaths([Array.from({ length: 900 }, (_, i) => `n${i}`)]).depth).toBe(900)
    expect(parseLabelTree(Array.from({ length: 100_000 }, (_, i) => `n${i}`)).size).toBe(100_000)
  })

  it.each<[string, unknown]>([
    ['TREE_EMPTY', { name: 'root', children: [] }],
    ['TREE_EMPTY', []],
    ['TREE_FORMAT', 'travel'],
    ['TREE_FORMAT', { name: 'root', children: ['travel'] }],
    ['TREE_FORMAT', { travel: 3 }],
    ['LABEL_NAME', { name: 'root', children: [{ name: ' ' }] }],
    ['LABEL_DUPLICATE', { name: 'root', children: [{ name: 'a' }, { name: 'a' }] }],
    ['TREE_CYCLE', { a: 'b', b: 'c', c: 'a' }],
    ['TREE_CYCLE', { a: 'a' }],
    [
      'TREE_CYCLE',
      {
        name: 'root',
        children: [{ name: 'a', id: '1', children: [{ name: 'b', children: [{ name: 'a', id: '1' }] }] }],
      },
    ],
    ['TREE_PARENT', { a: ['b', 'b'], b: null }],
  ])('refuses with %s: %j', (expected, value) => {
    expect(code(() => parseLabelTree(value))).toBe(expected)
  })
})

describe('readLabelTree', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'espalier-labels-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  it('names file, line and column of malformed JSON', async () => {
    const file = join(folder, 'labels.json')
    await writeFile(file, '{\n  "a": "b",\n  "c": \n}')
    await expect(readLabelTree(file)).rejects.toMatchObject({
      code: 'JSON_MALFORMED',
      exitCode: 2,
      where: { file, line: 4, column: 1 },
    })
  })

  it('says that a file is missing, empty, or not UTF-8', async () => {
    await expect(readLabelTree(join(folder, 'none.json'))).rejects.toMatchObject({ code: 'ENOENT', exitCode: 2 })
    await writeFile(join(folder, 'empty.json'), '')
    await expect(readLabelTree(join(folder, 'empty.json'))).rejects.toMatchObject({ code: 'FILE_EMPTY' })
    await writeFile(join(folder, 'latin.json'), Buffer.from('{"caf\xe9": null}', 'latin1'))
    await expect(readLabelTree(join(folder, 'latin.json'))).rejects.toMatchObject({ code: 'ENCODING' })
  })
})

describe('wide trees', () => {
  it('take hundreds of thousands of labels under one parent', () => {
    const count = 150_000
    const tree = LabelTree.fromPaths(Array.from({ length: count }, (_, i) => [`label ${i}`]))
    expect(tree.leaves).toHaveLength(count)
    expect(siblingGroups(tree).unitNodes).toHaveLength(count)
  })
})
