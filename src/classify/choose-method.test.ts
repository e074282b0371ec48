import { expect, test } from 'vitest'
import { LabelTree } from '../labels/label-tree.ts'
import { parseLabelTree } from '../labels/read-label-tree.ts'
import { chooseMethod } from './choose-method.ts'

const tree = (branches: number, leaves: number) =>
  LabelTree.fromPaths(Array.from({ length: branches * leaves }, (_, i) => [`b${i % branches}`, `l${i}`]))
const flatTree = (leaves: number) => LabelTree.fromPaths(Array.from({ length: leaves }, (_, i) => [`l${i}`]))
const choose = (labels: LabelTree, multiLabel: boolean, encoder = 'ngram') =>
  chooseMethod(labels, { multiLabel, terminals: labels.leaves }, encoder, 5000)

test.each([
  ['few labels', tree(10, 15), false, 'ngram', 'flat'],
  ['thousands in a tree', tree(50, 50), false, 'ngram', 'conditional-softmax'],
  ['thousands in a tree, several a row', tree(50, 50), true, 'ngram', 'per-node'],
  ['thousands without levels', flatTree(2500), true, 'ngram', 'xr-linear'],
  ['thousands without levels, on a transformer', flatTree(2500), true, 'mini', 'flat'],
  ['tens of thousands', tree(150, 150), false, 'ngram', 'xr-linear'],
  ['several parents', parseLabelTree({ visa: ['travel', 'office'], hotel: 'travel' }), false, 'ngram', 'per-node'],
] as const)('%s', (_, labels, multiLabel, encoder, name) => {
  const { method, why } = choose(labels, multiLabel, encoder)
  expect(method.name).toBe(name)
  expect(why).toContain(`${labels.leaves.length.toLocaleString('en-US')} ends`)
})
