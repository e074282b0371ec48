/** Trains the `ngram` scorer for a head layout. */
import { trainLinear } from '../train/linear.ts'
import { adjustmentOf } from './logit-adjustment.ts'
import { ngramScorer } from './ngram-scorer.ts'
import type { Scorer } from './scorer.ts'
import type { ScorerTraining } from './train-scorer.ts'

export async function trainNgramScorer({
  tree,
  method,
  layout,
  targets,
  train,
  options,
  workFolder,
}: ScorerTraining): Promise<Scorer> {
  const { model } = await trainLinear(
    {
      texts: train.texts,
      layout,
      targets,
      tree,
      seed: options.seed ?? 0,
      ...(options.threads === undefined ? {} : { threads: options.threads }),
      ...(workFolder === undefined ? {} : { workFolder }),
    },
    options,
  )
  const adjustment = adjustmentOf(layout, targets, method.logitAdjustment)
  return ngramScorer(adjustment ? await model.shifted(adjustment.map((value) => -value)) : model)
}
