/** The encoders that are trained from scratch, by the name that `encoder` takes. */
import { type EncoderConfig, gruConfig, miniConfig } from '../models/index.ts'

/** Vocabulary: enough for whole words of everyday text, small enough to train on a few thousand rows. */
export const scratchVocabulary = 8000

interface ScratchOptions {
  vocabularySize: number
  padTokenId?: number
}

export const scratchEncoders = {
  /** A small transformer. */
  mini: (options: ScratchOptions): EncoderConfig => miniConfig(options),
  /** A bidirectional GRU. */
  gru: (options: ScratchOptions): EncoderConfig => gruConfig(options),
} as const

export type ScratchEncoder = keyof typeof scratchEncoders

export const isScratch = (encoder: string): encoder is ScratchEncoder => Object.hasOwn(scratchEncoders, encoder)
