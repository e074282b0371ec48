/**
 * Fitting a linear head on frozen features to the answers of a teacher: full batches of Adam (Kingma and Ba, 2015) on the divergence KL(teacher ‖
 * student) of every group of units, or on binary cross-entropy where units are independent.
 */
import type { UnitGroup } from '../labels/head-layout.ts'
import { type Matrix, type MatrixKernels, matrix, multiply } from '../tensor/linear-algebra/index.ts'
import { throwIfAborted } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import type { LinearHead } from './procrustes.ts'

/** How units are normalised: a softmax in each group, or a sigmoid each. */
export interface Normalisation {
  readonly activation: 'softmax' | 'sigmoid'
  readonly groups: readonly Pick<UnitGroup, 'start' | 'end'>[]
}

export interface DistillOptions extends RunOptions {
  /** Updates; default 200. */
  steps?: number
  /** Default 0.005. */
  learningRate?: number
}

const [firstDecay, secondDecay, epsilon] = [0.9, 0.999, 1e-8]

/** Probabilities of rows of logits. */
export function probabilitiesOf(logits: Matrix, { activation, groups }: Normalisation): Matrix {
  const result = matrix(logits.rows, logits.columns)
  for (let row = 0; row < logits.rows; row++) {
    const at = row * logits.columns
    for (const { start, end } of activation === 'softmax' ? groups : [{ start: 0, end: logits.columns }]) {
      const part = logits.data.subarray(at + start, at + end)
      if (activation === 'sigmoid') {
        for (const [i, z] of part.entries()) result.data[at + start + i] = 1 / (1 + Math.exp(-z))
        continue
      }
      const top = part.reduce((most, z) => Math.max(most, z), Number.NEGATIVE_INFINITY)
      const total = part.reduce((sum, z) => sum + Math.exp(z - top), 0)
      for (const [i, z] of part.entries()) result.data[at + start + i] = Math.exp(z - top) / total
    }
  }
  return result
}

/** Mean over rows of KL(teacher ‖ student), summed over groups (of yes and no where units are independent). */
export function divergence(teacher: Matrix, student: Matrix, activation: Normalisation['activation']): number {
  const term = (q: number, p: number) => (q > 0 ? q * Math.log(q / Math.max(p, 1e-300)) : 0)
  let sum = 0
  for (const [i, q] of teacher.data.entries()) {
    const p = student.data[i]!
    sum += term(q, p) + (activation === 'sigmoid' ? term(1 - q, 1 - p) : 0)
  }
  return sum / teacher.rows
}

/** weight features + bias, rows x units. */
export function logitsOf(kernels: MatrixKernels, features: Matrix, { weight, bias }: LinearHead): Matrix {
  const logits = multiply(kernels, features, weight, { transposeB: true })
  for (let i = 0; i < logits.data.length; i++) logits.data[i]! += bias[i % logits.columns]!
  return logits
}

/** The gradient of the divergence on the logits of each row, for softmax and sigmoid alike: student - teacher. */
export function logitGradient(teacher: Matrix, student: Matrix): Matrix {
  return matrix(
    student.rows,
    student.columns,
    student.data.map((p, i) => p - teacher.data[i]!),
  )
}

/**
 * Fits a head, starting from the given one.
 * @param features rows x width, of the encoder that the head will read.
 * @param teacher rows x units, probabilities.
 */
export function distillHead(
  kernels: MatrixKernels,
  features: Matrix,
  teacher: Matrix,
  start: LinearHead,
  normalisation: Normalisation,
  { steps = 200, learningRate = 5e-3, signal }: DistillOptions = {},
): LinearHead {
  const head: LinearHead = {
    weight: matrix(start.weight.rows, start.weight.columns, start.weight.data.slice()),
    bias: start.bias.slice(),
  }
  const parts = [head.weight.data, head.bias].map((values) => ({
    values,
    first: new Float64Array(values.length),
    second: new Float64Array(values.length),
  }))
  for (let step = 1; step <= steps; step++) {
    throwIfAborted(signal)
    const student = probabilitiesOf(logitsOf(kernels, features, head), normalisation)
    const gradient = logitGradient(teacher, student)
    const weightGradient = multiply(kernels, gradient, features, { transposeA: true })
    const biasGradient = new Float64Array(head.bias.length)
    for (const [i, value] of gradient.data.entries()) biasGradient[i % gradient.columns]! += value
    for (const [p, { values, first, second }] of parts.entries()) {
      const slope = p === 0 ? weightGradient.data : biasGradient
      for (let i = 0; i < values.length; i++) {
        const g = slope[i]! / features.rows
        first[i] = firstDecay * first[i]! + (1 - firstDecay) * g
        second[i] = secondDecay * second[i]! + (1 - secondDecay) * g * g
        const mean = first[i]! / (1 - firstDecay ** step)
        const scale = Math.sqrt(second[i]! / (1 - secondDecay ** step)) + epsilon
        values[i]! -= (learningRate * mean) / scale
      }
    }
  }
  return head
}
