/** RoBERTa (Liu et al., 2019) and the models of its shape (XLM-RoBERTa, CamemBERT): BERT with other positions and another head. */
import { tanh } from '../graph/index.ts'
import { type Architecture, assemble } from './assemble.ts'
import { bertLayer } from './bert.ts'
import { denseSpecs } from './blocks.ts'
import type { EncoderConfig, EncoderModel, HeadOptions } from './encoder.ts'

const architecture: Architecture = {
  embeddings: 'roberta.embeddings',
  layer: bertLayer('roberta'),
  attentionOutputDropout: true,
  classifier: 'classifier.out_proj',
  headSpecs: ({ hiddenSize }) => denseSpecs('classifier.dense', hiddenSize, hiddenSize, 'head'),
  head: (m, first) =>
    tanh(m.dense(m.dropout(first, m.config.classifierDropout, 'classifier.dense'), 'classifier.dense')),
}

/**
 * RoBERTa with the head of RobertaForSequenceClassification. Positions count from `positionOffset` on; padding stands behind the text, so
 * its positions, which transformers numbers differently, reach no output.
 */
export function roberta(config: EncoderConfig, options?: HeadOptions): EncoderModel {
  return assemble(architecture, config, options)
}
