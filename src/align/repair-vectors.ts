/**
 * Representation surgery (Yang et al., 2024): what the vectors of a merged encoder lack of a specialist's is taken off by a map of low rank, fitted to
 * the specialist's vectors by their absolute distance. It is linear here, so that a head can take it up: nothing is added to the model.
 */
import { Adam } from '../tensor/adam.ts'
import { type Matrix, type MatrixKernels, matrix, multiply } from '../tensor/linear-algebra/index.ts'
import { random } from '../tensor/random.ts'
import { throwIfAborted } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import type { LinearHead } from './procrustes.ts'

/** Repaired vectors are z - up (down z) - shift. */
export interface Repair {
  /** width x rank */
  readonly up: Matrix
  /** rank x width */
  readonly down: Matrix
  readonly shift: Float64Array
}

export interface RepairOptions extends RunOptions {
  rank: number
  steps: number
  learningRate: number
}

/** Applies a repair to rows of vectors. */
export function repaired(kernels: MatrixKernels, z: Matrix, { up, down, shift }: Repair): Matrix {
  const taken = multiply(kernels, multiply(kernels, z, down, { transposeB: true }), up, { transposeB: true })
  return matrix(
    z.rows,
    z.columns,
    z.data.map((value, i) => value - taken.data[i]! - shift[i % z.columns]!),
  )
}

/** Mean absolute difference of all elements. */
export const distance = (a: Matrix, b: Matrix): number =>
  a.data.reduce((sum, value, i) => sum + Math.abs(value - b.data[i]!), 0) / a.data.length

/** Fits a repair that brings `merged` near to `expert`, rows being texts: full batches of Adam on the mean absolute difference. */
export function fitRepair(
  kernels: MatrixKernels,
  merged: Matrix,
  expert: Matrix,
  { rank, steps, learningRate, signal }: RepairOptions,
): Repair {
  const width = merged.columns
  const normals = random('repair vectors', width)
  const start = Float64Array.from({ length: rank * width }, (_, i) => normals.normal(i) / Math.sqrt(width))
  // The map begins as nothing: only one of its factors is drawn.
  const repair = { up: matrix(width, rank), down: matrix(rank, width, start), shift: new Float64Array(width) }
  const adams = [repair.up.data, repair.down.data, repair.shift].map(({ length }) => new Adam(length, learningRate))
  for (let step = 0; step < steps; step++) {
    throwIfAborted(signal)
    const inner = multiply(kernels, merged, repair.down, { transposeB: true })
    const taken = multiply(kernels, inner, repair.up, { transposeB: true })
    const shift = new Float64Array(width)
    const slope = matrix(merged.rows, width)
    for (let i = 0; i < slope.data.length; i++) {
      const value = merged.data[i]! - taken.data[i]! - repair.shift[i % width]! - expert.data[i]!
      slope.data[i] = -Math.sign(value) / slope.data.length
      shift[i % width]! += slope.data[i]!
    }
    const up = multiply(kernels, slope, inner, { transposeA: true })
    const down = multiply(kernels, multiply(kernels, slope, repair.up), merged, { transposeA: true })
    adams[0]!.update(repair.up.data, up.data)
    adams[1]!.update(repair.down.data, down.data)
    adams[2]!.update(repair.shift, shift)
  }
  return repair
}

/** The head that reads vectors as they are as the given one reads repaired vectors: W - (W up) down, b - W shift. */
export function foldRepair(
  kernels: MatrixKernels,
  { weight, bias }: LinearHead,
  { up, down, shift }: Repair,
): LinearHead {
  const taken = multiply(kernels, multiply(kernels, weight, up), down)
  const moved = multiply(kernels, weight, matrix(shift.length, 1, shift))
  return {
    weight: matrix(
      weight.rows,
      weight.columns,
      weight.data.map((value, i) => value - taken.data[i]!),
    ),
    bias: bias.map((value, unit) => value - moved.data[unit]!),
  }
}
