import { describe, expect, it } from 'vitest'
import { backbonePrefix, isBeforeLayers, isHead, isVocabulary, layerOf, withoutPrefix } from './tensor-names.ts'

describe('tensor names', () => {
  it('finds the layer as a number', () => {
    expect(layerOf('bert.encoder.layer.10.output.dense.weight')).toEqual({
      stack: 'bert.encoder.layer',
      index: 10,
      rest: 'output.dense.weight',
    })
    expect(layerOf('embeddings.word_embeddings.weight')).toBeUndefined()
    expect(layerOf('model.layers.3.block_sparse_moe.experts.7.w1.weight')).toMatchObject({ index: 3 })
  })

  it('finds the backbone prefix of a whole model only', () => {
    expect(backbonePrefix(['bert.embeddings.x', 'bert.encoder.layer.0.a', 'classifier.weight'])).toBe('bert.')
    expect(backbonePrefix(['embeddings.x', 'encoder.layer.0.a'])).toBe('')
    expect(backbonePrefix(['model.layers.0.a', 'model.norm.weight', 'lm_head.weight'])).toBe('model.')
    expect(backbonePrefix(['classifier.weight'])).toBe('')
    expect(withoutPrefix('bert.pooler.dense.bias', 'bert.')).toBe('pooler.dense.bias')
    expect(withoutPrefix('classifier.bias', 'bert.')).toBe('classifier.bias')
  })

  it('tells heads, vocabulary tensors and what comes first', () => {
    expect(['classifier.weight', 'classifier.out_proj.bias', 'score.weight'].every(isHead)).toBe(true)
    expect(['pooler.dense.weight', 'pre_classifier.weight', 'lm_head.weight'].some(isHead)).toBe(false)
    expect(
      ['embeddings.word_embeddings.weight', 'embed_tokens.weight', 'wte.weight', 'lm_head.weight'].every(isVocabulary),
    ).toBe(true)
    expect(
      ['embeddings.position_embeddings.weight', 'embeddings.token_type_embeddings.weight'].some(isVocabulary),
    ).toBe(false)
    expect(['embeddings.LayerNorm.bias', 'wpe.weight', 'embed_tokens.weight'].every(isBeforeLayers)).toBe(true)
    expect(
      ['norm.weight', 'pooler.dense.bias', 'lm_head.weight', 'classifier.bias', 'embed_out.weight'].some(
        isBeforeLayers,
      ),
    ).toBe(false)
  })
})
