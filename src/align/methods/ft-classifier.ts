/**
 * FT-Classifier (reference: fskong/FT-Classifier-for-Model-Merging): merged encoders keep their classes apart, but turned away from the heads, so a head is fitted anew on a few texts
 * of each label to answer as the expert does. In closed form the same by the best rotation. Labels serve to draw the sample, no more.
 *
 * Deviations from the reference: full batches of Adam instead of batches of 8 (deterministic, and a small head needs no more), and the correction of
 * the bias for the means, which the paper does not state.
 */
import * as v from 'valibot'
import { defineAlignMethod } from '../align-method.ts'
import { distillHead, logitsOf, probabilitiesOf } from '../distill-head.ts'
import { procrustes, rotateHead } from '../procrustes.ts'

const whole = (least: number) =>
  v.pipe(
    v.number('Expected a whole number'),
    v.integer('Expected a whole number'),
    v.minValue(least, `Expected a whole number from ${least}`),
  )

/**
 * Fits a task's head to a merged encoder.
 *
 * `shots` texts of each label (default 10); `solver`: `train` (default) fits the head to the expert's answers, `rotation` turns it by the best
 * orthogonal map, `both` turns it and then fits; `steps` (default 200) and `learningRate` (default 0.005) of the fit.
 * @example
 * await align('merged', { trec: rows }, { method: ftClassifier({ shots: 10 }), out: 'aligned' })
 */
export const ftClassifier = defineAlignMethod(
  {
    name: 'ft-classifier',
    summary: 'Fits each head to the merged encoder with a few texts a label; the standard step after any merge.',
    source: 'FT-Classifier: aligned classifiers for merged encoders, github.com/fskong/FT-Classifier-for-Model-Merging',
    status: 'partial',
    results: 'docs/results/merging.md',
  },
  v.object({
    shots: v.optional(whole(1), 10),
    solver: v.optional(
      v.picklist(['train', 'rotation', 'both'], 'Expected train, rotation or both for solver'),
      'train',
    ),
    steps: v.optional(whole(0), 200),
    learningRate: v.optional(
      v.pipe(
        v.number('Expected a number'),
        v.gtValue(0, 'Expected a number above 0'),
        v.maxValue(1, 'Expected at most 1'),
      ),
      5e-3,
    ),
  }),
  ({ kernels, head, normalisation, merged, expert }, { solver, steps, learningRate }, run) => {
    const start = solver === 'train' ? head : rotateHead(kernels, head, procrustes(kernels, merged, expert))
    if (solver === 'rotation') return start
    const teacher = probabilitiesOf(logitsOf(kernels, expert, head), normalisation)
    return distillHead(kernels, merged, teacher, start, normalisation, { ...run, steps, learningRate })
  },
)
