import { expect, test } from 'vitest'
import { parameterRules } from './parameter-rules.ts'

const tensors = [
  { name: 'bert.embeddings.word_embeddings.weight', shape: [9, 4] },
  { name: 'bert.embeddings.LayerNorm.weight', shape: [4] },
  { name: 'bert.encoder.layer.0.output.dense.weight', shape: [4, 4] },
  { name: 'bert.encoder.layer.0.output.dense.bias', shape: [4] },
  { name: 'bert.encoder.layer.1.output.dense.weight', shape: [4, 4] },
  { name: 'bert.encoder.layer.10.output.dense.weight', shape: [4, 4] },
  { name: 'classifier.weight', shape: [2, 4] },
]
const isHead = (name: string) => name.startsWith('classifier.')
const frozen = (...freeze: string[]) =>
  [...parameterRules(tensors, freeze, isHead, 5)].flatMap(([name, rule], i) => (rule.trained ? [] : [name && i]))

test('matrices decay, vectors do not, the head has its own rate', () => {
  const rules = [...parameterRules(tensors, [], isHead, 5).values()]
  expect(rules.map((rule) => rule.decays)).toEqual([true, false, true, false, true, true, true])
  expect(rules.map((rule) => rule.rate)).toEqual([1, 1, 1, 1, 1, 1, 5])
  expect(rules.every((rule) => rule.trained)).toBe(true)
})

test('freezing by part, by number of layers, by name', () => {
  expect(frozen('embeddings')).toEqual([0, 1])
  expect(frozen('layers:1')).toEqual([2, 3])
  expect(frozen('layers:2', 'embeddings')).toEqual([0, 1, 2, 3, 4])
  expect(frozen('bert.encoder.*.weight')).toEqual([2, 4, 5])
})

test('a pattern that fits nothing, or everything, is refused', () => {
  expect(() => frozen('embedding')).toThrow(/fits the freeze pattern "embedding"/)
  expect(() => frozen('layer.0')).toThrow(/layer\.0/)
  expect(() => frozen('*')).toThrow(/nothing is left/)
})
