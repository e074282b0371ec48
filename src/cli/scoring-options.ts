/** The options by which the verbs that answer texts say how: the decoder, batches, threads. */
import type { Command } from 'commander'
import { type DecoderName, decoderNames } from '../labels/decode.ts'
import { oneOf, wholeIn } from './option-values.ts'

export interface ScoringFlags {
  decoder?: DecoderName
  beam?: number
  batch?: number
  threads?: number
}

export function addScoringOptions(command: Command): Command {
  return command
    .option(
      '--decoder <NAME>',
      'how probabilities become labels: leaf-up, joint-path, top-down, per-level-argmax or threshold (default: as trained)',
      oneOf('--decoder', decoderNames),
    )
    .option(
      '--beam <N>',
      'nodes kept on each level, by the decoder top-down and by xr-linear (default: 1, and as trained)',
      wholeIn('--beam', { least: 1 }),
    )
    .option('--batch <N>', 'texts scored together (default: 64)', wholeIn('--batch', { least: 1 }))
    .option(
      '--threads <N>',
      "threads to compute with (default: the machine's cores)",
      wholeIn('--threads', { least: 1 }),
    )
}
