/** The loss of a specialist on its rows as a function of its shared weights, with gradients: labels are given, or the specialist's own answers. */
import { headTargets } from '../../labels/head-targets.ts'
import { headLoss, lossFeeds } from '../../train/head-loss.ts'
import { throwIfAborted } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { batchesOf } from './batches.ts'
import { LossGradients, tableRows } from './gradients-of.ts'
import { LossOnly } from './loss-only.ts'
import { logitsOf, ownTargets } from './own-labels.ts'
import type { Landscape } from './parameter-effects.ts'
import type { Specialist } from './specialists.ts'

export interface OpenLandscape extends Landscape {
  close(): Promise<void>
}

export async function openLandscape(
  specialist: Specialist,
  shared: readonly string[],
  options: RunOptions & { labels: 'given' | 'own'; threads: number },
): Promise<OpenLandscape> {
  const { model, layout, tree, rows, weights: own } = specialist
  const { threads, signal } = options
  const targets =
    options.labels === 'given'
      ? headTargets(layout, tree, rows.labels)
      : ownTargets(layout, await logitsOf(specialist, options), 'best')
  const setup = { loss: (logits: Parameters<typeof headLoss>[0]) => headLoss(logits, layout), threads }
  const gradients = await LossGradients.open(model, { ...setup, names: shared })
  const plain = await LossOnly.open(model, setup)
  const batches = batchesOf(rows.tokens)
  const parts = batches.map((batch) => ({
    texts: batch.map((row) => rows.tokens[row]!),
    asked: lossFeeds(layout, targets, Uint32Array.from(batch), rows.tokens.length, { labelSmoothing: 0 }),
  }))
  const width = model.config.hiddenSize
  return {
    async loss(weights) {
      plain.bind(new Map([...own, ...weights]))
      let loss = 0
      for (const { texts, asked } of parts) {
        throwIfAborted(signal)
        loss += await plain.run(texts, asked)
      }
      return loss
    },
    async gradient(weights) {
      gradients.bind(new Map([...own, ...weights]))
      const sums = new Map(shared.map((name) => [name, new Float64Array(weights.get(name)!.length)]))
      for (const { texts, asked } of parts) {
        throwIfAborted(signal)
        const found = await gradients.run(texts, asked)
        for (const [name, gradient] of found.dense) {
          const sum = sums.get(name)!
          for (let i = 0; i < sum.length; i++) sum[i]! += gradient[i]!
        }
        const table = sums.get(model.tokenTable)
        if (table)
          for (const [id, row] of tableRows(found, width))
            for (let k = 0; k < width; k++) table[id * width + k]! += row[k]!
      }
      return sums
    },
    async close() {
      await Promise.all([gradients.close(), plain.close()])
    },
  }
}
