/** Dense matrices in double precision, row by row in one array: what the linear algebra takes and gives. */
import { InputError } from '../../util/errors.ts'

export interface Matrix {
  readonly rows: number
  readonly columns: number
  /** Row-major, rows * columns values. */
  readonly data: Float64Array
}

/** A matrix of zeros, or of the values given row by row. Throws InputError `MATRIX` for a wrong count. */
export function matrix(rows: number, columns: number, values?: ArrayLike<number>): Matrix {
  if (values === undefined) return { rows, columns, data: new Float64Array(rows * columns) }
  if (values.length !== rows * columns)
    throw new InputError('MATRIX', `Expected ${rows} x ${columns} values, received ${values.length}`)
  return { rows, columns, data: values instanceof Float64Array ? values : Float64Array.from(values) }
}

export function identity(n: number): Matrix {
  const result = matrix(n, n)
  for (let i = 0; i < n; i++) result.data[i * n + i] = 1
  return result
}

export function transposed({ rows, columns, data }: Matrix): Matrix {
  const result = matrix(columns, rows)
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) result.data[j * rows + i] = data[i * columns + j]!
  return result
}

/** The first `count` rows, on the same array. */
export function firstRows({ columns, data }: Matrix, count: number): Matrix {
  return { rows: count, columns, data: data.subarray(0, count * columns) }
}

/** A copy of the first `count` columns. */
export function firstColumns({ rows, columns, data }: Matrix, count: number): Matrix {
  const result = matrix(rows, count)
  for (let i = 0; i < rows; i++) result.data.set(data.subarray(i * columns, i * columns + count), i * count)
  return result
}

/** Multiplies column j by factors[j], in place. */
export function scaleColumns(a: Matrix, factors: ArrayLike<number>): Matrix {
  for (let i = 0, at = 0; i < a.rows; i++) for (let j = 0; j < a.columns; j++) a.data[at++]! *= factors[j]!
  return a
}

/** Multiplies row i by factors[i], in place. */
export function scaleRows(a: Matrix, factors: ArrayLike<number>): Matrix {
  for (let i = 0, at = 0; i < a.rows; i++) for (let j = 0; j < a.columns; j++) a.data[at++]! *= factors[i]!
  return a
}

/** The square root of the sum of squares. */
export function frobeniusNorm({ data }: Matrix): number {
  let sum = 0
  for (const value of data) sum += value * value
  return Math.sqrt(sum)
}

/** The largest magnitude. Throws InputError `NOT_FINITE` where a value is NaN or infinite. */
export function largestMagnitude({ columns, data }: Matrix): number {
  let largest = 0
  for (let i = 0; i < data.length; i++) {
    const size = Math.abs(data[i]!)
    if (!(size <= Number.MAX_VALUE))
      throw new InputError('NOT_FINITE', `Expected finite numbers, received ${data[i]}`, {
        where: { key: `row ${Math.floor(i / columns)}, column ${i % columns}` },
      })
    if (size > largest) largest = size
  }
  return largest
}
