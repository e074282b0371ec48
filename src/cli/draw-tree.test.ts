import { expect, it } from 'vitest'
import { LabelTree } from '../labels/label-tree.ts'
import { parseLabelTree } from '../labels/read-label-tree.ts'
import { drawTree } from './draw-tree.ts'
import { painter } from './terminal.ts'

const options = { columns: 80, paint: painter(false) }

it('draws two levels, and says what is below', () => {
  const tree = parseLabelTree({
    name: 'root',
    children: [
      { name: 'a', children: [{ name: 'a1', children: [{ name: 'deep' }] }, { name: 'a2' }] },
      { name: 'b', title: 'The second' },
    ],
  })
  const remark = (id: number) => (tree.nodes[id]!.level === 1 ? '3 rows' : '')
  expect(drawTree(tree, { ...options, remark })).toEqual([
    '├─ a  3 rows',
    '│  ├─ a1  1 below',
    '│  └─ a2',
    '└─ b The second  3 rows',
  ])
})

it('counts what does not fit the screen', () => {
  const paths = (roots: number, children: number) =>
    Array.from({ length: roots * children }, (_, i) => [`root ${i % roots}`, `child ${Math.floor(i / roots)}`])
  const drawn = (roots: number, children: number) => drawTree(LabelTree.fromPaths(paths(roots, children)), options)
  expect(drawn(1, 9)).toHaveLength(10)
  expect(drawn(1, 100).at(-1)).toBe('   └─ … 92 more')
  expect(drawn(7, 15)).toHaveLength(28)
  expect(drawn(10, 15)).toHaveLength(10)
  expect(drawn(100, 15)).toHaveLength(13)
  expect(drawn(100, 15)[0]).toBe('├─ root 0  15 below')
  expect(drawn(100, 15).at(-1)).toBe('└─ … 88 more')
})
