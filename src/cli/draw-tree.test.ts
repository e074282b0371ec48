import { expect, it } from 'vitest'
import { parseLabelTree } from '../labels/read-label-tree.ts'
import { drawTree } from './draw-tree.ts'
import { painter } from './terminal.ts'

const tree = parseLabelTree({
  name: 'root',
  children: [
    {
      name: 'a',
      children: [{ name: 'a1', children: [{ name: 'deep' }] }, { name: 'a2' }, { name: 'a3' }, { name: 'a4' }],
    },
    { name: 'b', title: 'The second' },
  ],
})

it('draws the first levels and the first children, and counts the rest', () => {
  const options = { levels: 2, children: 2, columns: 80, paint: painter(false) }
  expect(drawTree(tree, { ...options, remark: (id) => (tree.nodes[id]!.level === 1 ? '3 rows' : '') })).toEqual([
    '├─ a  3 rows',
    '│  ├─ a1  1 below',
    '│  ├─ a2',
    '│  └─ … 2 more',
    '└─ b The second  3 rows',
  ])
  expect(drawTree(tree, { ...options, children: 3 })).toHaveLength(6)
})
