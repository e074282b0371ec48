/**
 * Orthogonal alignment of two sets of vectors (Schönemann, 1966): the rotation that brings the features of a merged encoder nearest to those that a
 * head was trained on, and the same head turned to read the merged features.
 */
import {
  frobeniusNorm,
  type Matrix,
  type MatrixKernels,
  matrix,
  multiply,
  svd,
} from '../tensor/linear-algebra/index.ts'

/** The last linear map of a task: logits = weight z + bias. */
export interface LinearHead {
  /** units x width. */
  readonly weight: Matrix
  readonly bias: Float64Array
}

export interface Rotation {
  /** R, width x width: rows of `from` times R are near rows of `to`. */
  readonly rotation: Matrix
  readonly fromMean: Float64Array
  readonly toMean: Float64Array
  /** ‖ZR - Z_t‖ / ‖Z_t‖ on the centred vectors; `before` the same with R the identity. */
  readonly residual: number
  readonly before: number
}

export interface ProcrustesOptions {
  /** Take the means off first; default true. */
  center?: boolean
  /**
   * Added to the diagonal of the cross-covariance, as a share of its root mean square singular value: directions that the samples say nothing of
   * stay as they are. Default 0.001 with fewer samples than dimensions, else 0.
   */
  shrink?: number
}

/** The orthogonal R that minimises ‖(from - mean) R - (to - mean)‖; rows are samples. */
export function procrustes(
  kernels: MatrixKernels,
  from: Matrix,
  to: Matrix,
  { center = true, shrink = from.rows <= from.columns ? 1e-3 : 0 }: ProcrustesOptions = {},
): Rotation {
  const [fromMean, toMean] = [from, to].map((x) => (center ? columnMeans(x) : new Float64Array(x.columns)))
  const [z, target] = [minus(from, fromMean!), minus(to, toMean!)]
  const cross = multiply(kernels, z, target, { transposeA: true })
  const width = from.columns
  const strength = (shrink * frobeniusNorm(cross)) / Math.sqrt(width)
  for (let i = 0; i < width; i++) cross.data[i * width + i]! += strength
  const { u, vt } = svd(kernels, cross)
  const rotation = multiply(kernels, u, vt)
  const norm = frobeniusNorm(target)
  const distance = (x: Matrix) => (norm === 0 ? 0 : frobeniusNorm(difference(x, target)) / norm)
  return {
    rotation,
    fromMean: fromMean!,
    toMean: toMean!,
    residual: distance(multiply(kernels, z, rotation)),
    before: distance(z),
  }
}

/** The head that reads `from` as the given one reads the rotated and moved vectors: W' = W Rᵀ, b' = b + W (mean_to - Rᵀ mean_from). */
export function rotateHead(kernels: MatrixKernels, { weight, bias }: LinearHead, found: Rotation): LinearHead {
  const { rotation, fromMean, toMean } = found
  const width = weight.columns
  const moved = multiply(kernels, matrix(1, width, fromMean), rotation)
  const shift = matrix(
    width,
    1,
    toMean.map((value, i) => value - moved.data[i]!),
  )
  const offset = multiply(kernels, weight, shift)
  return {
    weight: multiply(kernels, weight, rotation, { transposeB: true }),
    bias: bias.map((value, unit) => value + offset.data[unit]!),
  }
}

function columnMeans({ rows, columns, data }: Matrix): Float64Array {
  const means = new Float64Array(columns)
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) means[j]! += data[i * columns + j]! / rows
  return means
}

const minus = ({ rows, columns, data }: Matrix, mean: Float64Array): Matrix =>
  matrix(
    rows,
    columns,
    data.map((value, i) => value - mean[i % columns]!),
  )

const difference = (a: Matrix, b: Matrix): Matrix =>
  matrix(
    a.rows,
    a.columns,
    a.data.map((value, i) => value - b.data[i]!),
  )
