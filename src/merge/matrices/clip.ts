/** Taming outliers of a difference by robust statistics: the median and the median absolute deviation, which outliers do not move. */

/** 1.4826 median absolute deviations are the standard deviation of normal numbers. */
const normal = 1.4826

/**
 * Clips the values at median ± k * 1.4826 * (median absolute deviation) of those that are not zero, in place; returns the limits. Zeros do
 * not count: they are what training did not touch, as most rows of an embedding.
 */
export function clipOutliers(values: Float64Array, k: number): readonly [low: number, high: number] {
  const changed = values.filter((value) => value !== 0)
  if (changed.length === 0) return [0, 0]
  const center = median(changed)
  const spread = normal * median(changed.map((value) => Math.abs(value - center)))
  const low = center - k * spread
  const high = center + k * spread
  for (let i = 0; i < values.length; i++) if (values[i] !== 0) values[i] = Math.min(high, Math.max(low, values[i]!))
  return [low, high]
}

function median(values: Float64Array): number {
  const sorted = values.slice().sort()
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
