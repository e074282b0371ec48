/** Taming outliers of a difference by robust statistics: the median and the median absolute deviation, which outliers do not move. */

/** 1.4826 median absolute deviations are the standard deviation of normal numbers. */
const normal = 1.4826

/** Clips the values at median ± k * 1.4826 * (median absolute deviation), in place; returns the limits. */
export function clipOutliers(values: Float64Array, k: number): readonly [low: number, high: number] {
  const center = median(values)
  const spread = normal * median(values.map((value) => Math.abs(value - center)))
  const low = center - k * spread
  const high = center + k * spread
  for (let i = 0; i < values.length; i++) values[i] = Math.min(high, Math.max(low, values[i]!))
  return [low, high]
}

function median(values: Float64Array): number {
  const sorted = values.slice().sort()
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
