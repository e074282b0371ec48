/** Numbers, sizes and times as people read them. */
export { bytes, count, score, seconds } from '../../../src/evaluate/report-page/format.ts'

/** 0.973, and 0.001 where something is there. */
export const probability = (value: number): string =>
  value > 0 && value < 0.0005 ? '<0.001' : value < 1 && value >= 0.9995 ? '>0.999' : value.toFixed(3)

/** +0.012, −0.340, ±0. */
export const signed = (value: number, digits = 3): string => {
  const text = Math.abs(value).toFixed(digits)
  return Number(text) === 0 ? `±${text}` : `${value > 0 ? '+' : '−'}${text}`
}

/** 12 min ago, today 14:03, 2026-03-01. */
export function ago(iso: string, now = Date.now()): string {
  const then = new Date(iso)
  if (Number.isNaN(then.getTime())) return iso
  const minutes = (now - then.getTime()) / 60_000
  if (minutes < 1) return 'just now'
  if (minutes < 60) return `${Math.floor(minutes)} min ago`
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ago`
  return then.toLocaleDateString('sv')
}

/** 734,997 as 735k, 110 M. */
export function size(value: number): string {
  if (value < 10_000) return value.toLocaleString('en-US')
  if (value < 999_500) return `${Math.round(value / 1000)}k`
  return `${(value / 1e6).toFixed(value < 99.95e6 ? 1 : 0)}M`
}
