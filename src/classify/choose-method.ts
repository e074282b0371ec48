/** The method `auto`: which head suits the data, and why. */
import type { LabelTree } from '../labels/label-tree.ts'
import type { HeadContext, HeadMethod } from './head-method.ts'
import { conditionalSoftmax, flat, perNode, xrLinear } from './methods/index.ts'

export interface ChosenMethod {
  readonly method: HeadMethod
  /** For people: one sentence. */
  readonly why: string
}

const formatCount = (count: number): string => count.toLocaleString('en-US')
/** Ends of paths from which deciding level by level is worth its small loss of accuracy. */
const endsForLevels = 2000
/** Ends of paths from which looking at every label costs more than a search. */
const endsForSearch = 20_000

/**
 * Chooses by the number of labels, the depth of their tree, labels per row and the encoder.
 * @param rows of the training data, told in the reason.
 * @example
 * chooseMethod(tree, { multiLabel: false, terminals: tree.leaves }, 'ngram', 15_000).why // '150 ends of paths, 15,000 rows, one label a row: few enough to compare all at once'
 */
export function chooseMethod(
  tree: LabelTree,
  { multiLabel, terminals }: HeadContext,
  encoder: string,
  rows: number,
): ChosenMethod {
  const ends = terminals.length
  const labels = `${formatCount(ends)} ends of paths, ${formatCount(rows)} rows, ${multiLabel ? 'several labels' : 'one label'} a row`
  if (!tree.isTree) return { method: perNode(), why: `${labels}: labels with several parents are decided one by one` }
  const levelled = tree.depth > 1
  if (encoder === 'ngram' && ends >= (levelled ? endsForSearch : endsForLevels))
    return { method: xrLinear(), why: `${labels}: a search through a tree of rankers looks at a small part of them` }
  if (ends < endsForLevels || !levelled) return { method: flat(), why: `${labels}: few enough to compare all at once` }
  return multiLabel
    ? { method: perNode(), why: `${labels}, ${tree.depth} levels: each label is decided where its parent holds` }
    : { method: conditionalSoftmax(), why: `${labels}, ${tree.depth} levels: deciding level by level costs less` }
}
