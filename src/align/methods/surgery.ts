/**
 * Representation surgery (Yang et al., "Representation Surgery for Multi-Task Model Merging", 2024): for each task a map of low rank takes off what the
 * merged encoder's vectors have too much, fitted to the specialist's vectors on a few texts; no labels are needed.
 *
 * Deviations: the map is linear and has a shift, where the paper has a ReLU inside and none, so that the head takes it up exactly; full batches.
 */
import * as v from 'valibot'
import { defineAlignMethod } from '../align-method.ts'
import { fitRepair, foldRepair } from '../repair-vectors.ts'

const whole = (least: number) =>
  v.pipe(
    v.number('Expected a whole number'),
    v.integer('Expected a whole number'),
    v.minValue(least, `Expected a whole number from ${least}`),
  )

/**
 * Repairs the vectors that a task's head reads.
 *
 * `shots` texts of each label (default 10); `rank` of the map (default 16); `steps` (default 1000) and `learningRate` (default 0.001) of its fit.
 * @example
 * await align('merged', { trec: rows }, { method: surgery({ rank: 16 }), out: 'repaired' })
 */
export const surgery = defineAlignMethod(
  {
    name: 'surgery',
    summary:
      "Takes off what the merged encoder's vectors have too much for a task, by a low-rank map fitted to the specialist's.",
    source: 'Yang et al., "Representation Surgery for Multi-Task Model Merging", 2024',
    status: 'works',
    results: 'docs/results/surgery.md',
  },
  v.object({
    shots: v.optional(whole(1), 10),
    rank: v.optional(whole(1), 16),
    steps: v.optional(whole(0), 1000),
    learningRate: v.optional(
      v.pipe(
        v.number('Expected a number'),
        v.gtValue(0, 'Expected a number above 0'),
        v.maxValue(1, 'Expected at most 1'),
      ),
      1e-3,
    ),
  }),
  ({ kernels, head, merged, expert }, { rank, steps, learningRate }, run) =>
    foldRepair(kernels, head, fitRepair(kernels, merged, expert, { ...run, rank, steps, learningRate })),
)
