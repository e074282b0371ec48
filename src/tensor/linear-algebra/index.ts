export { type Assignment, assign } from './assignment.ts'
export { cholesky, solveCholesky, solveRidge } from './cholesky.ts'
export { type Eigh, eigh } from './eigh.ts'
export { type LeastSquares, leastSquares } from './least-squares.ts'
export {
  firstColumns,
  firstRows,
  frobeniusNorm,
  identity,
  largestMagnitude,
  type Matrix,
  matrix,
  scaleColumns,
  scaleRows,
  transposed,
} from './matrix.ts'
export { MatrixKernels } from './matrix-kernels.ts'
export { type MultiplyOptions, multiply } from './multiply.ts'
export { inverseRoot, polarFactor } from './polar.ts'
export { type Qr, qr } from './qr.ts'
export { type SinkhornOptions, sinkhorn, type Transport } from './sinkhorn.ts'
export { type Svd, svd } from './svd.ts'
export { cut, type TruncatedSvdOptions, truncatedSvd } from './truncated-svd.ts'
