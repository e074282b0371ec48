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
}

export interface SlotScores {
  /** [B, units]. */
  readonly logits: Tensor
  /** What losses may read besides, by name; the slots themselves stand under `slots`. */
  readonly tensors?: Readonly<Record<string, Tensor>>
}

export interface SlotHead {
  /** Learned vectors that stand after the first token of every text; `slots.prefix.weight` [prefix, hidden]. Default 0. */
  readonly prefix?: number
  /** Parameters, named `slots.*`, of part `classifier`; `slots.prefix.weight` is declared for the head. */
  specs(config: EncoderConfig, units: number): ParameterSpec[]
  build(m: Modules, states: SlotStates, units: number): SlotScores
}
