/** BERT (Devlin et al., 2019) and the models of its shape, MiniLM among them (Wang et al., 2020). */
import { tanh } from '../graph/index.ts'
import { type Architecture, assemble } from './assemble.ts'
import { denseSpecs } from './blocks.ts'
import type { EncoderConfig, EncoderModel, HeadOptions } from './encoder.ts'

/** Keys of a layer as BERT and RoBERTa name them. */
export function bertLayer(prefix: string) {
  return (index: number) => {
    const layer = `${prefix}.encoder.layer.${index}`
    return {
      query: `${layer}.attention.self.query`,
      key: `${layer}.attention.self.key`,
      value: `${layer}.attention.self.value`,
      attentionOutput: `${layer}.attention.output.dense`,
      attentionNorm: `${layer}.attention.output.LayerNorm`,
      intermediate: `${layer}.intermediate.dense`,
      output: `${layer}.output.dense`,
      outputNorm: `${layer}.output.LayerNorm`,
    }
  }
}

const architecture: Architecture = {
  embeddings: 'bert.embeddings',
  layer: bertLayer('bert'),
  attentionOutputDropout: true,
  classifier: 'classifier',
  headSpecs: ({ hiddenSize }) => denseSpecs('bert.pooler.dense', hiddenSize, hiddenSize, 'head'),
  head: (m, first) => tanh(m.dense(first, 'bert.pooler.dense')),
}

/** BERT with the head of BertForSequenceClassification: pooler, tanh, classifier. */
export function bert(config: EncoderConfig, options?: HeadOptions): EncoderModel {
  return assemble(architecture, config, options)
}
