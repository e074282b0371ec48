import { describe, expect, it } from 'vitest'
import { random } from '../../tensor/random.ts'
import { mergeTensors } from '../merge-tensors.ts'
import { partsOf, type TaskPart } from '../tasks/forms.ts'
import { twinMerging } from './twin-merging.ts'

/** The merged matrix and each model's residue, put together from what was kept. */
async function twins(models: number[][], shape: [number, number], options: Parameters<typeof twinMerging>[0]) {
  const method = twinMerging(options)
  const settled = { lambda: 0.3, maskRate: 0.9, ...options } as never
  const form = method.definition.tasks!.form(shape, settled, 'w')
  const parts = partsOf(form, shape)
  const kept = models.map(() => new Map<TaskPart['name'], Float32Array>())
  const merged = await mergeTensors({
    method,
    base: models[0]!.map(() => 0),
    models,
    shape,
    writePart: (t, name, bytes) => kept[t]!.set(name, new Float32Array(bytes.slice().buffer)),
  })
  const residues = kept.map((found) => {
    for (const { name, shape } of parts) expect(found.get(name)).toHaveLength(shape.reduce((a, b) => a * b, 1))
    if (form.kind === 'difference') return Array.from(found.get('difference')!)
    const { rank } = form as { rank: number }
    const [left, right] = [found.get('left')!, found.get('right')!]
    return Array.from({ length: shape[0] * shape[1] }, (_, at) => {
      const [i, j] = [Math.floor(at / shape[1]), at % shape[1]]
      let sum = 0
      for (let r = 0; r < rank; r++) sum += left[i * rank + r]! * right[r * shape[1] + j]!
      return sum
    })
  })
  return { merged: Array.from(merged), residues, form }
}

const close = (received: readonly number[], expected: readonly number[]) => {
  for (const [i, value] of expected.entries()) expect(received[i]).toBeCloseTo(value, 5)
}

describe('Twin-Merging', () => {
  it('keeps the difference from the shared model at low rank', async () => {
    // Padded to 3 x 3, where rank one is smaller than the whole.
    const models = [
      [2, 0, 0, 0, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 1, 0, 0, 0, 0],
    ]
    const { merged, residues, form } = await twins(models, [3, 3], { lambda: 0.5, maskRate: 0.6 })
    expect(form).toEqual({ kind: 'factors', rank: 1 })
    close(merged, [1, 0, 0, 0, 0.5, 0, 0, 0, 0])
    close(residues[0]!, [1, 0, 0, 0, 0, 0, 0, 0, 0])
    close(residues[1]!, [-1, 0, 0, 0, 0, 0, 0, 0, 0])
    // A router's logits (2, 0) mix the residues.
    const weights = [Math.exp(2) / (Math.exp(2) + 1), 1 / (Math.exp(2) + 1)]
    const mixed = merged.map((x, i) => x + weights[0]! * residues[0]![i]! + weights[1]! * residues[1]![i]!)
    close([mixed[0]!, mixed[4]!], [1.761594, 0.5])
  })

  it('gives each model back at full rank', async () => {
    const models = [1, 2, 3].map((seed) => Array.from({ length: 48 }, (_, i) => random(seed).normal(i)))
    const { merged, residues, form } = await twins(models, [6, 8], { maskRate: 0 })
    expect(form.kind).toBe('difference')
    for (const [t, model] of models.entries())
      close(
        merged.map((x, i) => x + residues[t]![i]!),
        model,
      )
  })

  it('keeps at least one direction, and a tenth of twenty is two', () => {
    const form = (rows: number, columns: number) =>
      twinMerging().definition.tasks!.form([rows, columns], { maskRate: 0.9 } as never, 'w')
    expect(form(8, 8)).toEqual({ kind: 'factors', rank: 1 })
    expect(form(20, 30)).toEqual({ kind: 'factors', rank: 2 })
  })
})
