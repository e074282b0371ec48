/**
 * R-TSVM (after Yang et al., "Mix Data or Merge Models? Balancing the Helpfulness, Honesty, and Harmlessness of Large Language Model via Model Merging", 2025): TSV-M with changes brought to one size,
 * outliers clipped and ranks by sparsity. No code is public: weighting and ranks are ours.
 */
import * as v from 'valibot'
import { frobeniusNorm } from '../../tensor/linear-algebra/matrix.ts'
import { cut } from '../../tensor/linear-algebra/truncated-svd.ts'
import { lambda } from '../elements/task-vector-options.ts'
import { clipOutliers } from '../matrices/clip.ts'
import { decorrelated, sideBySide } from '../matrices/decorrelate.ts'
import { leadingSvd } from '../matrices/leading.ts'
import { deltaMatrix, embeddings, isMatrix, rest, svdDoubles, writeDelta, writeOther } from '../matrices/matrix-task.ts'
import { energyRanks, sparsity, sparsityRanks } from '../matrices/task-ranks.ts'
import { defineMergeMethod, notNegative, shared, yesOrNo } from '../merge-method.ts'

const energyShare = 0.9

/**
 * As TSV-M, with each model's change of a matrix first scaled to the mean norm of all (`reweight`, default true), so that no task dominates.
 *
 * `clip`: clip each change at median ± clip robust standard deviations (default 0: not; 4 and more tame heavy tails); `rank`: `equal`
 * shares (default), by `sparsity`, or by `energy` (the fewest that hold 90 % of the squares); `lambda` (default 1); `rest`, `embeddings` as
 * in TSV-M.
 * @example
 * await merge(['helpful', 'honest', 'harmless'], { base: 'base', method: rTsvm(), out: 'merged' })
 */
export const rTsvm = defineMergeMethod({
  info: {
    name: 'r-tsvm',
    summary: 'TSV-M with changes brought to one size; for fine-tunes that changed the base by very different amounts.',
    source: 'Yang et al., "Mix Data or Merge Models?", 2025',
    status: 'works',
    results: 'docs/results/spectral-methods.md',
  },
  base: 'required',
  models: { least: 1 },
  matrix: (rows, columns, models) => svdDoubles(rows, columns) + (3 + 2 * models) * rows * columns,
  passes: 600,
  options: {
    lambda,
    reweight: shared(yesOrNo, true),
    clip: shared(notNegative, 0),
    rank: shared(
      v.picklist(['equal', 'sparsity', 'energy'], 'Expected equal, sparsity or energy for rank'),
      'equal' as const,
    ),
    rest: rest(),
    embeddings: embeddings('ties'),
  },
  merge(task, options) {
    const { lambda, reweight, clip, rank, embeddings } = options
    const ones = new Array<number>(task.models).fill(1)
    if (!isMatrix(task, embeddings, task.models)) return writeOther(task, options, ones)
    const least = Math.min(task.rows, task.columns)
    const share = Math.floor(least / task.models)
    const deltas = ones.map((_, t) => {
      const delta = deltaMatrix(task, t)
      if (clip > 0) clipOutliers(delta.data, clip)
      return {
        norm: frobeniusNorm(delta),
        sparsity: sparsity(delta),
        svd: leadingSvd(task.matrices, delta, rank === 'equal' ? share : least),
      }
    })
    const ranks =
      rank === 'equal'
        ? ones.map(() => share)
        : rank === 'sparsity'
          ? sparsityRanks(
              least,
              deltas.map((delta) => delta.sparsity),
            )
          : energyRanks(
              least,
              deltas.map(({ svd }) => svd.s),
              energyShare,
            )
    const mean = deltas.reduce((sum, { norm }) => sum + norm, 0) / task.models
    const parts = deltas.map(({ norm, svd }, t) => {
      const part = cut(svd, Math.min(ranks[t]!, svd.s.length))
      return { ...part, s: part.s.map((value) => (reweight && norm > 0 ? (value * mean) / norm : value)) }
    })
    writeDelta(task, decorrelated(task.matrices, sideBySide(parts)), lambda)
  },
})
