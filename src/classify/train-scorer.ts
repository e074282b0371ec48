/** What the trainers of scorers are given: the part of `train` that is the same for every encoder. */
import type { HeadLayout, HeadTargets } from '../labels/head-layout.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import type { HeadMethod } from './head-method.ts'
import type { TrainOptions } from './options.ts'
import type { LabelledTexts } from './training-data.ts'

export interface ScorerTraining {
  tree: LabelTree
  method: HeadMethod
  layout: HeadLayout
  targets: HeadTargets
  train: LabelledTexts
  dev: LabelledTexts | undefined
  options: TrainOptions
  /** Where interrupted work is kept; undefined: nowhere. */
  workFolder: string | undefined
}
