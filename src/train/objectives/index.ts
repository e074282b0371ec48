/** Objectives by their configuration. */
import { headLoss, lossFeeds } from '../head-loss.ts'
import { hierverbLoss } from './hierverb.ts'
import { levelLoss } from './level-loss.ts'
import { lhMixLoss } from './lh-mix.ts'
import type { Objective, ObjectiveConfig } from './objective.ts'

export type { Objective, ObjectiveBatch, ObjectiveConfig, ObjectiveGraph } from './objective.ts'

/** The loss of the head layout alone. */
const head: Objective = {
  loss: ({ built, layout, loss }) => headLoss(built.logits!, layout, loss),
  feeds: ({ layout, targets, rows, batchRows, options }) => lossFeeds(layout, targets, rows, batchRows, options),
}

/** The objective of a configuration; without one, the loss of the layout. */
export function objective(config: ObjectiveConfig = { kind: 'head' }): Objective {
  switch (config.kind) {
    case 'head':
      return head
    case 'levels':
      return levelLoss(config)
    case 'hierverb':
      return hierverbLoss(config)
    case 'lh-mix':
      return lhMixLoss(config)
  }
}
