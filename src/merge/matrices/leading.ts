/** The leading singular values and vectors of a difference: by the thin decomposition, or by the smaller Gram matrix where one side is far longer. */
import { eigh } from '../../tensor/linear-algebra/eigh.ts'
import { firstRows, type Matrix, scaleColumns, transposed } from '../../tensor/linear-algebra/matrix.ts'
import type { MatrixKernels } from '../../tensor/linear-algebra/matrix-kernels.ts'
import { multiply } from '../../tensor/linear-algebra/multiply.ts'
import { type Svd, svd } from '../../tensor/linear-algebra/svd.ts'
import { cut } from '../../tensor/linear-algebra/truncated-svd.ts'

/** Sides this far apart take the Gram matrix: embeddings of tokens do. */
const elongated = 6
/** Singular values below this share of the largest are dropped: rounding errors, or too small for the Gram matrix to tell. */
const negligible = 1e-5

/** At most `count` leading singular values that count, descending, with their vectors. */
export function leadingSvd(kernels: MatrixKernels, a: Matrix, count: number): Svd {
  if (a.rows < a.columns) {
    const { u, s, vt } = leadingSvd(kernels, transposed(a), count)
    return { u: transposed(vt), s, vt: transposed(u) }
  }
  const found = a.rows > elongated * a.columns ? bySmallGram(kernels, a) : svd(kernels, a)
  const limit = negligible * (found.s[0] ?? 0)
  return cut(found, Math.min(count, found.s.filter((value) => value > limit).length))
}

function bySmallGram(kernels: MatrixKernels, a: Matrix): Svd {
  const { values, vectors } = eigh(kernels, multiply(kernels, a, a, { transposeA: true }))
  const s = values.map((value) => Math.sqrt(Math.max(0, value)))
  const rank = s.filter((value) => value > negligible * (s[0] ?? 0)).length
  const vt = firstRows(vectors, rank)
  const u = scaleColumns(
    multiply(kernels, a, vt, { transposeB: true }),
    s.subarray(0, rank).map((value) => 1 / value),
  )
  return { u, s: s.slice(0, rank), vt }
}
