/** Entropic optimal transport by Sinkhorn's iteration on logarithms (Cuturi, 2013; Peyre and Cuturi, 2019, section 4.4): stable for any epsilon. */
import { InputError } from '../../util/errors.ts'
import { largestMagnitude, type Matrix, matrix } from './matrix.ts'

export interface SinkhornOptions {
  /** Mass of each row (default: equal shares of 1). */
  rows?: ArrayLike<number>
  /** Mass of each column (default: equal shares of 1). */
  columns?: ArrayLike<number>
  /** Strength of the entropy, in the unit of the costs (default 0.05 times the mean magnitude of the costs). */
  epsilon?: number
  /** At most so many iterations (default 1,000). */
  iterations?: number
  /** Stop when the rows' masses are met within this sum of differences (default 1e-9). */
  tolerance?: number
}

export interface Transport {
  /** Mass moved from each row to each column. */
  readonly plan: Matrix
  /** The sum of plan times costs. */
  readonly cost: number
  readonly iterations: number
  readonly converged: boolean
}

/**
 * The plan that minimizes <plan, costs> - epsilon * entropy(plan) with the given masses of rows and columns.
 * @throws InputError `MATRIX` for masses that are negative or do not add up, `NOT_FINITE`.
 * @example
 * sinkhorn(matrix(2, 2, [0, 1, 1, 0]), { epsilon: 0.01 }).plan.data // about [0.5, 0, 0, 0.5]
 */
export function sinkhorn(costs: Matrix, options: SinkhornOptions = {}): Transport {
  const { rows: m, columns: n, data } = costs
  largestMagnitude(costs)
  const a = masses(options.rows, m, 'rows')
  const b = masses(options.columns, n, 'columns')
  const [sumA, sumB] = [total(a), total(b)]
  if (Math.abs(sumA - sumB) > 1e-9 * Math.max(sumA, sumB))
    throw new InputError('MATRIX', `Expected equal total masses, received ${sumA} in rows and ${sumB} in columns`)
  const { iterations = 1000, tolerance = 1e-9 } = options
  const mean = data.reduce((sum, cost) => sum + Math.abs(cost), 0) / Math.max(1, data.length)
  const epsilon = options.epsilon ?? (mean === 0 ? 1 : 0.05 * mean)
  if (!(epsilon > 0)) throw new InputError('MATRIX', `Expected epsilon above 0, received ${epsilon}`)
  const f = new Float64Array(m) // potentials, in units of epsilon
  const g = new Float64Array(n)
  const negated = data.map((cost) => -cost / epsilon)
  const [logA, logB] = [a.map(Math.log), b.map(Math.log)]
  let step = 0
  let converged = false
  while (step < iterations && !converged) {
    step++
    for (let j = 0; j < n; j++)
      g[j] = b[j] === 0 ? Number.NEGATIVE_INFINITY : logB[j]! - logSum(m, (i) => f[i]! + negated[i * n + j]!)
    let error = 0
    for (let i = 0; i < m; i++) {
      const reached = logSum(n, (j) => g[j]! + negated[i * n + j]!)
      if (a[i] !== 0) error += Math.abs(Math.exp(f[i]! + reached) - a[i]!)
      f[i] = a[i] === 0 ? Number.NEGATIVE_INFINITY : logA[i]! - reached
    }
    converged = step > 1 && error <= tolerance
  }
  const plan = matrix(m, n)
  let cost = 0
  for (let i = 0; i < m; i++)
    for (let j = 0; j < n; j++) {
      const mass = Math.exp(f[i]! + g[j]! + negated[i * n + j]!)
      plan.data[i * n + j] = mass
      cost += mass * data[i * n + j]!
    }
  return { plan, cost, iterations: step, converged }
}

function masses(given: ArrayLike<number> | undefined, count: number, what: string): Float64Array {
  if (given === undefined) return new Float64Array(count).fill(1 / count)
  if (given.length !== count)
    throw new InputError('MATRIX', `Expected ${count} masses of ${what}, received ${given.length}`)
  const result = Float64Array.from(given)
  for (const mass of result)
    if (!(mass >= 0 && mass < Number.POSITIVE_INFINITY))
      throw new InputError('MATRIX', `Expected masses of at least 0, received ${mass}`)
  return result
}

const total = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0)

/** log(sum(exp(x))) without overflow. */
function logSum(count: number, x: (i: number) => number): number {
  let largest = Number.NEGATIVE_INFINITY
  for (let i = 0; i < count; i++) largest = Math.max(largest, x(i))
  if (largest === Number.NEGATIVE_INFINITY) return largest
  let sum = 0
  for (let i = 0; i < count; i++) sum += Math.exp(x(i) - largest)
  return largest + Math.log(sum)
}
