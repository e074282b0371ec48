/** Softmax, layer normalisation and the activations that transformers use. */
import { InputError } from '../../util/errors.ts'
import { differentiable, type Tensor } from '../graph.ts'
import { formatShape, normalizeAxes } from '../shape.ts'
import { add, div, erf, exp, log, mul, neg, sigmoid, sqrt, square, sub, tanh } from './elementwise.ts'
import { concat, slice } from './indexing.ts'
import { expand, reduceMax, reduceMean, reduceSum, reshape } from './reduce.ts'

/** exp(x) over its sum along `axis`. */
export function softmax(x: Tensor, axis = -1): Tensor {
  const [along] = normalizeAxes([axis], x.rank)
  const y: Tensor = x.graph.emit('Softmax', [x], [{ dtype: x.dtype, shape: x.shape }], {
    attributes: { axis: { int: along! } },
    vjp: ([dy]) => {
      const weighted = mul(dy!, y)
      return [sub(weighted, mul(y, reduceSum(weighted, [along!], { keepDims: true })))]
    },
  })[0]!
  return y
}

/** ln of softmax along `axis`, stable. */
export function logSoftmax(x: Tensor, axis = -1): Tensor {
  const [along] = normalizeAxes([axis], x.rank)
  const y: Tensor = x.graph.emit('LogSoftmax', [x], [{ dtype: x.dtype, shape: x.shape }], {
    attributes: { axis: { int: along! } },
    vjp: ([dy]) => [sub(dy!, mul(exp(y), reduceSum(dy!, [along!], { keepDims: true })))],
  })[0]!
  return y
}

/** ln of the sum of exp(x) over the last axis, stable; the axis is dropped. */
export function logSumExp(x: Tensor): Tensor {
  const most = reduceMax(x, [-1], { keepDims: true })
  return reshape(add(log(reduceSum(exp(sub(x, most)), [-1], { keepDims: true })), most), x.shape.slice(0, -1))
}

/** x over its Euclidean length along the last axis; zeros stay zeros. */
export function l2Normalize(x: Tensor, epsilon = 1e-12): Tensor {
  return div(x, sqrt(add(reduceSum(square(x), [-1], { keepDims: true }), epsilon)))
}

/**
 * ln(1 + exp(x)), stable for large |x|: the log softmax of the pair (x, 0). ONNX Runtime's own Softplus rounds the last few elements of each
 * thread's share differently.
 */
export function softplus(x: Tensor): Tensor {
  const column = reshape(x, [...x.shape, 1])
  const y = neg(reshape(slice(logSoftmax(concat([column, mul(column, 0)], -1)), -1, 1, 1), x.shape))
  differentiable([x], [y], ([dy]) => [mul(dy!, sigmoid(x))])
  return y
}

/** Normalises the last axis to mean 0 and variance 1, then scales and shifts (Ba et al., 2016). */
export function layerNormalization(x: Tensor, scale: Tensor, bias: Tensor, epsilon: number): Tensor {
  const width = x.shape.at(-1)
  if (scale.rank !== 1 || scale.shape[0] !== width || bias.rank !== 1 || bias.shape[0] !== width)
    throw new InputError(
      'GRAPH_SHAPE',
      `layerNormalization expected scale and bias [${width}], received ${formatShape(scale.shape)} and ${formatShape(bias.shape)}`,
    )
  const statistics = { dtype: x.dtype, shape: [...x.shape.slice(0, -1), 1] }
  const [y, mean, inverse] = x.graph.emit(
    'LayerNormalization',
    [x, scale, bias],
    [{ dtype: x.dtype, shape: x.shape }, statistics, statistics],
    { attributes: { axis: { int: -1 }, epsilon: { float: epsilon } } },
  )
  differentiable([x], [mean!], ([dm]) => [expand(div(dm!, Number(width)), x.shape)])
  differentiable([x], [inverse!], ([di]) => [
    mul(div(mul(di!, neg(square(inverse!))), Number(width)), mul(sub(x, mean!), inverse!)),
  ])
  differentiable([x, scale, bias], [y!], ([dy]) => {
    const normal = mul(sub(x, mean!), inverse!)
    const u = mul(dy!, scale)
    const centred = sub(u, reduceMean(u, [-1], { keepDims: true }))
    const slope = reduceMean(mul(u, normal), [-1], { keepDims: true })
    const dx = mul(inverse!, sub(centred, mul(normal, slope)))
    const leading = x.shape.slice(0, -1).map((_, i) => i)
    return [dx, reduceSum(mul(dy!, normal), leading), reduceSum(dy!, leading)]
  })
  return y!
}

/**
 * t (1 + erf t): gelu without its two factors, gelu(x) = erfGate(x / sqrt 2) / sqrt 2. Linear maps on both sides can carry them for nothing.
 */
export function erfGate(t: Tensor): Tensor {
  const gate = add(erf(t), 1)
  const y = mul(t, gate)
  const slope = Math.log(2 / Math.sqrt(Math.PI))
  differentiable([t], [y], ([dy]) => [mul(dy!, add(gate, mul(t, exp(sub(slope, square(t))))))])
  return y
}

/** x times the normal distribution function of x, exact (Hendrycks and Gimpel, 2016). */
export function gelu(x: Tensor): Tensor {
  const y = x.graph.emit('Gelu', [x], [{ dtype: x.dtype, shape: x.shape }])[0]!
  differentiable([x], [y], ([dy]) => {
    const t = mul(x, Math.SQRT1_2)
    const slope = Math.log(1 / Math.sqrt(Math.PI))
    return [mul(dy!, add(mul(add(erf(t), 1), 0.5), mul(t, exp(sub(slope, square(t))))))]
  })
  return y
}

/** gelu with tanh in place of erf ("gelu_new"). */
export function geluTanh(x: Tensor): Tensor {
  const inner = mul(add(x, mul(mul(square(x), x), 0.044715)), Math.sqrt(2 / Math.PI))
  return mul(mul(x, 0.5), add(tanh(inner), 1))
}
