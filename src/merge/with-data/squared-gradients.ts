/**
 * The diagonal of the Fisher information of a classifier's shared weights: the mean over texts of squared gradients of the log-likelihood, text by
 * text, for labels that are given, drawn from the model, or all of them by their probability (exact).
 */
import type { HeadTargets } from '../../labels/head-layout.ts'
import { headTargets } from '../../labels/head-targets.ts'
import { headLoss, lossFeeds } from '../../train/head-loss.ts'
import { InputError, throwIfAborted } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { type FoundGradients, LossGradients, tableRows } from './gradients-of.ts'
import { logitsOf, ownTargets, softmaxOf, targetsOf } from './own-labels.ts'
import type { Specialist } from './specialists.ts'

/** Which labels: those of the rows (empirical Fisher), one a text drawn from the model, or the expectation over all. */
export type FisherLabels = 'given' | 'drawn' | 'expected'

export interface FisherOptions extends RunOptions {
  labels: FisherLabels
  threads: number
  /** Key of drawn labels. */
  key: readonly (string | number)[]
  names: readonly string[]
}

/** By name, in double precision. @throws InputError `METHOD_OPTION` for `expected` with a head that is not one softmax. */
export async function diagonalFisher(
  specialist: Specialist,
  options: FisherOptions,
): Promise<Map<string, Float64Array>> {
  const { model, weights, layout, rows } = specialist
  const { labels, names, threads, key, signal } = options
  if (labels === 'expected' && (layout.activation !== 'softmax' || layout.groups.length > 1))
    throw new InputError('METHOD_OPTION', 'labels "expected" needs a head of one softmax over all labels', {
      where: { file: specialist.folder },
      help: 'use labels "drawn"',
    })
  const sums = new Map(names.map((name) => [name, new Float64Array(weights.get(name)!.length)]))
  const gradients = await LossGradients.open(model, { loss: (logits) => headLoss(logits, layout), names, threads })
  try {
    gradients.bind(weights)
    const logits = labels === 'given' ? [] : await logitsOf(specialist, { threads, ...(signal ? { signal } : {}) })
    const targets = targetSets(specialist, logits, labels, key)
    for (const [i, tokens] of rows.tokens.entries()) {
      throwIfAborted(signal)
      for (const { targets: asked, share } of targets) {
        const weight = share(i)
        if (weight < 1e-6) continue // what a text cannot be adds nothing
        const found = await gradients.run(
          [tokens],
          lossFeeds(layout, asked, Uint32Array.of(i), 1, { labelSmoothing: 0 }),
        )
        addSquares(sums, found, model.tokenTable, model.config.hiddenSize, weight / rows.tokens.length)
      }
    }
  } finally {
    await gradients.close()
  }
  return sums
}

/** The targets of each pass over the rows, and how much of each row's square it counts for. */
function targetSets(
  { layout, tree, rows }: Specialist,
  logits: readonly Float32Array[],
  labels: FisherLabels,
  key: readonly (string | number)[],
): { targets: HeadTargets; share: (row: number) => number }[] {
  if (labels === 'given') return [{ targets: headTargets(layout, tree, rows.labels), share: () => 1 }]
  if (labels === 'drawn') return [{ targets: ownTargets(layout, logits, 'drawn', ...key), share: () => 1 }]
  const units = layout.unitNodes.length
  const probabilities = logits.map((row) => softmaxOf(row, 0, units))
  return Array.from({ length: units }, (_, unit) => ({
    targets: targetsOf(
      layout,
      logits.map(() => [unit]),
    ),
    share: (row: number) => probabilities[row]![unit]!,
  }))
}

function addSquares(
  sums: ReadonlyMap<string, Float64Array>,
  found: FoundGradients,
  table: string,
  width: number,
  weight: number,
): void {
  for (const [name, gradient] of found.dense) {
    const sum = sums.get(name)!
    for (let i = 0; i < sum.length; i++) sum[i]! += weight * gradient[i]! * gradient[i]!
  }
  const sum = sums.get(table)
  if (!sum) return
  for (const [id, row] of tableRows(found, width))
    for (let k = 0; k < width; k++) sum[id * width + k]! += weight * row[k]! * row[k]!
}
