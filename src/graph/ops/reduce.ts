/** Reductions over axes, and the operators that only rearrange elements; each is the other's gradient. */
import { InputError } from '../../util/errors.ts'
import type { Tensor, Vjp } from '../graph.ts'
import { formatShape, multiplyDims, normalizeAxes, type Shape, sameShape } from '../shape.ts'
import { cast, div, equal, mul } from './elementwise.ts'

export interface ReduceOptions {
  /** Keep reduced axes with size 1; default false. */
  keepDims?: boolean
}

/** The axes to reduce, and the shape of the result with and without size 1 in their place. */
function reduction(x: Tensor, axes: readonly number[] | undefined) {
  const over = axes ? normalizeAxes(axes, x.rank) : x.shape.map((_, i) => i)
  return {
    over,
    kept: x.shape.map((dim, i) => (over.includes(i) ? 1 : dim)),
    dropped: x.shape.filter((_, i) => !over.includes(i)),
    reduced: x.shape.filter((_, i) => over.includes(i)),
  }
}

function reduce(op: string, x: Tensor, axes: readonly number[] | undefined, keepDims: boolean, vjp: Vjp): Tensor {
  const { over, kept, dropped } = reduction(x, axes)
  return x.graph.emit(
    op,
    [x, x.graph.constant(over, [over.length], 'int64')],
    [{ dtype: x.dtype, shape: keepDims ? kept : dropped }],
    {
      attributes: { keepdims: { int: keepDims ? 1 : 0 }, noop_with_empty_axes: { int: 1 } },
      vjp,
    },
  )[0]!
}

/** Sum over `axes` (default all). */
export function reduceSum(x: Tensor, axes?: readonly number[], { keepDims = false }: ReduceOptions = {}): Tensor {
  const { kept } = reduction(x, axes)
  return reduce('ReduceSum', x, axes, keepDims, ([dy]) => [expand(reshape(dy!, kept), x.shape)])
}

/** Mean over `axes` (default all). */
export function reduceMean(x: Tensor, axes?: readonly number[], { keepDims = false }: ReduceOptions = {}): Tensor {
  const { kept, reduced } = reduction(x, axes)
  return reduce('ReduceMean', x, axes, keepDims, ([dy]) => [
    expand(reshape(div(dy!, sizeOf(x, reduced)), kept), x.shape),
  ])
}

/** Largest value over `axes` (default all); equal largest values share the gradient. */
export function reduceMax(x: Tensor, axes?: readonly number[], { keepDims = false }: ReduceOptions = {}): Tensor {
  const { dropped } = reduction(x, axes)
  const largest = reduce('ReduceMax', x, axes, true, ([dy]) => {
    const best = cast(equal(x, largest), x.dtype)
    return [mul(best, div(dy!, reduceSum(best, axes, { keepDims: true })))]
  })
  return keepDims ? largest : reshape(largest, dropped)
}

/** The number of elements that `dims` span, as a scalar tensor of the type of `x`. */
function sizeOf(x: Tensor, dims: Shape): Tensor {
  const size = multiplyDims(...dims)
  if (typeof size === 'number') return x.graph.constant(size, [], x.dtype)
  return reshape(cast(x.graph.shapeVector([size]), x.dtype), [])
}

/** Repeats axes of size 1 up to `shape`. */
export function expand(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x
  const extra = shape.length - x.rank
  const axes = shape.flatMap((dim, i) => (i < extra || (x.shape[i - extra] === 1 && dim !== 1) ? [i] : []))
  return x.graph.emit('Expand', [x, x.graph.shapeVector(shape)], [{ dtype: x.dtype, shape }], {
    vjp: ([dy]) => [reshape(reduceSum(dy!, axes, { keepDims: true }), x.shape)],
  })[0]!
}

/** The same elements in another shape; sizes may be symbols or products of symbols. @throws InputError `GRAPH_SHAPE` */
export function reshape(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x
  const [before, after] = [multiplyDims(...x.shape), multiplyDims(...shape)]
  if (before !== after)
    throw new InputError(
      'GRAPH_SHAPE',
      `Cannot reshape ${formatShape(x.shape)} (${before}) to ${formatShape(shape)} (${after})`,
    )
  // Zero copies the input's size at that place and -1 takes what is left; only other cases need sizes computed while running.
  const target = shape.map((dim, i) => (typeof dim === 'number' ? dim : dim === x.shape[i] ? 0 : -1))
  const simple = target.filter((size) => size === -1).length <= 1
  const vector = simple ? x.graph.constant(target, [target.length], 'int64') : x.graph.shapeVector(shape)
  return x.graph.emit('Reshape', [x, vector], [{ dtype: x.dtype, shape }], {
    vjp: ([dy]) => [reshape(dy!, x.shape)],
  })[0]!
}

/** Merges the axes from `start` (inclusive) to `end` (exclusive) into one. */
export function flatten(x: Tensor, start: number, end: number): Tensor {
  return reshape(x, [...x.shape.slice(0, start), multiplyDims(...x.shape.slice(start, end)), ...x.shape.slice(end)])
}

/** Axes in another order: axis i of the result is axis `order[i]` of `x`. */
export function transpose(x: Tensor, order: readonly number[]): Tensor {
  if (order.length !== x.rank || new Set(normalizeAxes(order, x.rank)).size !== x.rank)
    throw new InputError('GRAPH_AXIS', `Expected an order of ${x.rank} axes, received [${order.join(', ')}]`)
  const inverse = order.map((_, i) => order.indexOf(i))
  const shape = order.map((axis) => x.shape[axis]!)
  return x.graph.emit('Transpose', [x], [{ dtype: x.dtype, shape }], {
    attributes: { perm: { ints: order } },
    vjp: ([dy]) => [transpose(dy!, inverse)],
  })[0]!
}
