/** What the trainer of `xr-linear` models can be told. */

export interface XrOptions {
  /** `words`: single words. `characters`: 1-2 words and 2-5 characters, which cope with inflection and misspelling and cost ten times the time and room. */
  readonly features: 'words' | 'characters'
  /** Children of a node of a learnt tree, a power of two from 2 to 256. */
  readonly branching: number
  /** Labels below the last nodes of a learnt tree, at most. */
  readonly leafSize: number
  /** Nodes that a search keeps on each level. */
  readonly beam: number
  /** Cost of margin errors, C of the support vector machines; above 0. */
  readonly cost: number
  /** Weights below this in size are left out. */
  readonly threshold: number
  /** `tfn`: a node learns from the rows below it. `tfn+man`: and from those that the levels above would wrongly send to it. */
  readonly negatives: 'tfn' | 'tfn+man'
}
