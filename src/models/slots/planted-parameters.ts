/** Parameters of planted attention that planting gives first values to. */
export const planted = {
  /** Weight of a token for a unit, 0 where it says nothing for it; [vocabulary, units]. */
  table: 'slots.table.weight',
  /** The ranker's factors of tokens and units, and the bias of tokens. A bias of units would change no attention. */
  tokens: 'slots.ranker.tokens.weight',
  tokenBias: 'slots.ranker.tokens.bias',
  units: 'slots.ranker.units.weight',
  /** Weights of the parts, in the order of the configuration. */
  mix: 'slots.mix.weight',
} as const
