/**
 * Partial merging (PLeaS, Nasery et al., 2024) of the neurons of an encoder's feed-forward blocks: pairs that are least alike stay side by side.
 * Both encoders are widened so that each calculates what it did before, and their plain average is the partial merge: in it pairs that were
 * merged have mean weights, the others their own, and each of those counts half on the way out.
 */
import { type Matrix, matrix } from '../../tensor/linear-algebra/index.ts'
import type { TensorAxes, UnitGroup } from './encoder-units.ts'
import type { UnitTensor } from './match-units.ts'

/** Of each group of neurons, the places whose pair stays apart, ascending. */
export type Separation = ReadonlyMap<UnitGroup, Int32Array>

const isNeurons = (group: UnitGroup | undefined): group is UnitGroup => group?.startsWith('neurons.') ?? false

/** The same share of each layer's pairs, rounded: those whose weights are farthest apart; of equal ones the first. */
export function leastAlike(
  a: ReadonlyMap<string, UnitTensor>,
  b: ReadonlyMap<string, UnitTensor>,
  groups: ReadonlyMap<UnitGroup, number>,
  share: number,
): Separation {
  const distances = new Map(Array.from(groups, ([group, size]) => [group, new Float64Array(size)]))
  for (const [name, { values, axes }] of a)
    for (const [axis, group] of axes.entries()) {
      if (!isNeurons(group)) continue
      const other = b.get(name)!.values
      const sums = distances.get(group)!
      for (const [at, value] of values.data.entries())
        sums[axis === 0 ? Math.floor(at / values.columns) : at % values.columns]! += (value - other.data[at]!) ** 2
    }
  const separation = new Map<UnitGroup, Int32Array>()
  for (const [group, list] of distances) {
    if (!isNeurons(group)) continue
    const farthest = Array.from(list.keys()).sort((i, j) => list[j]! - list[i]! || i - j)
    separation.set(group, Int32Array.from(farthest.slice(0, Math.round(share * list.length))).sort())
  }
  return separation
}

/**
 * A tensor with room for the neurons that stay apart: the reference's keep their places, the other encoder's come at the end. On the way in both
 * encoders have both neurons' weights; on the way out each has nothing for the neuron that it lacks.
 */
export function widened(own: Matrix, other: Matrix, axes: TensorAxes, separation: Separation, isReference: boolean) {
  const axis = axes.findIndex(isNeurons)
  const apart = axis < 0 ? undefined : separation.get(axes[axis]!)
  if (!apart) return own
  const foreign = axis === 0 ? other : undefined
  const isApart = new Set(apart)
  const places: [source: Matrix | undefined, index: number][] = [
    ...Array.from({ length: axis === 0 ? own.rows : own.columns }, (_, i): [Matrix | undefined, number] => [
      isApart.has(i) && !isReference ? foreign : own,
      i,
    ]),
    ...Array.from(apart, (i): [Matrix | undefined, number] => [isReference ? foreign : own, i]),
  ]
  const result = axis === 0 ? matrix(places.length, own.columns) : matrix(own.rows, places.length)
  for (let i = 0; i < result.rows; i++)
    for (let j = 0; j < result.columns; j++) {
      const [source, index] = places[axis === 0 ? i : j]!
      if (!source) continue
      result.data[i * result.columns + j] = source.data[axis === 0 ? index * own.columns + j : i * own.columns + index]!
    }
  return result
}

/** The configuration of the widened encoder. */
export function widenedConfig(config: Readonly<Record<string, unknown>>, neurons: number): Record<string, unknown> {
  return { ...config, [config['model_type'] === 'distilbert' ? 'hidden_dim' : 'intermediate_size']: neurons }
}
