/** Labels that a classifier itself gives to texts, as targets of its loss: drawn from its probabilities, or the most probable ones. */
import type { HeadLayout, HeadTargets } from '../../labels/head-layout.ts'
import { unitPredictor } from '../../labels/predict-units.ts'
import { openEncoder } from '../../models/index.ts'
import { random } from '../../tensor/random.ts'
import type { RunOptions } from '../../util/progress.ts'
import type { Specialist } from './specialists.ts'

/** Logits of a specialist on its own rows. */
export async function logitsOf(
  { model, weights, rows }: Specialist,
  { threads, ...run }: RunOptions & { threads: number },
): Promise<Float32Array[]> {
  const encoder = await openEncoder(model, weights, 'logits', { threads })
  try {
    return await encoder.run(rows.tokens, run.signal ? { signal: run.signal } : {})
  } finally {
    await encoder.close()
  }
}

/** Probabilities of the units of one group. */
export function softmaxOf(logits: Float32Array, start: number, end: number): Float64Array {
  const part = Float64Array.from(logits.subarray(start, end))
  const top = part.reduce((most, z) => Math.max(most, z), Number.NEGATIVE_INFINITY)
  for (const [i, z] of part.entries()) part[i] = Math.exp(z - top)
  const total = part.reduce((sum, e) => sum + e, 0)
  return part.map((e) => e / total)
}

/** Chooses a unit for every group of each row: `best`, or `drawn` from the model's probabilities by (seed, key, row). */
export function ownTargets(
  layout: HeadLayout,
  logits: readonly Float32Array[],
  how: 'best' | 'drawn',
  ...key: (string | number)[]
): HeadTargets {
  const choose = how === 'best' ? undefined : random('own labels', ...key)
  const predict = unitPredictor(layout)
  return targetsOf(
    layout,
    logits.map((row, r) => {
      if (!choose) return predict(row, 0)
      const noisy = row.map((z, unit) => {
        const u = (choose.uint32(r * row.length + unit) + 0.5) / 4294967296
        // The largest of logits plus Gumbel noise is a draw of the softmax; a logit against logistic noise one of the sigmoid.
        return z - (layout.activation === 'softmax' ? Math.log(-Math.log(u)) : Math.log(u / (1 - u)))
      })
      return predict(noisy, 0)
    }),
  )
}

/** Targets with these right units in each row; a group is active where its parent is reached. */
export function targetsOf(layout: HeadLayout, rows: readonly (readonly number[])[]): HeadTargets {
  const groupOffsets = new Uint32Array(rows.length + 1)
  const unitOffsets = new Uint32Array(rows.length + 1)
  const activeGroups: number[] = []
  const rightUnits: number[] = []
  for (const [r, units] of rows.entries()) {
    const nodes = new Set(units.map((unit) => layout.unitNodes[unit]!))
    for (const [g, { parent, start, end }] of layout.groups.entries()) {
      if (parent >= 0 && !nodes.has(parent)) continue
      const right = units.filter((unit) => unit >= start && unit < end)
      if (layout.activation === 'softmax' && right.length === 0) continue
      activeGroups.push(g)
      rightUnits.push(...right)
    }
    groupOffsets[r + 1] = activeGroups.length
    unitOffsets[r + 1] = rightUnits.length
  }
  return {
    groupOffsets,
    activeGroups: Uint32Array.from(activeGroups),
    unitOffsets,
    rightUnits: Uint32Array.from(rightUnits),
  }
}
