/**
 * How low-rank updates become one (the combination types of PEFT's `add_weighted_adapter`): side by side, by the updates themselves and a new
 * factorization, or factor by factor.
 */
import { type Matrix, type MatrixKernels, matrix, multiply, truncatedSvd } from '../../tensor/linear-algebra/index.ts'
import type { MergeMethod } from '../merge-method.ts'
import { mergeTensors } from '../merge-tensors.ts'
import type { Scalar, Setting } from '../settings.ts'

/** An update B A; the scale is in the factors already. */
export interface Factors {
  /** [rank, in] */
  readonly a: Matrix
  /** [out, rank] */
  readonly b: Matrix
}

export interface Combined extends Factors {
  /** Sums of squares of the merged update and of what its factors lost of it. */
  readonly square: number
  readonly lost: number
}

export interface Combination {
  readonly method: MergeMethod
  /** Of each adapter, for this module. */
  readonly settings: readonly Readonly<Record<string, Setting<Scalar>>>[]
  readonly name: string
  readonly seed: number
}

/** The weighted sum of updates, exactly: their factors side by side, so that ranks add up. */
export function concatenate(parts: readonly (Factors | undefined)[], weights: readonly number[]): Combined {
  const known = parts.flatMap((part, t) => (part ? [{ ...part, weight: weights[t]! }] : []))
  const rank = known.reduce((sum, { a }) => sum + a.rows, 0)
  const { a: firstA, b: firstB } = parts.find((part) => part !== undefined)!
  const a = matrix(rank, firstA.columns)
  const b = matrix(firstB.rows, rank)
  let row = 0
  for (const { a: ownA, b: ownB, weight } of known) {
    for (const [i, x] of ownA.data.entries()) a.data[row * a.columns + i] = weight * x
    for (let i = 0; i < b.rows; i++)
      b.data.set(ownB.data.subarray(i * ownB.columns, (i + 1) * ownB.columns), i * rank + row)
    row += ownA.rows
  }
  return { a, b, square: 0, lost: 0 }
}

/** A method on the updates themselves; the result is brought to a rank by singular value decomposition. */
export async function refactor(
  kernels: MatrixKernels,
  parts: readonly (Factors | undefined)[],
  rank: number,
  { method, ...combination }: Combination,
): Promise<Combined> {
  const first = parts.find((part) => part !== undefined)!
  const shape = [first.b.rows, first.a.columns]
  const zeros = new Float64Array(shape[0]! * shape[1]!)
  const models = parts.map((part) => (part ? multiply(kernels, part.b, part.a).data : zeros))
  const merged = matrix(
    shape[0]!,
    shape[1]!,
    await mergeTensors({ ...combination, method, ...based(method, zeros), models, shape }),
  )
  const kept = Math.min(rank, ...shape)
  const { u, s, vt } = truncatedSvd(kernels, merged, { rank: kept, key: ['merge-adapters', combination.name] })
  const b = matrix(shape[0]!, kept)
  const a = matrix(kept, shape[1]!)
  // Both halves take the square roots of the singular values, so that neither is tiny.
  for (let r = 0; r < kept; r++) {
    const root = Math.sqrt(s[r]!)
    for (let i = 0; i < b.rows; i++) b.data[i * kept + r] = root * u.data[i * u.columns + r]!
    for (let j = 0; j < a.columns; j++) a.data[r * a.columns + j] = root * vt.data[r * vt.columns + j]!
  }
  const back = multiply(kernels, b, a).data
  return { a, b, square: squares(merged.data), lost: squares(merged.data.map((x, i) => x - back[i]!)) }
}

/**
 * A method on all A and on all B. What comes out holds products of factors of different adapters, which none was trained with: PEFT's `linear`,
 * `ties` and `dare` do so. Factors must have one rank.
 */
export async function mergeFactors(
  parts: readonly (Factors | undefined)[],
  { method, ...combination }: Combination,
): Promise<Combined> {
  const first = parts.find((part) => part !== undefined)!
  const merged = async (half: 'a' | 'b'): Promise<Matrix> => {
    const { rows, columns } = first[half]
    const zeros = new Float64Array(rows * columns)
    const models = parts.map((part) => part?.[half].data ?? zeros)
    const name = `${combination.name}.lora_${half.toUpperCase()}`
    const data = await mergeTensors({
      ...combination,
      name,
      method,
      ...based(method, zeros),
      models,
      shape: [rows, columns],
    })
    return matrix(rows, columns, data)
  }
  return { a: await merged('a'), b: await merged('b'), square: 0, lost: 0 }
}

/** Updates are differences already: their base is zero. */
const based = ({ definition }: MergeMethod, zeros: Float64Array) =>
  definition.base === 'required' || definition.base === 'optional' ? { base: zeros } : {}

function squares(values: Float64Array): number {
  let sum = 0
  for (const x of values) sum += x * x
  return sum
}
