/**
 * Weight matching (Ainsworth et al., 2023; the data-free first step of PLeaS, Nasery et al., 2024): group by group, the units of one encoder are
 * assigned to those of another whose weights they are most like, until no group gets better. What the encoder calculates stays the same.
 */
import {
  assign,
  type Matrix,
  type MatrixKernels,
  matrix,
  multiply,
  transposed,
} from '../../tensor/linear-algebra/index.ts'
import { isHeadGroup, type TensorAxes, type UnitGroup } from './encoder-units.ts'

/** A tensor of one or two dimensions with the groups of its axes. */
export interface UnitTensor {
  readonly values: Matrix
  readonly axes: TensorAxes
}

/** Of each group, the old unit that comes to each new place. */
export type Orders = Map<UnitGroup, Int32Array>

/** The order of `b`'s units (rows) in which they match those of `a` best, by inner products. */
export const matchRows = (kernels: MatrixKernels, a: Matrix, b: Matrix): Int32Array =>
  assign(multiply(kernels, a, b, { transposeB: true }), { maximize: true }).columns

export interface MatchOptions {
  /** Attention heads. */
  heads: number
  /** Rounds over all groups at most. */
  sweeps: number
  /** Called after each round; throws to stop. */
  onSweep?: (sweep: number) => void
}

export interface Matched {
  readonly orders: Orders
  /** Inner product of both encoders' weights, before and after. */
  readonly before: number
  readonly after: number
}

/** Finds the orders of `b`'s units, starting from their own; a group changes only where the inner product grows. */
export function matchUnits(
  kernels: MatrixKernels,
  a: ReadonlyMap<string, UnitTensor>,
  b: ReadonlyMap<string, UnitTensor>,
  groups: ReadonlyMap<UnitGroup, number>,
  { heads, sweeps, onSweep }: MatchOptions,
): Matched {
  const orders: Orders = new Map(
    Array.from(groups, ([group, size]) => [group, Int32Array.from({ length: size }, (_, i) => i)]),
  )
  const total = () => {
    let sum = 0
    for (const [name, tensor] of b) {
      const moved = permuted(tensor, orders)
      const { data } = a.get(name)!.values
      for (let i = 0; i < data.length; i++) sum += data[i]! * moved.data[i]!
    }
    return sum
  }
  const scores = (group: UnitGroup): Matrix => {
    const size = groups.get(group)!
    const sum = matrix(size, size)
    const others = new Map([...orders].filter(([other]) => other !== group))
    for (const [name, tensor] of b)
      for (const [axis, owner] of tensor.axes.entries()) {
        if (owner !== group) continue
        const product = multiply(
          kernels,
          unitRows(a.get(name)!.values, axis),
          unitRows(permuted(tensor, others), axis),
          {
            transposeB: true,
          },
        )
        for (let i = 0; i < sum.data.length; i++) sum.data[i]! += product.data[i]!
      }
    return sum
  }
  const before = total()
  const accept = (changes: readonly (readonly [UnitGroup, Matrix, Int32Array])[]): boolean => {
    let gain = 0
    let size = 0
    for (const [group, { columns, data }, order] of changes)
      for (const [i, j] of orders.get(group)!.entries()) {
        const now = data[i * columns + j]!
        gain += data[i * columns + order[i]!]! - now
        size += Math.abs(now)
      }
    if (gain <= 1e-9 * size) return false
    for (const [group, , order] of changes) orders.set(group, order)
    return true
  }
  for (let sweep = 0; sweep < sweeps; sweep++) {
    let changed = false
    for (const group of groups.keys()) {
      if (group.startsWith('values.')) continue // with the queries of its layer
      if (isHeadGroup(group)) {
        const other = group.replace('queries', 'values')
        const [query, value] = [scores(group), scores(other)]
        const { queries, values } = matchHeads(query, value, heads)
        changed =
          accept([
            [group, query, queries],
            [other, value, values],
          ]) || changed
      } else {
        const score = scores(group)
        changed = accept([[group, score, assign(score, { maximize: true }).columns]]) || changed
      }
    }
    onSweep?.(sweep)
    if (!changed) break
  }
  return { orders, before, after: total() }
}

/** Heads are assigned to heads by how well the dimensions inside them match; queries with keys, and values, in orders of their own. */
function matchHeads(query: Matrix, value: Matrix, heads: number): { queries: Int32Array; values: Int32Array } {
  const size = query.rows / heads
  const inside = (score: Matrix, i: number, j: number) => {
    const block = matrix(size, size)
    for (let r = 0; r < size; r++)
      for (let c = 0; c < size; c++)
        block.data[r * size + c] = score.data[(i * size + r) * score.columns + j * size + c]!
    return assign(block, { maximize: true })
  }
  const pairs = Array.from({ length: heads * heads }, (_, at) => {
    const [i, j] = [Math.floor(at / heads), at % heads]
    return { query: inside(query, i, j), value: inside(value, i, j) }
  })
  const fit = matrix(
    heads,
    heads,
    pairs.map((pair) => pair.query.cost + pair.value.cost),
  )
  const chosen = assign(fit, { maximize: true }).columns
  const orderOf = (part: 'query' | 'value') =>
    Int32Array.from({ length: query.rows }, (_, unit) => {
      const head = Math.floor(unit / size)
      const from = chosen[head]!
      return from * size + pairs[head * heads + from]![part].columns[unit % size]!
    })
  return { queries: orderOf('query'), values: orderOf('value') }
}

/** The slices along an axis as rows. */
const unitRows = (values: Matrix, axis: number): Matrix => (axis === 0 ? values : transposed(values))

/** The tensor with its axes in these orders. */
export function permuted({ values, axes }: UnitTensor, orders: ReadonlyMap<UnitGroup, Int32Array>): Matrix {
  const [rows, columns] = [0, 1].map((axis) => (axes[axis] === undefined ? undefined : orders.get(axes[axis])))
  if (!rows && !columns) return values
  const result = matrix(values.rows, values.columns)
  for (let i = 0; i < values.rows; i++) {
    const from = (rows ? rows[i]! : i) * values.columns
    for (let j = 0; j < values.columns; j++)
      result.data[i * values.columns + j] = values.data[from + (columns ? columns[j]! : j)]!
  }
  return result
}
