/** Elementwise operators with NumPy-style broadcasting. Numbers may stand in for tensors. */
import { InputError } from '../../util/errors.ts'
import { type Dtype, isFloat, onnxDtype } from '../dtype.ts'
import { commonDtype, Tensor, type Vjp } from '../graph.ts'
import { broadcastShapes, formatShape, type Shape, sameShape } from '../shape.ts'
import { reduceSum, reshape } from './reduce.ts'

export type Operand = Tensor | number

/** A gradient of a broadcast shape, summed back to the shape that was broadcast. */
export function unbroadcast(gradient: Tensor, shape: Shape): Tensor {
  if (sameShape(gradient.shape, shape)) return gradient
  const extra = gradient.rank - shape.length
  const axes = gradient.shape.flatMap((dim, i) => (i < extra || (shape[i - extra] === 1 && dim !== 1) ? [i] : []))
  return reshape(reduceSum(gradient, axes, { keepDims: true }), shape)
}

function operands(op: string, a: Operand, b: Operand): [Tensor, Tensor] {
  const like = a instanceof Tensor ? a : b
  if (!(like instanceof Tensor)) throw new InputError('GRAPH_OPERAND', `${op} expected a tensor, received two numbers`)
  const tensor = (value: Operand) => (value instanceof Tensor ? value : like.graph.constant(value, [], like.dtype))
  const pair: [Tensor, Tensor] = [tensor(a), tensor(b)]
  commonDtype(op, ...pair)
  return pair
}

function binary(
  op: string,
  a: Operand,
  b: Operand,
  rule: (dy: Tensor, x: Tensor, y: Tensor, out: Tensor) => [Tensor?, Tensor?],
): Tensor {
  const [x, y] = operands(op, a, b)
  const [out] = x.graph.emit(op, [x, y], [{ dtype: x.dtype, shape: broadcastShapes(x.shape, y.shape) }], {
    vjp: ([dy]) => {
      const [dx, dz] = rule(dy!, x, y, out!)
      return [dx && unbroadcast(dx, x.shape), dz && unbroadcast(dz, y.shape)]
    },
  })
  return out!
}

function unary(op: string, x: Tensor, rule: (dy: Tensor, out: Tensor) => Tensor): Tensor {
  const vjp: Vjp = ([dy]) => [rule(dy!, out!)]
  const [out] = x.graph.emit(op, [x], [{ dtype: x.dtype, shape: x.shape }], { vjp })
  return out!
}

export function add(a: Operand, b: Operand): Tensor {
  return binary('Add', a, b, (dy) => [dy, dy])
}

export function sub(a: Operand, b: Operand): Tensor {
  return binary('Sub', a, b, (dy) => [dy, neg(dy)])
}

export function mul(a: Operand, b: Operand): Tensor {
  return binary('Mul', a, b, (dy, x, y) => [mul(dy, y), mul(dy, x)])
}

export function div(a: Operand, b: Operand): Tensor {
  return binary('Div', a, b, (dy, _x, y, out) => [div(dy, y), neg(div(mul(dy, out), y))])
}

/** a ** b with a constant exponent; the base must be positive where the exponent is not a whole number. */
export function pow(a: Tensor, exponent: number): Tensor {
  return binary('Pow', a, exponent, (dy, x) => [mul(dy, mul(pow(x, exponent - 1), exponent)), undefined])
}

/** The larger of two values; where they are equal, each gets half of the gradient. */
export function maximum(a: Operand, b: Operand): Tensor {
  return binary('Max', a, b, (dy, x, y) => [mul(dy, share(x, y)), mul(dy, share(y, x))])
}

/** The smaller of two values; where they are equal, each gets half of the gradient. */
export function minimum(a: Operand, b: Operand): Tensor {
  return binary('Min', a, b, (dy, x, y) => [mul(dy, share(y, x)), mul(dy, share(x, y))])
}

/** 1 where x > y, a half where they are equal, else 0. */
function share(x: Tensor, y: Tensor): Tensor {
  return mul(add(cast(greater(x, y), x.dtype), cast(greaterOrEqual(x, y), x.dtype)), 0.5)
}

export function neg(x: Tensor): Tensor {
  return unary('Neg', x, (dy) => neg(dy))
}

export function exp(x: Tensor): Tensor {
  return unary('Exp', x, (dy, y) => mul(dy, y))
}

export function log(x: Tensor): Tensor {
  return unary('Log', x, (dy) => div(dy, x))
}

export function sqrt(x: Tensor): Tensor {
  return unary('Sqrt', x, (dy, y) => div(mul(dy, 0.5), y))
}

export function square(x: Tensor): Tensor {
  return mul(x, x)
}

export function abs(x: Tensor): Tensor {
  return unary('Abs', x, (dy) => mul(dy, sign(x)))
}

function sign(x: Tensor): Tensor {
  return x.graph.emit('Sign', [x], [{ dtype: x.dtype, shape: x.shape }])[0]!
}

/** The error function. */
export function erf(x: Tensor): Tensor {
  return unary('Erf', x, (dy) => mul(dy, mul(exp(neg(square(x))), 2 / Math.sqrt(Math.PI))))
}

export function tanh(x: Tensor): Tensor {
  return unary('Tanh', x, (dy, y) => mul(dy, sub(1, square(y))))
}

export function sigmoid(x: Tensor): Tensor {
  return unary('Sigmoid', x, (dy, y) => mul(dy, mul(y, sub(1, y))))
}

/** max(x, 0); the gradient at 0 is 0. */
export function relu(x: Tensor): Tensor {
  return unary('Relu', x, (dy) => mul(dy, cast(greater(x, 0), x.dtype)))
}

function compare(op: string, a: Operand, b: Operand): Tensor {
  const [x, y] = operands(op, a, b)
  return x.graph.emit(op, [x, y], [{ dtype: 'bool', shape: broadcastShapes(x.shape, y.shape) }])[0]!
}

export function greater(a: Operand, b: Operand): Tensor {
  return compare('Greater', a, b)
}

export function greaterOrEqual(a: Operand, b: Operand): Tensor {
  return compare('GreaterOrEqual', a, b)
}

export function equal(a: Operand, b: Operand): Tensor {
  return compare('Equal', a, b)
}

/** Values of `a` where `condition` holds, else of `b`; all three broadcast. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  const [x, y] = operands('Where', a, b)
  if (condition.dtype !== 'bool')
    throw new InputError(
      'GRAPH_DTYPE',
      `Expected a bool condition, received ${condition.dtype}${formatShape(condition.shape)}`,
    )
  const shape = broadcastShapes(condition.shape, broadcastShapes(x.shape, y.shape))
  return x.graph.emit('Where', [condition, x, y], [{ dtype: x.dtype, shape }], {
    vjp: ([dy]) => [
      undefined,
      unbroadcast(where(condition, dy!, 0), x.shape),
      unbroadcast(where(condition, 0, dy!), y.shape),
    ],
  })[0]!
}

/** Converts to another type. Gradients pass between the float types. */
export function cast(x: Tensor, dtype: Dtype): Tensor {
  if (x.dtype === dtype) return x
  const attributes = { to: { int: onnxDtype[dtype] } }
  const differentiable = isFloat(x.dtype) && isFloat(dtype)
  return x.graph.emit('Cast', [x], [{ dtype, shape: x.shape }], {
    attributes,
    ...(differentiable ? { vjp: ([dy]: readonly (Tensor | undefined)[]) => [cast(dy!, x.dtype)] } : {}),
  })[0]!
}
