/**
 * Singular vectors of several tasks put side by side and decorrelated: both sets are replaced by the nearest orthonormal ones (Gargiulo et
 * al., "Task Singular Vectors", 2024). Directions that tasks share are not made up twice: they are dropped from the Gram matrix's root.
 */
import { type Matrix, matrix, scaleColumns } from '../../tensor/linear-algebra/matrix.ts'
import type { MatrixKernels } from '../../tensor/linear-algebra/matrix-kernels.ts'
import { multiply } from '../../tensor/linear-algebra/multiply.ts'
import { inverseRoot } from '../../tensor/linear-algebra/polar.ts'
import type { Svd } from '../../tensor/linear-algebra/svd.ts'

/** One decomposition after the other, without change. */
export function sideBySide(parts: readonly Svd[]): Svd {
  const count = parts.reduce((sum, { s }) => sum + s.length, 0)
  const rows = parts[0]!.u.rows
  const columns = parts[0]!.vt.columns
  const u = matrix(rows, count)
  const vt = matrix(count, columns)
  const s = new Float64Array(count)
  let at = 0
  for (const part of parts) {
    const width = part.s.length
    for (let i = 0; i < rows; i++) u.data.set(part.u.data.subarray(i * width, (i + 1) * width), i * count + at)
    vt.data.set(part.vt.data, at * columns)
    s.set(part.s, at)
    at += width
  }
  return { u, s, vt }
}

/** u' diag(s) vt' with u' and vt' the polar factors of u and vt. */
export function decorrelated(kernels: MatrixKernels, { u, s, vt }: Svd): Matrix {
  if (s.length === 0) return matrix(u.rows, vt.columns)
  const left = inverseRoot(kernels, multiply(kernels, u, u, { transposeA: true }))
  const right = inverseRoot(kernels, multiply(kernels, vt, vt, { transposeB: true }))
  const core = multiply(kernels, scaleColumns(left, s), right)
  return multiply(kernels, multiply(kernels, u, core), vt)
}
