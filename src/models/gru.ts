/**
 * A bidirectional GRU as an encoder (Cho et al., 2014), trained from scratch: token vectors, recurrent layers in both directions, the mean over tokens. Names and
 * layouts of the weights are those of `torch.nn.GRU`.
 */
import { concat, gru as gruStates, linear, reshape, type Tensor, transpose } from '../graph/index.ts'
import { type Architecture, assemble } from './assemble.ts'
import type { Modules } from './blocks.ts'
import type { EncoderConfig, EncoderModel, HeadOptions, ParameterSpec } from './encoder.ts'
import { readEncoderConfig } from './encoder-config.ts'

/** About what `torch.nn.GRU` draws its weights with at 64 units a direction. */
const initializerRange = 0.1

const directions = ['', '_reverse'] as const
const nameOf = (what: string, layer: number, direction: string): string => `gru.${what}_l${layer}${direction}`

function layerSpecs({ hiddenSize }: EncoderConfig, layer: number): ParameterSpec[] {
  const size = hiddenSize / 2
  const spec = (
    what: string,
    shape: number[],
    initial: ParameterSpec['initial'],
    direction: string,
  ): ParameterSpec => ({
    name: nameOf(what, layer, direction),
    shape,
    initial,
    part: 'encoder',
    lookup: false,
  })
  return directions.flatMap((direction) => [
    spec('weight_ih', [3 * size, hiddenSize], 'normal', direction),
    spec('weight_hh', [3 * size, size], 'normal', direction),
    spec('bias_ih', [3 * size], 'zeros', direction),
    spec('bias_hh', [3 * size], 'zeros', direction),
  ])
}

/** One layer, both directions: [S, B, hidden] to [S, B, hidden]. */
function bothWays(m: Modules, x: Tensor, mask: Tensor, layer: number): Tensor {
  const { hiddenSize } = m.config
  const size = hiddenSize / 2
  const states = directions.map((direction) => {
    const weight = (what: string) => m.parameters.get(nameOf(what, layer, direction))!
    const flat = linear(reshape(x, ['B*S', hiddenSize]), weight('weight_ih'), weight('bias_ih'))
    const gates = reshape(flat, ['S', 'B', 3 * size])
    return gruStates(gates, mask, weight('weight_hh'), weight('bias_hh'), { reverse: direction !== '' })
  })
  return concat(states, 2)
}

const architecture: Architecture = {
  embeddings: 'embeddings',
  attentionOutputDropout: false,
  body: {
    specs: (config) => Array.from({ length: config.layers }, (_, layer) => layerSpecs(config, layer)).flat(),
    states(m, embeddings, mask) {
      const steps = reshape(transpose(mask, [1, 0]), ['S', 'B', 1])
      let x = transpose(embeddings, [1, 0, 2])
      for (let layer = 0; layer < m.config.layers; layer++) {
        const input = layer === 0 ? x : m.dropout(x, m.config.hiddenDropout, `gru.${layer}`)
        x = bothWays(m, input, steps, layer)
      }
      return transpose(x, [1, 0, 2])
    },
  },
  classifier: 'classifier',
  headSpecs: () => [],
  head: (_, mean) => mean,
}

/** The encoder of a configuration, with a linear classifier on the mean over the tokens' states. */
export function gru(config: EncoderConfig, options?: HeadOptions): EncoderModel {
  return assemble(architecture, config, options)
}

export interface GruOptions {
  vocabularySize: number
  /** Width of token vectors and states, half for each direction; even, default 128. */
  hiddenSize?: number
  /** Default 1. */
  layers?: number
  /** Longest input in tokens; default 512. */
  maxLength?: number
  /** Of token vectors, between layers, and before the classifier; default 0.1. */
  dropout?: number
  /** Default 0. */
  padTokenId?: number
}

/**
 * Configuration of a bidirectional GRU; its `source` is the config.json to save.
 * @throws InputError `CONFIG_VALUE` if the hidden size is odd.
 */
export function gruConfig(options: GruOptions): EncoderConfig {
  const { vocabularySize, hiddenSize = 128, layers = 1, maxLength = 512, dropout = 0.1, padTokenId = 0 } = options
  return readEncoderConfig({
    model_type: 'gru',
    vocab_size: vocabularySize,
    hidden_size: hiddenSize,
    num_hidden_layers: layers,
    hidden_dropout_prob: dropout,
    max_position_embeddings: maxLength,
    initializer_range: initializerRange,
    pad_token_id: padTokenId,
  })
}
