import { describe, expect, it } from 'vitest'
import { random } from '../../tensor/random.ts'
import { mergeTensors } from '../merge-tensors.ts'
import { taskArithmetic, ties } from '../methods/index.ts'
import { layerGroup } from './layer-weights.ts'
import { mergeGroups, searchMerge } from './unconstrained-merge.ts'

const names = [
  'bert.embeddings.word.weight',
  'bert.encoder.layer.0.a',
  'bert.encoder.layer.1.a',
  'bert.encoder.layer.11.a',
  'bert.pooler.weight',
]
const values = (key: string) =>
  new Map(names.map((name) => [name, Float32Array.from({ length: 6 }, (_, i) => random(key, name).normal(i))]))
const [base, a, b] = [values('base'), values('a'), values('b')]

/** Wanted weights of both models in each group. */
const wanted = new Map(
  [...new Set(names.map(layerGroup))].map((group, g) => [group, [0.2 + 0.2 * g, 0.9 - 0.3 * g]] as const),
)

describe('layer-wise merging', () => {
  it('adds the weighted changes of each group', async () => {
    const one = (x: number) => new Map([['model.layer.0.w', Float32Array.of(x)]])
    const of = async (w: number[]) =>
      (await mergeGroups(one(1), [one(3), one(5)], layerGroup, new Map([[layerGroup('model.layer.0.w'), w]]))).get(
        'model.layer.0.w',
      )![0]
    expect(await of([0.5, 0.25])).toBe(3)
    expect(await of([0, 1])).toBe(5)
  })

  it('finds weights that a score tells apart, the same for the same seed', async () => {
    const target = await mergeGroups(base, [a, b], layerGroup, wanted)
    const score = (weights: ReadonlyMap<string, Float32Array>) =>
      -[...weights].reduce(
        (sum, [name, list]) => sum + list.reduce((s, x, i) => s + (x - target.get(name)![i]!) ** 2, 0),
        0,
      )
    const run = () => searchMerge({ base, models: [a, b], score, evaluations: 2000 })
    const result = await run()
    expect(result.after).toBeGreaterThan(result.before)
    for (const [group, list] of wanted)
      for (const [t, w] of list.entries()) expect(result.weights.get(group)![t]).toBeCloseTo(w, 2)
    expect((await run()).weights).toEqual(result.weights)
  })

  it('gives settings that merge whole checkpoints the same way', async () => {
    const { settings, merged } = await searchMerge({ base, models: [a, b], score: () => 0, evaluations: 30 })
    expect(settings[0]!.weight.map(({ filter }) => filter)).toContain('bert.encoder.layer.1.')
    for (const name of names) {
      const again = await mergeTensors({
        method: taskArithmetic(),
        base: base.get(name)!,
        models: [a.get(name)!, b.get(name)!],
        settings: settings.map(({ weight }) => ({ weight })),
        name,
      })
      for (const [i, x] of again.entries()) expect(merged.get(name)![i]).toBeCloseTo(x, 5)
    }
  })

  it('searches densities of an inner merge too', async () => {
    const result = await searchMerge({
      ...{ base, models: [a, b], method: ties(), densities: true, evaluations: 40 },
      score: (weights) => -Math.abs(weights.get(names[1]!)![0]!),
    })
    for (const list of result.densities!.values()) for (const density of list) expect(density).toBeGreaterThan(0)
    expect(result.settings[1]!.density).toHaveLength(result.settings[1]!.weight.length)
  })

  it('refuses weights that do not fit, and scores that are no numbers', async () => {
    const short = new Map(names.map((name) => [name, new Float32Array(2)]))
    await expect(searchMerge({ base, models: [short], score: () => 0 })).rejects.toMatchObject({ code: 'MERGE_INPUT' })
    await expect(searchMerge({ base, models: [a], score: () => Number.NaN })).rejects.toMatchObject({
      code: 'NOT_FINITE',
    })
  })
})
