import { expect, it } from 'vitest'
import { settle } from '../settings.ts'
import { bareNames, groupConditions, layerGroup } from './layer-weights.ts'

it('gives every tensor the value of its group, whatever names are part of others', () => {
  const stored = [
    ...['lm_head.weight', 'model.embed_tokens.weight', 'model.norm.weight'],
    ...[0, 1, 10, 11].flatMap((i) => [`model.layers.${i}.input_norm.weight`, `model.layers.${i}.mlp.weight`]),
  ]
  const names = bareNames(stored)
  const groups = [...new Set(names.map(layerGroup))]
  expect(groups).toEqual(['after the layers', 'embeddings', 'layers.0.', 'layers.1.', 'layers.10.', 'layers.11.'])
  const conditions = groupConditions(names, layerGroup, new Map(groups.map((group, value) => [group, value])))
  for (const name of stored) {
    const [bare] = [name.replace(/^model\./, '')]
    expect(settle(conditions, name, 0), name).toBe(groups.indexOf(layerGroup(bare)))
    expect(settle(conditions, bare, 0), bare).toBe(groups.indexOf(layerGroup(bare)))
  }
})
