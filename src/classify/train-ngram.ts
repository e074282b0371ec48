/** Trains the `ngram` scorer for a head layout. */
import { trainLinear } from '../train/linear.ts'
import { ngramScorer } from './ngram-scorer.ts'
import type { Scorer } from './scorer.ts'
import type { ScorerTraining } from './train-scorer.ts'

export async function trainNgramScorer({
  tree,
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
  return ngramScorer(model)
}
