/** Compressing merged experts: a matrix as a product of low rank and a sparse rest (MC-SMoE), or projected on its strongest directions (Sub-MoE). */
import {
  eigh,
  firstColumns,
  firstRows,
  type Matrix,
  type MatrixKernels,
  matrix,
  multiply,
  scaleColumns,
  scaleRows,
  truncatedSvd,
} from '../../tensor/linear-algebra/index.ts'

/** The rank that holds `ratio` of a matrix's values in two factors. */
export const factorRank = (rows: number, columns: number, ratio: number): number =>
  Math.max(1, Math.min(rows, columns, Math.ceil((ratio * rows * columns) / (rows + columns) - 1e-9)))

export interface LowRankSparse {
  /** rows x rank and rank x columns. */
  readonly left: Matrix
  readonly right: Matrix
  /** The rows of the rest that are kept, and their values. */
  readonly rows: readonly number[]
  readonly rest: Matrix
}

/**
 * w = left right + rest, where of the rest only the share `kept` of rows with the largest norm is kept.
 * @param rank of the product.
 */
export function lowRankSparse(
  kernels: MatrixKernels,
  w: Matrix,
  { rank, kept, key }: { rank: number; kept: number; key?: readonly (string | number)[] },
): LowRankSparse {
  const { u, s, vt } = truncatedSvd(kernels, w, { rank, ...(key ? { key } : {}) })
  const roots = s.slice(0, rank).map(Math.sqrt)
  const left = scaleColumns(firstColumns(u, roots.length), roots)
  const right = scaleRows({ ...firstRows(vt, roots.length), data: firstRows(vt, roots.length).data.slice() }, roots)
  const product = multiply(kernels, left, right)
  const rest = matrix(
    w.rows,
    w.columns,
    w.data.map((x, i) => x - product.data[i]!),
  )
  const norms = Array.from({ length: w.rows }, (_, i) =>
    rest.data.subarray(i * w.columns, (i + 1) * w.columns).reduce((sum, x) => sum + x * x, 0),
  )
  const rows = [...norms.keys()]
    .sort((a, b) => norms[b]! - norms[a]! || a - b)
    .slice(0, Math.round(kept * w.rows))
    .sort((a, b) => a - b)
  const values = matrix(rows.length, w.columns)
  for (const [at, i] of rows.entries())
    values.data.set(rest.data.subarray(i * w.columns, (i + 1) * w.columns), at * w.columns)
  return { left, right, rows, rest: values }
}

/** The matrix that a product and a sparse rest make. */
export function denseOf(kernels: MatrixKernels, { left, right, rows, rest }: LowRankSparse): Matrix {
  const dense = multiply(kernels, left, right)
  for (const [at, i] of rows.entries())
    for (let j = 0; j < dense.columns; j++) dense.data[i * dense.columns + j]! += rest.data[at * dense.columns + j]!
  return dense
}

/**
 * `mean` projected on the strongest common directions of matrices: the first `rank` left singular vectors of all side by side
 * (`left`), or the right ones of all one above the other. At full rank that is the mean itself.
 */
export function projectOnCommon(
  kernels: MatrixKernels,
  matrices: readonly Matrix[],
  mean: Matrix,
  { rank, side }: { rank: number; side: 'left' | 'right' },
): Matrix {
  const size = side === 'left' ? mean.rows : mean.columns
  if (rank >= size) return mean
  const gram = matrix(size, size)
  for (const w of matrices) {
    const product = multiply(kernels, w, w, side === 'left' ? { transposeB: true } : { transposeA: true })
    for (let i = 0; i < gram.data.length; i++) gram.data[i]! += product.data[i]!
  }
  const basis = firstRows(eigh(kernels, gram).vectors, rank)
  return side === 'left'
    ? multiply(kernels, basis, multiply(kernels, basis, mean), { transposeA: true })
    : multiply(kernels, multiply(kernels, mean, basis, { transposeB: true }), basis)
}
