/** The kernels of dual-svm.as.ts as TypeScript sees them; numbers are addresses in the arena unless they say otherwise. */

/** One pass over the rows in some order, for 4 or 16 problems side by side. Returns the largest violation of the optimality conditions met. */
export type DualSvmPass = (
  rows: number,
  order: number,
  offsets: number,
  columns: number,
  values: number,
  norms: number,
  rights: number,
  live: number,
  weights: number,
  alphas: number,
  bias: number,
  diagonals: number,
  skips: number,
  threshold: number,
) => number // prettier-ignore

/** Margins of rows under the weights of 4 or 16 problems. */
export type DualSvmMargins = (
  rows: number,
  order: number,
  offsets: number,
  columns: number,
  values: number,
  weights: number,
  bias: number,
  margins: number,
) => void // prettier-ignore
