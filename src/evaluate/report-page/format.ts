/** Numbers of a report page as people read them. */

export const count = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: 0 })

/** Settings and sizes: whole numbers in groups of three, others to four significant digits. */
export const plain = (value: number): string =>
  Number.isInteger(value) ? count(value) : value.toLocaleString('en-US', { maximumSignificantDigits: 4 })

/** Scores between 0 and 1. */
export const score = (value: number): string => value.toFixed(3)

/** Decimal units: 4.8 MB. */
export function bytes(value: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB']
  let unit = 0
  for (; value >= 999.5 && unit < units.length - 1; unit++) value /= 1000
  return `${unit > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`
}

/** 4.1 s, 12 min 3 s, 2 h 5 min. */
export function seconds(value: number): string {
  if (value < 59.95) return `${value.toFixed(1)} s`
  const whole = Math.round(value)
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}
