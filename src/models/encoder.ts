/**
 * What every transformer encoder of this package is: a configuration, a list of named parameters in the layout of Hugging Face
 * checkpoints, and a function that builds the forward pass on a graph, once for training, inference and export.
 */
import type { Graph, Tensor } from '../graph/index.ts'
import type { SlotConfig } from './slots/slot-config.ts'

export type EncoderFamily = 'bert' | 'roberta' | 'distilbert' | 'gru'
export type Activation = 'gelu' | 'gelu_new' | 'relu' | 'tanh' | 'silu'

/** The numbers that fix an encoder's shape and behaviour, from a Hugging Face config.json. */
export interface EncoderConfig {
  readonly family: EncoderFamily
  readonly vocabularySize: number
  readonly hiddenSize: number
  readonly layers: number
  readonly heads: number
  readonly intermediateSize: number
  /** Rows of the position table that text may use: the longest input in tokens. */
  readonly maxLength: number
  /** Rows of the position table in front of the first text position (RoBERTa: 2). */
  readonly positionOffset: number
  /** Rows of the token type table; 0 if the architecture has none. */
  readonly tokenTypes: number
  readonly activation: Activation
  readonly layerNormEpsilon: number
  readonly hiddenDropout: number
  readonly attentionDropout: number
  readonly classifierDropout: number
  /** Standard deviation of fresh weights. */
  readonly initializerRange: number
  readonly padTokenId: number
  /** How the classifier reads the text, where it is not the head of the architecture; a model without a classifier ignores it. */
  readonly slots?: SlotConfig
  /** The config.json as read, kept when the checkpoint is saved again. */
  readonly source: Readonly<Record<string, unknown>>
}

/** How fresh values of a parameter are drawn: normal with standard deviation `initializerRange`, zeros or ones. */
export type Initial = 'normal' | 'zeros' | 'ones'

export interface ParameterSpec {
  /** State dict key of the sequence classification model in transformers. */
  readonly name: string
  readonly shape: readonly number[]
  readonly initial: Initial
  /** encoder: always read from a checkpoint. classifier: the last linear map. head: what stands between the two, such as BERT's pooler. */
  readonly part: 'encoder' | 'head' | 'classifier'
  /** True for the token table: it stays outside the graph, which is fed the rows of the batch (`tokenRows`). */
  readonly lookup: boolean
}

/** How the last hidden states become one vector: the head of the architecture as in transformers, or the mean over real tokens. */
export type Pooling = 'head' | 'mean'

export interface HeadOptions {
  /** Outputs of the classifier; 0 (default) builds the encoder alone. */
  units?: number
  /** Default `head`. */
  pooling?: Pooling
}

export interface BuildOptions {
  /** For training: adds dropout at the rates of the configuration; default false. */
  dropout?: boolean
  /**
   * Compute the last hidden states of all tokens. By default the last layer computes no more than pooling reads: with pooling `head` that is
   * the first token.
   */
  hidden?: boolean
  /**
   * rows (default): the graph takes `tokenRows` float32 [B, S, hidden], the rows of the token table. ids: it takes `input_ids` int64 [B, S]
   * and has the table as a parameter, as an exported file needs.
   */
  tokens?: 'rows' | 'ids'
}

export interface EncoderGraph {
  /** `tokenRows` or `input_ids`. */
  readonly tokens: Tensor
  /** `attention_mask` [B, S]: 1 for tokens, 0 for padding; float32 with rows, int64 with ids. */
  readonly mask: Tensor
  /** Last hidden states [B, S, hidden]; undefined unless asked for or needed for pooling. */
  readonly hidden: Tensor | undefined
  /** One vector per row [B, hidden], the input of the classifier without its dropout. Without a head it is the mean or, failing that, the first token. */
  readonly pooled: Tensor
  /** Attention weights of each layer [B, heads, queries, S]; the last layer has one query, the first token, where no other is read. */
  readonly attentions: readonly Tensor[]
  /** Classifier outputs [B, units]; undefined without a head. */
  readonly logits: Tensor | undefined
  /** What slots give besides their logits, by name; empty without slots. */
  readonly slots: Readonly<Record<string, Tensor>>
  /** Logits of other slots of the same shape; undefined where slots have no such map. */
  readonly readout: ((slots: Tensor) => Tensor) | undefined
  /** The graph inputs of the parameters by name; in rows mode without the token table. */
  readonly parameters: ReadonlyMap<string, Tensor>
}

export interface EncoderModel {
  readonly config: EncoderConfig
  /** Learned vectors behind the first token of every text, which `tokenBatch` makes room for. */
  readonly prefix: number
  /** With token rows, the graph takes `token_ids` int64 [B, S] too, see `batchFeeds`. */
  readonly readsIds: boolean
  readonly head: Required<HeadOptions>
  readonly parameters: readonly ParameterSpec[]
  /** Name of the token table among the parameters. */
  readonly tokenTable: string
  build(graph: Graph, options?: BuildOptions): EncoderGraph
}
