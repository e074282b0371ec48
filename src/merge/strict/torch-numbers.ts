/**
 * PyTorch's arithmetic on one element type, as mergekit uses it on a processor: every operation rounds to the type; the 16-bit types are
 * computed in float32 first. Long sums are exact and rounded once: PyTorch's own depend on the processor's vectors and on threads.
 */
import type { MergeDtype } from '../../tensor/merge-kernels.ts'

export type Numbers = Float32Array | Float64Array

export interface TorchNumbers {
  readonly dtype: MergeDtype
  /** Rounds the result of an operation on elements. */
  round(x: number): number
  /** A number that multiplies a tensor: float32 unless the tensor is float64. One that is added is rounded to the tensor's type. */
  scalar(x: number): number
  /** Uninitialised elements: an array that holds the type exactly. */
  make(length: number): Numbers
  /** A long sum: exact, rounded once. */
  sum(x: ArrayLike<number>): number
  /** The Euclidean norm, likewise. */
  norm(x: ArrayLike<number>): number
  /** A long mean: the exact sum, in float32 at least, divided. */
  mean(x: ArrayLike<number>): number
  /** The sum of `count` values one after the other (over models), each step at least in float32. */
  sumFew(count: number, value: (i: number) => number): number
  /** Their mean. */
  meanFew(count: number, value: (i: number) => number): number
}

const float = new Float32Array(1)
const bits = new Uint32Array(float.buffer)
const identity = (x: number): number => x

function toBfloat16(x: number): number {
  float[0] = x
  bits[0] = (bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)) & 0xffff0000
  return float[0]!
}

/** In float64 arithmetic the unit of this number is that of subnormal halves. */
const subnormalHalf = 1.5 * 2 ** 28

function toFloat16(x: number): number {
  float[0] = x
  const single = float[0]!
  const magnitude = Math.abs(single)
  if (magnitude < 2 ** -14) return single + subnormalHalf - subnormalHalf
  if (magnitude >= 65_520) return single > 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY
  bits[0] = (bits[0]! + 0xfff + ((bits[0]! >>> 13) & 1)) & 0xffffe000
  return float[0]!
}

const roundings: Record<MergeDtype, (x: number) => number> = {
  F64: identity,
  F32: Math.fround,
  BF16: toBfloat16,
  F16: toFloat16,
}

export function torchNumbers(dtype: MergeDtype): TorchNumbers {
  const round = roundings[dtype]
  const scalar = dtype === 'F64' ? identity : Math.fround
  const sumFew = (count: number, value: (i: number) => number): number => {
    let sum = 0
    for (let i = 0; i < count; i++) sum = scalar(sum + value(i))
    return sum
  }
  return {
    dtype,
    round,
    scalar,
    make: (length) => (dtype === 'F64' ? new Float64Array(length) : new Float32Array(length)),
    sum(x) {
      let sum = 0
      for (let i = 0; i < x.length; i++) sum += x[i]!
      return round(sum)
    },
    norm(x) {
      let sum = 0
      for (let i = 0; i < x.length; i++) sum += x[i]! * x[i]!
      return round(Math.sqrt(sum))
    },
    mean(x) {
      let sum = 0
      for (let i = 0; i < x.length; i++) sum += x[i]!
      return round(scalar(scalar(sum) / x.length))
    },
    sumFew: (count, value) => round(sumFew(count, value)),
    meanFew: (count, value) => round(scalar(sumFew(count, value) / count)),
  }
}

/** The type that PyTorch computes in where 16-bit types are not enough. */
export const widened = (dtype: MergeDtype): MergeDtype => (dtype === 'F64' ? 'F64' : 'F32')
