/** Averages a gradient along the straight path from a baseline to an input: the core of integrated gradients (Sundararajan et al., 2017). */

/** The middles of `steps` equal parts of the unit interval. */
export const midpoints = (steps: number): number[] => Array.from({ length: steps }, (_, k) => (k + 0.5) / steps)

/** Two points in each of `parts` equal parts of the unit interval (Gauss and Legendre): equal weights, an error of fourth order. */
export const gaussPoints = (parts: number): number[] =>
  midpoints(parts).flatMap((middle) => [-1, 1].map((side) => middle + side / (2 * Math.sqrt(3) * parts)))

/**
 * The attributions (x - baseline) times the mean gradient over the points baseline + alpha (x - baseline).
 * @param gradientsAt gradients at some alphas, each of the length of `x`.
 */
export async function pathIntegral(
  x: ArrayLike<number>,
  baseline: ArrayLike<number>,
  alphas: readonly number[],
  gradientsAt: (alphas: readonly number[]) => Promise<readonly ArrayLike<number>[]>,
): Promise<Float64Array> {
  const sum = new Float64Array(x.length)
  for (const gradient of await gradientsAt(alphas)) for (let i = 0; i < x.length; i++) sum[i]! += gradient[i]!
  return sum.map((value, i) => (value / alphas.length) * (x[i]! - baseline[i]!))
}
