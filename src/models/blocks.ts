/** What the encoder families share: declaring parameters, and the post-norm transformer layer (Vaswani et al., 2017). */
import {
  add,
  dropout,
  type Graph,
  gelu,
  geluTanh,
  layerNormalization,
  linear,
  matmul,
  mul,
  relu,
  reshape,
  sigmoid,
  softmax,
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
  private readonly training: boolean

  constructor(graph: Graph, specs: readonly ParameterSpec[], config: EncoderConfig, training: boolean) {
    for (const { name, shape } of specs) this.parameters.set(name, graph.parameter(name, shape))
    this.config = config
    this.training = training
  }

  weight(name: string): Tensor {
    return this.parameters.get(`${name}.weight`)!
  }

  dense(x: Tensor, name: string): Tensor {
    return linear(x, this.weight(name), this.parameters.get(`${name}.bias`))
  }

  norm(x: Tensor, name: string): Tensor {
    return layerNormalization(x, this.weight(name), this.parameters.get(`${name}.bias`)!, this.config.layerNormEpsilon)
  }

  dropout(x: Tensor, rate: number, name: string): Tensor {
    return this.training ? dropout(x, rate, `dropout ${name}`) : x
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

/**
 * One layer on hidden states [B*S, hidden].
 * @param maskBias [B, 1, 1, S]: 0 for tokens, a large negative number for padding.
 * @param outputDropout whether the attention output has dropout (DistilBERT: no).
 */
export function transformerLayer(
  m: Modules,
  names: LayerNames,
  x: Tensor,
  maskBias: Tensor,
  outputDropout = true,
): Tensor {
  const { heads, hiddenSize, hiddenDropout, attentionDropout, activation } = m.config
  const size = hiddenSize / heads
  const split = (name: string) => transpose(reshape(m.dense(x, name), ['B', 'S', heads, size]), [0, 2, 1, 3])
  const scores = matmul(split(names.query), split(names.key), { transB: true, alpha: 1 / Math.sqrt(size) })
  const weights = m.dropout(softmax(add(scores, maskBias)), attentionDropout, `${names.query}.attention`)
  const context = transpose(matmul(weights, split(names.value)), [0, 2, 1, 3])
  const attended = m.dense(reshape(context, ['B*S', hiddenSize]), names.attentionOutput)
  const kept = outputDropout ? m.dropout(attended, hiddenDropout, names.attentionOutput) : attended
  const middle = m.norm(add(kept, x), names.attentionNorm)
  const inner = activate(m.dense(middle, names.intermediate), activation)
  const outer = m.dropout(m.dense(inner, names.output), hiddenDropout, names.output)
  return m.norm(add(outer, middle), names.outputNorm)
}
