/**
 * Slots: the vectors that labels are scored with, where one vector for the whole text is not enough: one per label (label attention), one per
 * level (prompts). A slot head replaces the head of the architecture: it declares its parameters and builds logits from the states of all tokens.
 */
import type { Tensor } from '../../graph/index.ts'
import type { Modules } from '../blocks.ts'
import type { EncoderConfig, ParameterSpec } from '../encoder.ts'

/** What a slot head reads. */
export interface SlotStates {
  /** Last hidden states of all tokens [B, S, hidden]. */
  readonly hidden: Tensor
  /** 1 for tokens, 0 for padding; float32 [B, S]. */
  readonly mask: Tensor
  /** Token ids, int64 [B, S]; padding has any. Given to a head with `readsIds`. */
  readonly ids?: Tensor
  /** What the layers made of their prompts, [B, count, hidden] each, in the order of `SlotHead.prompts`. */
  readonly prompts: readonly Tensor[]
}

export interface SlotScores {
  /** [B, units]. */
  readonly logits: Tensor
  /** What losses may read besides, by name; the slots themselves stand under `slots`. */
  readonly tensors?: Readonly<Record<string, Tensor>>
  /** Logits of other slots of the same shape, for objectives that change them. */
  readonly readout?: (slots: Tensor) => Tensor
}

/** Learned vectors that stand before the tokens in one layer, from 0; `slots.prompts.LAYER.weight` [count, hidden]. One at most a layer. */
export interface LayerPrompts {
  readonly layer: number
  readonly count: number
}

/** Module of a layer's prompts. */
export const promptsOf = (layer: number): string => `slots.prompts.${layer}`

export interface SlotHead {
  /** Learned vectors that stand after the first token of every text; `slots.prefix.weight` [prefix, hidden]. Default 0. */
  readonly prefix?: number
  /** The head looks tokens up by their ids: `token_ids` are then an input of the graph. Default false; not with a prefix. */
  readonly readsIds?: boolean
  /** Vectors that stand among the tokens of single layers. Default: none. */
  readonly prompts?: readonly LayerPrompts[]
  /** Parameters, named `slots.*`, of part `classifier`; those of `prefix` and `prompts` are declared for the head. */
  specs(config: EncoderConfig, units: number): ParameterSpec[]
  build(m: Modules, states: SlotStates, units: number): SlotScores
}
