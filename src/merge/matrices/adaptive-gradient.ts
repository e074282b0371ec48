/**
 * The loss of adaptive projective gradient descent (Wei et al., 2025): how far the merged update leaves each task, measured along the rows of
 * its own change. With M = sum of coefficient_t tau_t and L = sum of the coefficients, row i of task t counts <tau_t[i], (tau_t - M - L x)[i]>^2.
 */
import { type Matrix, matrix } from '../../tensor/linear-algebra/matrix.ts'

export interface AdaptiveLoss {
  readonly taus: readonly Matrix[]
  /** Sum of the coefficients. */
  readonly total: number
  /** <tau_t[i], (tau_t - M)[i]> by task and row. */
  readonly residuals: readonly Float64Array[]
}

export function adaptiveLoss(taus: readonly Matrix[], coefficients: readonly number[]): AdaptiveLoss {
  const { rows, columns } = taus[0]!
  const mean = matrix(rows, columns)
  for (const [t, { data }] of taus.entries())
    for (let i = 0; i < data.length; i++) mean.data[i]! += coefficients[t]! * data[i]!
  const residuals = taus.map(({ data }) => {
    const result = new Float64Array(rows)
    for (let i = 0, at = 0; i < rows; i++)
      for (let j = 0; j < columns; j++, at++) result[i]! += data[at]! * (data[at]! - mean.data[at]!)
    return result
  })
  return { taus, total: coefficients.reduce((sum, c) => sum + c, 0), residuals }
}

/** The loss at x; its gradient is written to `gradient`. */
export function lossAndGradient({ taus, total, residuals }: AdaptiveLoss, x: Matrix, gradient: Float64Array): number {
  gradient.fill(0)
  const { rows, columns } = x
  let loss = 0
  for (const [t, { data }] of taus.entries())
    for (let i = 0; i < rows; i++) {
      const [start, end] = [i * columns, (i + 1) * columns]
      let product = 0
      for (let at = start; at < end; at++) product += data[at]! * x.data[at]!
      const rho = residuals[t]![i]! - total * product
      loss += rho * rho
      const factor = -2 * total * rho
      for (let at = start; at < end; at++) gradient[at]! += factor * data[at]!
    }
  return loss
}
