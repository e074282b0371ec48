/** Small weighted least squares for local surrogates: ridge regression with a free intercept, through the normal equations. */

/**
 * Solves A x = b for a symmetric positive definite A [n, n] by Cholesky factorisation. A pivot that rounding has eaten up counts as 1e-12 of the
 * largest diagonal, which leaves directions that the data do not determine at nearly zero.
 */
export function solvePositive(matrix: Float64Array, right: Float64Array): Float64Array {
  const n = right.length
  const factor = matrix.slice()
  let largest = 0
  for (let i = 0; i < n; i++) largest = Math.max(largest, matrix[i * n + i]!)
  const least = Math.max(largest * 1e-12, Number.MIN_VALUE)
  for (let j = 0; j < n; j++) {
    let pivot = factor[j * n + j]!
    for (let k = 0; k < j; k++) pivot -= factor[j * n + k]! ** 2
    const root = Math.sqrt(Math.max(pivot, least))
    factor[j * n + j] = root
    for (let i = j + 1; i < n; i++) {
      let sum = factor[i * n + j]!
      for (let k = 0; k < j; k++) sum -= factor[i * n + k]! * factor[j * n + k]!
      factor[i * n + j] = sum / root
    }
  }
  const x = right.slice()
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) x[i]! -= factor[i * n + k]! * x[k]!
    x[i]! /= factor[i * n + i]!
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) x[i]! -= factor[k * n + i]! * x[k]!
    x[i]! /= factor[i * n + i]!
  }
  return x
}

export interface RidgeFit {
  readonly coefficients: Float64Array
  readonly intercept: number
  /** Weighted share of the variance that the fit explains; 1 where there is none. */
  readonly r2: number
}

/** Minimises sum of weight (y - intercept - row . coefficients)^2 + ridge |coefficients|^2; the intercept is not penalised. */
export function ridgeRegression(
  rows: readonly ArrayLike<number>[],
  y: ArrayLike<number>,
  weights: ArrayLike<number>,
  ridge: number,
): RidgeFit {
  const n = rows[0]?.length ?? 0
  const means = new Float64Array(n)
  let total = 0
  let meanY = 0
  for (const [r, row] of rows.entries()) {
    const w = weights[r]!
    total += w
    meanY += w * y[r]!
    for (let i = 0; i < n; i++) means[i]! += w * row[i]!
  }
  meanY /= total
  for (let i = 0; i < n; i++) means[i]! /= total
  const matrix = new Float64Array(n * n)
  const right = new Float64Array(n)
  const centred = new Float64Array(n)
  for (const [r, row] of rows.entries()) {
    for (let i = 0; i < n; i++) centred[i] = row[i]! - means[i]!
    const w = weights[r]!
    for (let i = 0; i < n; i++) {
      const wx = w * centred[i]!
      right[i]! += wx * (y[r]! - meanY)
      for (let j = 0; j <= i; j++) matrix[i * n + j]! += wx * centred[j]!
    }
  }
  for (let i = 0; i < n; i++) {
    matrix[i * n + i]! += ridge
    for (let j = 0; j < i; j++) matrix[j * n + i] = matrix[i * n + j]!
  }
  const coefficients = n === 0 ? new Float64Array(0) : solvePositive(matrix, right)
  const intercept = meanY - means.reduce((sum, mean, i) => sum + mean * coefficients[i]!, 0)
  let residual = 0
  let variance = 0
  for (const [r, row] of rows.entries()) {
    let fitted = intercept
    for (let i = 0; i < n; i++) fitted += row[i]! * coefficients[i]!
    residual += weights[r]! * (y[r]! - fitted) ** 2
    variance += weights[r]! * (y[r]! - meanY) ** 2
  }
  return { coefficients, intercept, r2: variance > 0 ? 1 - residual / variance : 1 }
}
