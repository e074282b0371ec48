/** DistilBERT (Sanh et al., 2019): BERT's layers under other names, without token types and pooler. */
import { relu } from '../graph/index.ts'
import { type Architecture, assemble } from './assemble.ts'
import { denseSpecs } from './blocks.ts'
import type { EncoderConfig, EncoderModel, HeadOptions } from './encoder.ts'

const architecture: Architecture = {
  embeddings: 'distilbert.embeddings',
  layer: (index) => {
    const layer = `distilbert.transformer.layer.${index}`
    return {
      query: `${layer}.attention.q_lin`,
      key: `${layer}.attention.k_lin`,
      value: `${layer}.attention.v_lin`,
      attentionOutput: `${layer}.attention.out_lin`,
      attentionNorm: `${layer}.sa_layer_norm`,
      intermediate: `${layer}.ffn.lin1`,
      output: `${layer}.ffn.lin2`,
      outputNorm: `${layer}.output_layer_norm`,
    }
  },
  attentionOutputDropout: false,
  classifier: 'classifier',
  headSpecs: ({ hiddenSize }) => denseSpecs('pre_classifier', hiddenSize, hiddenSize, 'head'),
  head: (m, first) => relu(m.dense(first, 'pre_classifier')),
}

/** DistilBERT with the head of DistilBertForSequenceClassification: linear map, ReLU, classifier. */
export function distilbert(config: EncoderConfig, options?: HeadOptions): EncoderModel {
  return assemble(architecture, config, options)
}
