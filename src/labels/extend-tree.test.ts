import { expect, it } from 'vitest'
import { extendTree } from './extend-tree.ts'
import { parseLabelTree } from './read-label-tree.ts'

const tree = parseLabelTree({
  name: 'root',
  children: [{ name: 'billing', description: 'money', children: [{ name: 'invoice' }] }],
})

it('adds every label of the new paths and keeps what is there', () => {
  const grown = extendTree(tree, [['billing', 'refund', 'partial'], ['travel'], ['billing', 'refund']])
  expect(grown.nodes.map(({ name }) => name)).toEqual(['billing', 'travel', 'invoice', 'refund', 'partial'])
  expect(grown.nodes[0]!.description).toBe('money')
  expect(grown.path(4)).toEqual(['billing', 'refund', 'partial'])
})

it('returns the same tree when nothing is new', () => {
  expect(extendTree(tree, [['billing'], ['billing', 'invoice']])).toBe(tree)
})

it('keeps labels with several parents one label', () => {
  const graph = parseLabelTree({ tomato: ['fruit', 'vegetable'] })
  const grown = extendTree(graph, [['fruit', 'tomato', 'cherry']])
  expect(grown.paths(grown.resolve(['cherry']))).toHaveLength(2)
})
