/** Operators that order values. */
import type { Tensor } from '../graph.ts'

/**
 * The k-th largest value along the last axis, or the smallest where there are no more than k: [..., n] to [..., 1]. It carries no gradient; to keep
 * the k largest, compare with it.
 */
export function kthLargest(x: Tensor, k: number): Tensor {
  const { graph, dtype } = x
  const length = x.shape.at(-1)!
  const most = graph.emit(
    'Min',
    [graph.shapeVector([length]), graph.constant([k], [1], 'int64')],
    [{ dtype: 'int64', shape: [1] }],
  )[0]!
  const shape = x.shape.slice(0, -1)
  // Declared k long; shorter where the axis is. Nothing but the smallest of them is read.
  const [largest] = graph.emit(
    'TopK',
    [x, most],
    [
      { dtype, shape: [...shape, k] },
      { dtype: 'int64', shape: [...shape, k] },
    ],
    { attributes: { axis: { int: -1 } } },
  )
  return graph.emit('ReduceMin', [largest, graph.constant([-1], [1], 'int64')], [{ dtype, shape: [...shape, 1] }], {
    attributes: { keepdims: { int: 1 } },
  })[0]!
}
