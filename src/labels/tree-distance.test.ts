import { expect, test } from 'vitest'
import { LabelTree } from './label-tree.ts'
import { treeDistance, treeShape } from './tree-distance.ts'

test('distance is the height of the lowest common ancestor', () => {
  const tree = LabelTree.fromPaths([['a', 'x', 'p'], ['a', 'x', 'q'], ['a', 'y', 'r'], ['b']])
  const shape = treeShape(tree)
  const distance = (a: string[], b: string[]) => treeDistance(shape, tree.resolve(a), tree.resolve(b))
  expect(distance(['a', 'x', 'p'], ['a', 'x', 'p'])).toBe(0)
  expect(distance(['a', 'x', 'p'], ['a', 'x', 'q'])).toBeCloseTo(1 / 3, 6)
  expect(distance(['a', 'x', 'p'], ['a', 'y', 'r'])).toBeCloseTo(2 / 3, 6)
  expect(distance(['a', 'x', 'p'], ['a'])).toBeCloseTo(2 / 3, 6)
  expect(distance(['b'], ['a', 'y', 'r'])).toBe(1)
  expect(distance(['b'], ['b'])).toBe(0)
})

test('labels with several parents have none', () => {
  const tree = new LabelTree([
    { key: 'a', name: 'a', parents: [] },
    { key: 'b', name: 'b', parents: [] },
    { key: 'c', name: 'c', parents: ['a', 'b'] },
  ])
  expect(() => treeShape(tree)).toThrow(expect.objectContaining({ code: 'LOSS_DATA' }))
})
