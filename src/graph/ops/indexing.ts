/** Operators that pick, join and cut: gather, slice, concat, pad. */
import { InputError } from '../../util/errors.ts'
import { commonDtype, type Tensor } from '../graph.ts'
import { type Dim, formatShape, multiplyDims, normalizeAxes, type Shape, sumDim } from '../shape.ts'
import { expand, flatten, reshape, transpose } from './reduce.ts'

/** Rows of `table` along `axis` by index; indices of any shape take the place of that axis. Repeated rows sum their gradients. */
export function gather(table: Tensor, indices: Tensor, axis = 0): Tensor {
  if (indices.dtype !== 'int32' && indices.dtype !== 'int64')
    throw new InputError('GRAPH_DTYPE', `Expected int32 or int64 indices, received ${indices.dtype}`)
  const [along] = normalizeAxes([axis], table.rank)
  const shape = [...table.shape.slice(0, along), ...indices.shape, ...table.shape.slice(along! + 1)]
  return table.graph.emit('Gather', [table, indices], [{ dtype: table.dtype, shape }], {
    attributes: { axis: { int: along! } },
    vjp: ([dy]) => {
      // Bring the gathered axes to the front, add their rows into zeros, and bring the axis back.
      const rows = flatten(dy!, along!, along! + indices.rank)
      const flat = reshape(indices, [multiplyDims(...indices.shape)])
      const front = table.shape.map((_, i) => (i === 0 ? along! : i <= along! ? i - 1 : i))
      const back = front.map((_, i) => front.indexOf(i))
      const size = front.map((axisOf) => table.shape[axisOf]!)
      const summed = scatterAdd(size, flat, along === 0 ? rows : transpose(rows, front))
      return [along === 0 ? summed : transpose(summed, back)]
    },
  })[0]!
}

/** Zeros of `shape` with `rows` [n, ...] added at `indices` [n] of the first axis. */
export function scatterAdd(shape: Shape, indices: Tensor, rows: Tensor): Tensor {
  const { graph } = rows
  const zeros = expand(graph.constant(0, [], rows.dtype), shape)
  const at = reshape(indices.dtype === 'int64' ? indices : toInt64(indices), [indices.shape[0]!, 1])
  return graph.emit('ScatterND', [zeros, at, rows], [{ dtype: rows.dtype, shape }], {
    attributes: { reduction: { string: 'add' } },
    vjp: ([dy]) => [undefined, undefined, gather(dy!, indices)],
  })[0]!
}

function toInt64(x: Tensor): Tensor {
  return x.graph.emit('Cast', [x], [{ dtype: 'int64', shape: x.shape }], { attributes: { to: { int: 7 } } })[0]!
}

/** `length` elements of one axis from `start` on; the length may be a symbol. @throws InputError `GRAPH_SHAPE` */
export function slice(x: Tensor, axis: number, start: number, length: Dim): Tensor {
  const [along] = normalizeAxes([axis], x.rank)
  const size = x.shape[along!]!
  if (start < 0 || (typeof length === 'number' && typeof size === 'number' && start + length > size))
    throw new InputError(
      'GRAPH_SHAPE',
      `Cannot take ${length} elements from ${start} on, axis ${axis} of ${formatShape(x.shape)}`,
    )
  if (start === 0 && length === size) return x
  const { graph } = x
  const shape = x.shape.map((dim, i) => (i === along ? length : dim))
  const from = graph.constant([start], [1], 'int64')
  const to = offset('Add', graph.shapeVector([length]), start)
  return graph.emit('Slice', [x, from, to, graph.constant([along!], [1], 'int64')], [{ dtype: x.dtype, shape }], {
    vjp: ([dy]) => [pad(dy!, along!, start, size)],
  })[0]!
}

/** Zeros around `x` along one axis: `before` in front, and as many behind as make the axis `size` long. */
export function pad(x: Tensor, axis: number, before: number, size: Dim): Tensor {
  const [along] = normalizeAxes([axis], x.rank)
  const length = x.shape[along!]!
  const { graph } = x
  const int64 = { dtype: 'int64', shape: [1] } as const
  const after =
    typeof size === 'number' && typeof length === 'number'
      ? graph.constant([size - before - length], [1], 'int64')
      : offset('Sub', graph.emit('Sub', [graph.shapeVector([size]), graph.shapeVector([length])], [int64])[0]!, before)
  const pads = graph.emit('Concat', [graph.constant([before], [1], 'int64'), after], [{ dtype: 'int64', shape: [2] }], {
    attributes: { axis: { int: 0 } },
  })[0]!
  const shape = x.shape.map((dim, i) => (i === along ? size : dim))
  return graph.emit('Pad', [x, pads, undefined, graph.constant([along!], [1], 'int64')], [{ dtype: x.dtype, shape }], {
    vjp: ([dy]) => [slice(dy!, along!, before, length)],
  })[0]!
}

function offset(op: 'Add' | 'Sub', size: Tensor, by: number): Tensor {
  return size.graph.emit(op, [size, size.graph.constant([by], [1], 'int64')], [{ dtype: 'int64', shape: [1] }])[0]!
}

/** Tensors joined along an axis whose sizes are numbers; that of the last may be a symbol. @throws InputError `GRAPH_SHAPE` */
export function concat(tensors: readonly Tensor[], axis: number): Tensor {
  const first = tensors[0]!
  const dtype = commonDtype('concat', ...tensors)
  const [along] = normalizeAxes([axis], first.rank)
  let size: Dim = 0
  const starts = tensors.map((tensor) => {
    const start: Dim = size
    const length = tensor.shape[along!]
    const fits = tensor.rank === first.rank && tensor.shape.every((dim, i) => i === along || dim === first.shape[i])
    if (!fits || length === undefined || typeof start !== 'number')
      throw new InputError(
        'GRAPH_SHAPE',
        `Cannot join ${formatShape(first.shape)} and ${formatShape(tensor.shape)} along axis ${axis}`,
      )
    size = typeof length === 'number' ? start + length : sumDim(start, length)
    return start
  })
  const shape = first.shape.map((dim, i) => (i === along ? size : dim))
  return first.graph.emit('Concat', tensors, [{ dtype, shape }], {
    attributes: { axis: { int: along! } },
    vjp: ([dy]) => tensors.map((tensor, i) => slice(dy!, along!, starts[i]!, tensor.shape[along!]!)),
  })[0]!
}
