/** Puts an encoder together from what its architecture says: embeddings, layers and head. */
import {
  add,
  cast,
  concat,
  expand,
  type Graph,
  gather,
  mul,
  multiplyDims,
  pad,
  reshape,
  slice,
  sub,
  sumDim,
  type Tensor,
} from '../graph/index.ts'
import { InputError } from '../util/errors.ts'
import {
  denseSpecs,
  firstTokens,
  type LayerNames,
  layerSpecs,
  Modules,
  meanOverTokens,
  normSpecs,
  type Positions,
  tableSpec,
  transformerLayer,
} from './blocks.ts'
import type { BuildOptions, EncoderConfig, EncoderGraph, EncoderModel, HeadOptions, ParameterSpec } from './encoder.ts'
import { type LayerPrompts, promptsOf, slotHead } from './slots/index.ts'

/** What tells one encoder family from another. Names are state dict keys of the sequence classification model in transformers. */
export interface Architecture {
  /** Prefix of the embedding modules, such as `bert.embeddings`. */
  readonly embeddings: string
  /** Names of a layer of attention; none with a `body`. */
  layer?(index: number): LayerNames
  /** Whether the attention output has dropout of its own. */
  readonly attentionOutputDropout: boolean
  /** In place of positions and layers of attention; the head then reads the mean over the tokens. */
  readonly body?: Body
  /** Name of the last linear map. */
  readonly classifier: string
  /** Parameters of the modules between the first token's state and the classifier. */
  headSpecs(config: EncoderConfig): ParameterSpec[]
  /** From the first token's state [B, hidden] to the input of the classifier, without its last dropout. */
  head(m: Modules, first: Tensor): Tensor
}

/** What makes states of tokens where layers of attention do not. */
export interface Body {
  specs(config: EncoderConfig): ParameterSpec[]
  /** From the embeddings of tokens to their states, both [B, S, hidden]; `mask` is 1 for tokens, 0 for padding, [B, S]. */
  states(m: Modules, embeddings: Tensor, mask: Tensor): Tensor
}

/** An encoder with an optional classifier. */
export function assemble(architecture: Architecture, config: EncoderConfig, options: HeadOptions = {}): EncoderModel {
  const { units = 0, pooling = 'head' } = options
  const { embeddings, classifier, body } = architecture
  const { hiddenSize, positionOffset, maxLength, tokenTypes } = config
  const tokenTable = `${embeddings}.word_embeddings.weight`
  const slots = units > 0 && config.slots !== undefined ? slotHead(config.slots) : undefined
  const prefix = slots?.prefix ?? 0
  const prompts = slots?.prompts ?? []
  if (body && prompts.length > 0)
    throw new InputError('METHOD_ENCODER', `A ${config.family} encoder has no layers that prompts could stand in`, {
      where: { key: 'encoder' },
      help: 'choose a transformer: --encoder mini, DIR or hf:ORG/NAME',
    })
  const layers = Array.from({ length: architecture.layer ? config.layers : 0 }, (_, i) => architecture.layer!(i))
  const parameters = [
    tableSpec(`${embeddings}.word_embeddings`, config.vocabularySize, hiddenSize, true),
    ...(body ? body.specs(config) : transformerSpecs()),
    ...headSpecs(),
  ]

  function transformerSpecs(): ParameterSpec[] {
    return [
      tableSpec(`${embeddings}.position_embeddings`, maxLength + positionOffset, hiddenSize),
      ...(tokenTypes > 0 ? [tableSpec(`${embeddings}.token_type_embeddings`, tokenTypes, hiddenSize)] : []),
      ...normSpecs(`${embeddings}.LayerNorm`, hiddenSize),
      ...layers.flatMap((names) => layerSpecs(names, config)),
    ]
  }

  function headSpecs(): ParameterSpec[] {
    if (units === 0) return []
    if (!slots)
      return [
        ...(pooling === 'head' ? architecture.headSpecs(config) : []),
        ...denseSpecs(classifier, units, hiddenSize, 'classifier'),
      ]
    const vectors = (name: string, count: number) => ({
      ...tableSpec(name, count, hiddenSize),
      part: 'classifier' as const,
    })
    return [
      ...(prefix > 0 ? [vectors('slots.prefix', prefix)] : []),
      ...prompts.map(({ layer, count }) => vectors(promptsOf(layer), count)),
      ...slots.specs(config, units),
    ]
  }

  function build(
    graph: Graph,
    { dropout = false, hidden: wantHidden = false, tokens: mode = 'rows' }: BuildOptions = {},
  ): EncoderGraph {
    if (mode === 'ids' && prefix > 0)
      throw new InputError('EXPORT_KIND', 'onnx has no form for a head with a prompt before the text', {
        help: 'use --format safetensors, and this package to run it',
      })
    const inGraph = parameters.filter(({ lookup }) => mode === 'ids' || !lookup)
    const m = new Modules(graph, inGraph, config, dropout)
    const tokens =
      mode === 'rows'
        ? graph.input('tokenRows', 'float32', ['B', 'S', hiddenSize])
        : graph.input('input_ids', 'int64', ['B', 'S'])
    const mask = graph.input('attention_mask', mode === 'rows' ? 'float32' : 'int64', ['B', 'S'])
    const floatMask = cast(mask, 'float32')

    const rows = mode === 'rows' ? tokens : gather(m.parameters.get(tokenTable)!, tokens)
    // Prompts stand at places that the batch leaves empty behind the first token.
    const prompted = prefix > 0 ? add(rows, pad(m.weight('slots.prefix'), 0, 1, 'S')) : rows
    const all = wantHidden || slots !== undefined || pooling === 'mean'
    const { states, prompts: promptStates } = body
      ? { states: body.states(m, m.dropout(prompted, config.hiddenDropout, embeddings), floatMask), prompts: [] }
      : transformerStates(m, prompted, floatMask, all ? 'all' : 'first')
    const hidden = body || all ? reshape(states, ['B', 'S', hiddenSize]) : undefined

    const read = pooling === 'mean' || body ? meanOverTokens(hidden!, floatMask) : hidden ? firstTokens(states) : states
    const pooled = units > 0 && !slots && pooling === 'head' ? architecture.head(m, read) : read
    const ids = mode === 'ids' ? tokens : slots?.readsIds ? graph.input('token_ids', 'int64', ['B', 'S']) : undefined
    const scores = slots?.build(
      m,
      { hidden: hidden!, mask: floatMask, ...(ids ? { ids } : {}), prompts: promptStates },
      units,
    )
    const logits =
      scores?.logits ??
      (units > 0 ? m.classify(m.dropout(pooled, config.classifierDropout, classifier), classifier) : undefined)
    const { attentions } = m
    const slotTensors = scores?.tensors ?? {}
    return {
      tokens,
      mask,
      hidden,
      pooled,
      attentions,
      logits,
      slots: slotTensors,
      readout: scores?.readout,
      parameters: m.parameters,
    }
  }

  /** States [B*S, hidden], or of the first tokens alone, [B, hidden]; and what layers made of their prompts. */
  function transformerStates(m: Modules, rows: Tensor, mask: Tensor, last: Positions) {
    const positions = slice(m.weight(`${embeddings}.position_embeddings`), 0, positionOffset, 'S')
    const types = tokenTypes > 0 ? slice(m.weight(`${embeddings}.token_type_embeddings`), 0, 0, 1) : undefined
    const embedded = add(rows, types ? add(positions, types) : positions)
    const normal = m.norm(reshape(embedded, ['B*S', hiddenSize]), `${embeddings}.LayerNorm`)
    let x = m.dropout(normal, config.hiddenDropout, embeddings)
    const penalty = reshape(mul(sub(mask, 1), 1e9), ['B', 1, 1, 'S'])
    const masks = { all: expand(penalty, ['B', 1, 'S', 'S']), first: penalty }
    const promptStates: Tensor[] = []
    for (const [index, names] of layers.entries()) {
      const positions = index === layers.length - 1 ? last : 'all'
      const prompt = prompts.find(({ layer }) => layer === index)
      if (prompt) {
        const { states, tokens } = promptedLayer(m, names, x, penalty, prompt, architecture.attentionOutputDropout)
        promptStates.push(states)
        x = tokens
        continue
      }
      x = transformerLayer(m, names, x, masks[positions], positions, architecture.attentionOutputDropout)
    }
    return { states: x, prompts: promptStates }
  }

  return { config, prefix, readsIds: slots?.readsIds ?? false, head: { units, pooling }, parameters, tokenTable, build }
}

/** A layer that reads prompts among the tokens: what it makes of them, and of the tokens. */
function promptedLayer(
  m: Modules,
  names: LayerNames,
  x: Tensor,
  penalty: Tensor,
  { layer, count }: LayerPrompts,
  outputDropout: boolean,
): { states: Tensor; tokens: Tensor } {
  const { hiddenSize } = m.config
  const length = sumDim(count, 'S')
  const vectors = reshape(m.weight(promptsOf(layer)), [1, count, hiddenSize])
  const joined = concat([expand(vectors, ['B', count, hiddenSize]), m.split(x)], 1)
  const seen = expand(x.graph.constant([0], [1, 1, 1, 1]), ['B', 1, 1, count])
  const mask = expand(concat([seen, penalty], 3), ['B', 1, length, length])
  const rows = reshape(joined, [multiplyDims('B', length), hiddenSize])
  const out = transformerLayer(m, names, rows, mask, 'all', outputDropout, length)
  const split = reshape(out, ['B', length, hiddenSize])
  return {
    states: slice(split, 1, 0, count),
    tokens: reshape(slice(split, 1, count, 'S'), ['B*S', hiddenSize]),
  }
}
