/** Numbers as people read them: counts, bytes, durations, scores. */

export const formatCount = (count: number): string => count.toLocaleString('en-US', { maximumFractionDigits: 0 })

/** `1 row`, `2 rows`. */
export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${formatCount(count)} ${count === 1 ? one : many}`

/** Decimal units, three digits: 4.8 MB. */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB']
  let unit = 0
  while (bytes >= 999.5 && unit < units.length - 1) {
    bytes /= 1000
    unit++
  }
  return `${unit > 0 && bytes < 9.95 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`
}

/** 0.4 s, 12 s, 3 min 5 s, 2 h 10 min. */
export function formatSeconds(seconds: number): string {
  if (seconds < 0.1) return 'under 0.1 s'
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return whole % 60 === 0 ? `${whole / 60} min` : `${Math.floor(whole / 60)} min ${whole % 60} s`
  const minutes = Math.round(whole / 60)
  return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** Scores between 0 and 1, to three places. */
export const formatScore = (score: number): string => score.toFixed(3)

/** A probability, to two places. */
export const formatProbability = (probability: number): string => probability.toFixed(2)

/** Numbers of unknown size, such as a loss: three significant digits. */
export function formatNumber(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value)
  const size = Math.abs(value)
  if (size >= 1000) return formatCount(value)
  return size < 1e-3 ? value.toExponential(1) : String(Number(value.toPrecision(3)))
}

/** A rate: 3,650 rows/s, or 0.42 steps/s. */
export const formatRate = (rate: number, unit: string): string =>
  `${rate >= 10 ? formatCount(rate) : formatNumber(rate)} ${unit}/s`

/** A share as a percentage: 0.4 %, 12 %. */
export const formatPercent = (share: number): string => `${(share * 100).toFixed(share < 0.0995 ? 1 : 0)} %`
