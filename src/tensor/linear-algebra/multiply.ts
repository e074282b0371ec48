/** Products of matrices. */
import { InputError } from '../../util/errors.ts'
import { type Matrix, matrix } from './matrix.ts'
import type { MatrixKernels } from './matrix-kernels.ts'

export interface MultiplyOptions {
  /** Take the transpose of `a`. */
  transposeA?: boolean
  /** Take the transpose of `b`. */
  transposeB?: boolean
}

/**
 * a * b.
 * @throws InputError `MATRIX` if the inner dimensions differ.
 */
export function multiply(kernels: MatrixKernels, a: Matrix, b: Matrix, options: MultiplyOptions = {}): Matrix {
  const { transposeA = false, transposeB = false } = options
  const [m, k] = transposeA ? [a.columns, a.rows] : [a.rows, a.columns]
  const [inner, n] = transposeB ? [b.columns, b.rows] : [b.rows, b.columns]
  if (k !== inner)
    throw new InputError('MATRIX', `Expected equal inner dimensions, received ${m} x ${k} and ${inner} x ${n}`)
  const result = matrix(m, n)
  kernels.scope(() => {
    const at = kernels.load(a.data)
    const bt = b === a ? at : kernels.load(b.data)
    const target = kernels.zeros(m * n)
    const [aRow, aColumn] = transposeA ? [1, a.columns] : [a.columns, 1]
    const [bRow, bColumn] = transposeB ? [1, b.columns] : [b.columns, 1]
    kernels.wasm.gemm(m, n, k, 1, at, aRow, aColumn, bt, bRow, bColumn, target, n)
    result.data.set(kernels.view(target, m * n))
  })
  return result
}
