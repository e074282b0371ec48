/** What the encoder families share: declaring parameters, and the post-norm transformer layer (Vaswani et al., 2017). */
import {
  add,
  attention,
  blockedLinear,
  type Dim,
  div,
  dropout,
  erfGate,
  type Graph,
  gelu,
  geluTanh,
  type LinearOptions,
  layerNormalization,
  linear,
  maximum,
  mul,
  multiplyDims,
  reduceSum,
  relu,
  reshape,
  sigmoid,
  slice,
  type Tensor,
  tanh,
  transpose,
} from '../graph/index.ts'
import type { Activation, EncoderConfig, ParameterSpec } from './encoder.ts'

type Part = ParameterSpec['part']

/** Weight and bias of a linear map. */
export function denseSpecs(name: string, out: number, input: number, part: Part = 'encoder'): ParameterSpec[] {
  return [
    { name: `${name}.weight`, shape: [out, input], initial: 'normal', part, lookup: false },
    { name: `${name}.bias`, shape: [out], initial: 'zeros', part, lookup: false },
  ]
}

/** Scale and shift of a layer normalisation. */
export function normSpecs(name: string, size: number): ParameterSpec[] {
  return [
    { name: `${name}.weight`, shape: [size], initial: 'ones', part: 'encoder', lookup: false },
    { name: `${name}.bias`, shape: [size], initial: 'zeros', part: 'encoder', lookup: false },
  ]
}

export function tableSpec(name: string, rows: number, size: number, lookup = false): ParameterSpec {
  return { name: `${name}.weight`, shape: [rows, size], initial: 'normal', part: 'encoder', lookup }
}

/** State dict keys of one layer's modules. */
export interface LayerNames {
  query: string
  key: string
  value: string
  attentionOutput: string
  attentionNorm: string
  intermediate: string
  output: string
  outputNorm: string
}

export function layerSpecs(names: LayerNames, { hiddenSize, intermediateSize }: EncoderConfig): ParameterSpec[] {
  return [
    ...denseSpecs(names.query, hiddenSize, hiddenSize),
    ...denseSpecs(names.key, hiddenSize, hiddenSize),
    ...denseSpecs(names.value, hiddenSize, hiddenSize),
    ...denseSpecs(names.attentionOutput, hiddenSize, hiddenSize),
    ...normSpecs(names.attentionNorm, hiddenSize),
    ...denseSpecs(names.intermediate, intermediateSize, hiddenSize),
    ...denseSpecs(names.output, hiddenSize, intermediateSize),
    ...normSpecs(names.outputNorm, hiddenSize),
  ]
}

/** The modules of one model on one graph: looks up parameters by state dict key, and adds dropout only while training. */
export class Modules {
  readonly parameters = new Map<string, Tensor>()
  readonly config: EncoderConfig
  readonly training: boolean
  /** Attention weights of the layers built so far, [B, heads, queries, S]. */
  readonly attentions: Tensor[] = []

  constructor(graph: Graph, specs: readonly ParameterSpec[], config: EncoderConfig, training: boolean) {
    for (const { name, shape } of specs) this.parameters.set(name, graph.parameter(name, shape))
    this.config = config
    this.training = training
  }

  weight(name: string): Tensor {
    return this.parameters.get(`${name}.weight`)!
  }

  dense(x: Tensor, name: string, options?: LinearOptions): Tensor {
    return linear(x, this.weight(name), this.parameters.get(`${name}.bias`), options)
  }

  classify(x: Tensor, name: string): Tensor {
    return blockedLinear(x, this.weight(name), this.parameters.get(`${name}.bias`)!)
  }

  norm(x: Tensor, name: string): Tensor {
    return layerNormalization(x, this.weight(name), this.parameters.get(`${name}.bias`)!, this.config.layerNormEpsilon)
  }

  /** Rows of tokens by text: [B*S, width] to [B, S, width]. */
  split(x: Tensor): Tensor {
    return reshape(x, ['B', 'S', x.shape[1]!])
  }

  dropout(x: Tensor, rate: number, name: string): Tensor {
    return this.training ? dropout(x, rate, name) : x
  }
}

export function activate(x: Tensor, activation: Activation): Tensor {
  switch (activation) {
    case 'gelu':
      return gelu(x)
    case 'gelu_new':
      return geluTanh(x)
    case 'relu':
      return relu(x)
    case 'tanh':
      return tanh(x)
    case 'silu':
      return mul(x, sigmoid(x))
  }
}

/** Which positions of a layer's output are computed. */
export type Positions = 'all' | 'first'

/**
 * One layer on hidden states [B*S, hidden]. `first` computes the output of the first token alone, [B, hidden]: what the last layer owes to a
 * classifier that reads no other token.
 * @param mask added to the scores: 0 for tokens, a large negative number for padding; [B, 1, S, S] for all positions, [B, 1, 1, S] for the first.
 * @param outputDropout whether the attention output has dropout (DistilBERT: no).
 * @param length of the rows, where it is not S.
 */
export function transformerLayer(
  m: Modules,
  names: LayerNames,
  x: Tensor,
  mask: Tensor,
  positions: Positions,
  outputDropout: boolean,
  length: Dim = 'S',
): Tensor {
  const { heads, hiddenSize, hiddenDropout, attentionDropout } = m.config
  const size = hiddenSize / heads
  const split = (y: Tensor) => transpose(reshape(y, ['B', length, heads, size]), [0, 2, 1, 3])
  const own = positions === 'all' ? x : firstTokens(x)
  const query = m.dense(own, names.query)
  const context = attention(
    positions === 'all' ? split(query) : reshape(query, ['B', heads, 1, size]),
    split(m.dense(x, names.key)),
    split(m.dense(x, names.value)),
    {
      mask,
      onWeights: (weights) => m.attentions.push(weights),
      ...(m.training ? { dropout: { rate: attentionDropout, name: names.query } } : {}),
    },
  )
  const joined =
    positions === 'all'
      ? reshape(transpose(context, [0, 2, 1, 3]), [multiplyDims('B', length), hiddenSize])
      : reshape(context, ['B', hiddenSize])
  const attended = m.dense(joined, names.attentionOutput)
  const kept = outputDropout ? m.dropout(attended, hiddenDropout, names.attentionOutput) : attended
  const middle = m.norm(add(kept, own), names.attentionNorm)
  const outer = m.dropout(feedForward(m, names, middle), hiddenDropout, names.output)
  return m.norm(add(outer, middle), names.outputNorm)
}

/** [B*S, hidden] to [B, hidden]. */
export function firstTokens(x: Tensor): Tensor {
  const hiddenSize = x.shape[1]!
  return reshape(slice(reshape(x, ['B', 'S', hiddenSize]), 1, 0, 1), ['B', hiddenSize])
}

/** Mean over the tokens of each row that are not padding, [B, S, hidden] to [B, hidden]. */
export function meanOverTokens(hidden: Tensor, mask: Tensor): Tensor {
  const sum = reduceSum(mul(hidden, reshape(mask, ['B', 'S', 1])), [1])
  return div(sum, maximum(reduceSum(mask, [1], { keepDims: true }), 1))
}

/** While training, gelu's two constant factors ride on the linear maps around it. */
function feedForward(m: Modules, names: LayerNames, x: Tensor): Tensor {
  if (!m.training || m.config.activation !== 'gelu')
    return m.dense(activate(m.dense(x, names.intermediate), m.config.activation), names.output)
  const half = Math.SQRT1_2
  const gated = erfGate(m.dense(x, names.intermediate, { alpha: half, beta: half }))
  return m.dense(gated, names.output, { alpha: half })
}
