/** A classifier without a place on disk: label tree, scorer, and how scores become answers. What `predict` needs, in Node and in browsers. */
import type { Decoder } from '../labels/decode.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import { type NodeProbabilities, nodeProbabilities } from '../labels/node-probabilities.ts'
import { type RankedProbabilities, rankedProbabilities } from '../labels/ranked-probabilities.ts'
import { type ClassifierSettings, layoutOf } from './classifier-settings.ts'
import type { Scorer } from './scorer.ts'

/** The part of a scorer that answers texts. */
export type AnsweringScorer = Pick<Scorer, 'units' | 'score' | 'rank'>

export class ClassifierCore {
  readonly tree: LabelTree
  readonly settings: ClassifierSettings
  readonly scorer: AnsweringScorer
  /** Ids where predicted paths may end. */
  readonly terminals: Int32Array
  /** Per node id; empty for a model of one path per row. */
  readonly thresholds: Float64Array
  /** Probabilities of tree nodes from one row of logits. */
  readonly probabilities: (logits: Float32Array) => NodeProbabilities
  /** The same from a list of the best units and their logits, for a scorer that ranks. */
  readonly rankedProbabilities: (units: Uint32Array, logits: Float32Array) => RankedProbabilities
  /** How probabilities become labels unless the caller says otherwise. */
  readonly decoder: Decoder

  constructor(tree: LabelTree, settings: ClassifierSettings, scorer: AnsweringScorer) {
    this.tree = tree
    this.settings = settings
    this.scorer = scorer
    this.terminals = Int32Array.from(settings.terminals)
    this.thresholds = Float64Array.from(settings.thresholds ?? [])
    const layout = layoutOf(settings)
    this.probabilities = nodeProbabilities(layout, tree, settings.temperature)
    this.rankedProbabilities = rankedProbabilities(layout, tree, settings.temperature)
    this.decoder = settings.decoder ?? { name: settings.multiLabel ? 'threshold' : 'leaf-up' }
  }
}
