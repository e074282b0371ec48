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
  const { model, heldOut } = await trainLinear(
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
  if (!adjustment) return { ...ngramScorer(model), heldOut }
  const logits = heldOut.logits.map((logit, i) => logit - adjustment[i % model.units]!)
  return { ...ngramScorer(await model.shifted(adjustment.map((value) => -value))), heldOut: { ...heldOut, logits } }
}
