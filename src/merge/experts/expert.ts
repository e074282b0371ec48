/**
 * Experts of a mixture: feed-forward networks of equal shape. Their neurons can stand in any order, so experts are brought into one order before
 * their weights are averaged.
 */
import { assign } from '../../tensor/linear-algebra/assignment.ts'
import { type Matrix, matrix } from '../../tensor/linear-algebra/matrix.ts'

export interface Expert {
  /** Matrices whose rows are neurons [neurons, inputs]: one, or gate and up projection. */
  readonly inward: readonly Matrix[]
  /** The matrix whose columns are neurons [outputs, neurons]. */
  readonly outward: Matrix
  /** One value for each neuron, for each inward matrix that has a bias. */
  readonly biases?: readonly Float64Array[]
}

/**
 * How neurons of two experts match: score [i, j] is the inner product of all weights of neuron i of `a` and neuron j of `b`.
 */
export function neuronScores(a: Expert, b: Expert): Matrix {
  const neurons = a.outward.columns
  const scores = matrix(neurons, neurons)
  for (let i = 0; i < neurons; i++)
    for (let j = 0; j < neurons; j++) {
      let sum = 0
      for (const [m, first] of a.inward.entries()) {
        const second = b.inward[m]!
        for (let k = 0; k < first.columns; k++)
          sum += first.data[i * first.columns + k]! * second.data[j * second.columns + k]!
      }
      for (let k = 0; k < a.outward.rows; k++)
        sum += a.outward.data[k * neurons + i]! * b.outward.data[k * neurons + j]!
      scores.data[i * neurons + j] = sum
    }
  return scores
}

/** `expert` with its neurons in the order in which they match those of `reference` best. */
export function alignExpert(reference: Expert, expert: Expert): Expert {
  return permuteNeurons(expert, assign(neuronScores(reference, expert), { maximize: true }).columns)
}

/** Neuron i of the result is neuron `order[i]` of the expert; what it calculates stays the same. */
export function permuteNeurons({ inward, outward, biases }: Expert, order: ArrayLike<number>): Expert {
  const places = Array.from(order)
  return {
    inward: inward.map(({ rows, columns, data }) => {
      const result = matrix(rows, columns)
      for (const [i, from] of places.entries())
        result.data.set(data.subarray(from * columns, (from + 1) * columns), i * columns)
      return result
    }),
    outward: {
      ...outward,
      data: outward.data.map((_, at) => outward.data[at - (at % outward.columns) + places[at % outward.columns]!]!),
    },
    ...(biases ? { biases: biases.map((values) => values.map((_, i) => values[places[i]!]!)) } : {}),
  }
}

/** The mean of experts by weights, which need not sum to 1; equal weights where all are 0. */
export function averageExperts(experts: readonly Expert[], weights: readonly number[]): Expert {
  const [first] = experts
  return {
    inward: first!.inward.map((_, m) =>
      averageMatrices(
        experts.map(({ inward }) => inward[m]!),
        weights,
      ),
    ),
    outward: averageMatrices(
      experts.map(({ outward }) => outward),
      weights,
    ),
    ...(first!.biases
      ? {
          biases: first!.biases.map(
            (values, m) =>
              averageMatrices(
                experts.map(({ biases }) => matrix(1, values.length, biases![m]!)),
                weights,
              ).data,
          ),
        }
      : {}),
  }
}

export function averageMatrices(matrices: readonly Matrix[], weights: readonly number[]): Matrix {
  const total = weights.reduce((sum, w) => sum + w, 0)
  const shares = weights.map((w) => (total > 0 ? w / total : 1 / weights.length))
  const { rows, columns } = matrices[0]!
  const mean = matrix(rows, columns)
  for (const [e, { data }] of matrices.entries())
    for (let i = 0; i < data.length; i++) mean.data[i]! += shares[e]! * data[i]!
  return mean
}

/** All weights of an expert in one vector. */
export function flattened({ inward, outward, biases = [] }: Expert): Float64Array {
  const parts = [...inward.map(({ data }) => data), outward.data, ...biases]
  const result = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    result.set(part, at)
    at += part.length
  }
  return result
}

export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [dot, aa, bb] = [0, 0, 0]
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!
    aa += a[i]! ** 2
    bb += b[i]! ** 2
  }
  return aa === 0 || bb === 0 ? 0 : dot / Math.sqrt(aa * bb)
}
