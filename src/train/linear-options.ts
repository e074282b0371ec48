/** What the sparse linear trainer can be told. One set of defaults, found by cross-validation on training data, serves all data sets. */

export interface LinearOptions {
  /** Cost of margin errors, C of the support vector machine; above 0. Two labels that exclude each other, one balanced problem, take a quarter of it. Default 1. */
  readonly cost: number
  /** Passes over the rows at most. Default 30. */
  readonly maxPasses: number
  /** A block of problems is finished when no optimality condition is violated by more than this. Default 0.3 (margins are around 1). */
  readonly tolerance: number
  /** Features in fewer texts than this are left out; 0 chooses: 1, or 2 from 30,000 rows on. Default 0. */
  readonly minTexts: number
  /** Features at most; the rarest are left out. Default 2 million. */
  readonly maxFeatures: number
  /** How much a feature that says nothing about the labels still counts, against one that says everything (1); 0 chooses: 0.7 for two labels, else 0.3. Default 0. */
  readonly uninformative: number
  /** Rows of the prior with which a feature's label distribution is smoothed. Default 5. */
  readonly smoothing: number
  /** Share of its ancestors' scores in a label's score, in a flat layout over a tree. Default 0.4. */
  readonly ancestors: number
  /** Weights of a label below this share of its largest are left out; 0 chooses: 0.012 up to 50 labels, 0.02 up to 500, 0.028 beyond. Default 0. */
  readonly prune: number
}

export const defaultLinearOptions: LinearOptions = {
  cost: 1,
  maxPasses: 30,
  tolerance: 0.3,
  minTexts: 0,
  maxFeatures: 2_000_000,
  uninformative: 0,
  smoothing: 5,
  ancestors: 0.4,
  prune: 0,
}
