/**
 * An encoder with BERT's masked language model head (Devlin et al., 2019): a dense layer, a normalisation, and the token table once more as the
 * output layer. Parameter names are those of `BertForMaskedLM` in transformers.
 */
import {
  add,
  type Graph,
  gather,
  logSoftmax,
  matmul,
  mul,
  multiplyDims,
  neg,
  reduceSum,
  reshape,
  type Tensor,
} from '../graph/index.ts'
import { encoderModel } from './architectures.ts'
import { activate, denseSpecs, Modules, normSpecs } from './blocks.ts'
import type { EncoderConfig, EncoderModel, ParameterSpec } from './encoder.ts'

const transform = 'cls.predictions.transform.dense'
const norm = 'cls.predictions.transform.LayerNorm'
const bias = 'cls.predictions.bias'

export interface MaskedLanguageGraph {
  /** Mean cross-entropy of the tokens asked for. Inputs: `input_ids`, `attention_mask` int64 [B, S], and those of `maskedFeeds`. */
  readonly loss: Tensor
  readonly parameters: ReadonlyMap<string, Tensor>
}

export interface MaskedLanguageModel {
  readonly encoder: EncoderModel
  /** Of the encoder and the head. */
  readonly parameters: readonly ParameterSpec[]
  build(graph: Graph, options?: { dropout?: boolean }): MaskedLanguageGraph
}

/** The model of a BERT configuration. */
export function maskedLanguageModel(config: EncoderConfig): MaskedLanguageModel {
  const encoder = encoderModel(config)
  const { hiddenSize, vocabularySize } = config
  const head: ParameterSpec[] = [
    ...denseSpecs(transform, hiddenSize, hiddenSize, 'head'),
    ...normSpecs(norm, hiddenSize).map((spec) => ({ ...spec, part: 'head' as const })),
    { name: bias, shape: [vocabularySize], initial: 'zeros', part: 'head', lookup: false },
  ]
  return {
    encoder,
    parameters: [...encoder.parameters, ...head],
    build(graph, { dropout = false } = {}) {
      const built = encoder.build(graph, { dropout, hidden: true, tokens: 'ids' })
      const m = new Modules(graph, head, config, dropout)
      const places = graph.input('masked.places', 'int64', ['M'])
      const answers = graph.input('masked.answers', 'int64', ['M'])
      const weights = graph.input('masked.weights', 'float32', ['M'])
      const states = gather(reshape(built.hidden!, [multiplyDims('B', 'S'), hiddenSize]), places)
      const x = m.norm(activate(m.dense(states, transform), config.activation), norm)
      const table = built.parameters.get(encoder.tokenTable)!
      const logits = add(matmul(x, table, { transB: true }), m.parameters.get(bias)!)
      const chosen = gather(reshape(logSoftmax(logits), [multiplyDims('M', vocabularySize)]), answers)
      return {
        loss: neg(reduceSum(mul(chosen, weights))),
        parameters: new Map([...built.parameters, ...m.parameters]),
      }
    },
  }
}

/**
 * The feeds of the loss.
 * @param places of the tokens asked for in the batch, row * length + place.
 * @param answers the tokens that stood there.
 */
export function maskedFeeds(places: readonly number[], answers: readonly number[], vocabularySize: number) {
  return {
    'masked.places': BigInt64Array.from(places, BigInt),
    'masked.answers': BigInt64Array.from(answers, (answer, i) => BigInt(i * vocabularySize + answer)),
    'masked.weights': new Float32Array(places.length).fill(1 / places.length),
  }
}
