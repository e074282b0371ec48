/**
 * Objectives: what training minimises. Most methods need only the loss of their head layout; others add terms over the slots of a batch.
 * A configuration is plain data, so that it crosses to the training worker and stands in the fingerprint of a run.
 */
import type { Tensor } from '../../graph/index.ts'
import type { HeadLayout, HeadTargets } from '../../labels/head-layout.ts'
import type { EncoderGraph } from '../../models/encoder.ts'
import type { LossFeeds, LossOptions } from '../head-loss.ts'
import type { LossJob } from '../losses/index.ts'
import type { HierVerbLoss } from './hierverb.ts'
import type { LevelLoss } from './level-loss.ts'
import type { LhMixLoss } from './lh-mix.ts'

/** Every objective, by `kind`. */
export type ObjectiveConfig =
  | {
      /** The loss of the layout alone. */
      readonly kind: 'head'
    }
  | LevelLoss
  | HierVerbLoss
  | LhMixLoss

export interface ObjectiveGraph {
  readonly built: EncoderGraph
  readonly layout: HeadLayout
  /** In place of the cross-entropy of the head; no other objective is trained with one. */
  readonly loss?: LossJob
}

/** The rows of one run of the graph. */
export interface ObjectiveBatch {
  readonly layout: HeadLayout
  readonly targets: HeadTargets
  /** Rows of this run, before `views`; `batchRows` counts those of the whole batch. */
  readonly rows: Uint32Array
  readonly batchRows: number
  readonly options: LossOptions
  /** Key of whatever is drawn at random. */
  readonly seed: number
  readonly step: number
  /** Updates done before this one. */
  readonly update: number
}

export interface Objective {
  /** Adds the loss to the graph of the model; its inputs are what `feeds` gives. @returns a scalar. */
  loss(parts: ObjectiveGraph): Tensor
  feeds(batch: ObjectiveBatch): LossFeeds
  /** The rows as they go through the encoder, for example every row twice (two dropout views). Default: the rows. */
  views?(rows: Uint32Array): Uint32Array
}
