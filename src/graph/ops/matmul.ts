/** Matrix products. Transposed operands and a scale cost nothing: ONNX Runtime's FusedMatMul and Gemm read them in place. */
import { InputError } from '../../util/errors.ts'
import { commonDtype, differentiable, type Tensor } from '../graph.ts'
import { broadcastShapes, type Dim, formatShape, multiplyDims } from '../shape.ts'
import { add, mul, unbroadcast } from './elementwise.ts'
import { reduceSum, reshape, transpose } from './reduce.ts'

export interface MatmulOptions {
  /** Use the transpose of the last two axes of `a`. */
  transA?: boolean
  transB?: boolean
  /** Factor on the product; default 1. */
  alpha?: number
}

/** Product of the last two axes of `a` [..., m, k] and `b` [..., k, n]; leading axes broadcast. @throws InputError `GRAPH_SHAPE` */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { transA = false, transB = false, alpha = 1 } = options
  const dtype = commonDtype('matmul', a, b)
  if (a.rank < 2 || b.rank < 2)
    throw new InputError(
      'GRAPH_SHAPE',
      `matmul expected two axes or more, received ${formatShape(a.shape)} and ${formatShape(b.shape)}`,
    )
  const [m, k] = matrix(a, transA)
  const [k2, n] = matrix(b, transB)
  if (k !== k2)
    throw new InputError('GRAPH_SHAPE', `matmul cannot multiply ${formatShape(a.shape)} by ${formatShape(b.shape)}`, {
      data: { transA, transB },
    })
  const shape = [...broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2)), m, n]
  const vjp = ([dy]: readonly (Tensor | undefined)[]) => {
    const da = transA
      ? matmul(b, dy!, { transA: transB, transB: true, alpha })
      : matmul(dy!, b, { transB: !transB, alpha })
    const db = transB
      ? matmul(dy!, a, { transA: true, transB: transA, alpha })
      : matmul(a, dy!, { transA: !transA, alpha })
    return [unbroadcast(da, a.shape), unbroadcast(db, b.shape)]
  }
  if (!transA && !transB && alpha === 1) return a.graph.emit('MatMul', [a, b], [{ dtype, shape }], { vjp })[0]!
  if (dtype === 'float32')
    return a.graph.emit('FusedMatMul', [a, b], [{ dtype, shape }], {
      domain: 'com.microsoft',
      attributes: { transA: { int: Number(transA) }, transB: { int: Number(transB) }, alpha: { float: alpha } },
      vjp,
    })[0]!
  // FusedMatMul exists for float32 only.
  const product = matmul(transA ? swapLast(a) : a, transB ? swapLast(b) : b)
  return alpha === 1 ? product : mul(product, alpha)
}

function matrix(x: Tensor, transposed: boolean): [Dim, Dim] {
  const [rows, columns] = [x.shape.at(-2)!, x.shape.at(-1)!]
  return transposed ? [columns, rows] : [rows, columns]
}

function swapLast(x: Tensor): Tensor {
  const order = x.shape.map((_, i) => i)
  return transpose(x, [...order.slice(0, -2), x.rank - 1, x.rank - 2])
}

export interface LinearOptions {
  /** Factor on the product; default 1. */
  alpha?: number
  /** Factor on the bias; default 1. */
  beta?: number
}

/**
 * Affine map: x [..., in] times the transpose of weight [out, in] (the layout of PyTorch checkpoints) plus bias [out].
 * @throws InputError `GRAPH_SHAPE`
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor, { alpha = 1, beta = 1 }: LinearOptions = {}): Tensor {
  const dtype = commonDtype('linear', x, weight, ...(bias ? [bias] : []))
  const [out, inner] = weight.shape
  if (weight.rank !== 2 || x.shape.at(-1) !== inner || (bias && (bias.rank !== 1 || bias.shape[0] !== out)))
    throw new InputError(
      'GRAPH_SHAPE',
      `linear cannot apply weight ${formatShape(weight.shape)}${bias ? ` and bias ${formatShape(bias.shape)}` : ''} to ${formatShape(x.shape)}`,
      { help: 'expected x [..., in], weight [out, in], bias [out]' },
    )
  const rows = reshape(x, [multiplyDims(...x.shape.slice(0, -1)), inner!])
  const y = x.graph.emit('Gemm', [rows, weight, bias], [{ dtype, shape: [rows.shape[0]!, out!] }], {
    attributes: { transB: { int: 1 }, alpha: { float: alpha }, beta: { float: beta } },
    vjp: ([dy]) => [
      matmul(dy!, weight, { alpha }),
      matmul(dy!, rows, { transA: true, alpha }),
      ...(bias ? [beta === 1 ? reduceSum(dy!, [0]) : mul(reduceSum(dy!, [0]), beta)] : []),
    ],
  })[0]!
  return reshape(y, [...x.shape.slice(0, -1), out!])
}

/** Terms that ONNX Runtime's matrix product always adds up in one go, however its threads share the outputs. */
const blockSize = 128

/**
 * `linear` for few rows and any number of outputs, such as a classifier: it adds up blocks of the inner axis in a fixed order. A plain product of
 * so narrow a shape would be rounded differently with different numbers of threads.
 */
export function blockedLinear(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const [rows, inner] = x.shape as [Dim, number]
  const out = weight.shape[0]!
  let size = Math.min(blockSize, inner)
  while (inner % size !== 0) size--
  const blocks = (tensor: Tensor, length: Dim) => transpose(reshape(tensor, [length, inner / size, size]), [1, 0, 2])
  const parts = matmul(blocks(x, rows), blocks(weight, out), { transB: true })
  const y = add(reduceSum(parts, [0]), bias)
  differentiable([x, weight, bias], [y], ([dy]) => [
    matmul(dy!, weight),
    matmul(dy!, x, { transA: true }),
    reduceSum(dy!, [0]),
  ])
  return y
}
