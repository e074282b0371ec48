/** What a trained classifier is, from its record and settings: rows, method, encoder, how it was tuned. */
import type { ClassifierSettings } from '../classify/classifier.ts'
import { formatCount, formatNumber, formatScore, plural } from './format.ts'

/** The parts of `espalier.json` that are shown; a checkpoint from elsewhere has none of them. */
export interface ModelRecord {
  espalier?: string
  command?: string
  encoder?: string
  parameters?: number
  seed?: number
  rows?: { train?: number; dev?: number }
  inputs?: { file: string }[]
  metrics?: Record<string, unknown>
}

export function modelEntries(settings: ClassifierSettings, record: ModelRecord): [string, string | string[]][] {
  const { name, options } = settings.method
  const method = [name, ...Object.entries(options).map(([key, value]) => `${key} ${String(value)}`)].join(', ')
  const { encoder, parameters, rows } = record
  const model = [encoder ?? '', method, parameters === undefined ? '' : plural(parameters, 'parameter')]
  const answers = settings.multiLabel ? 'several paths a row, by thresholds' : 'one path a row'
  const tuned = settings.temperature === 1 ? answers : `${answers}; temperature ${formatNumber(settings.temperature)}`
  return [
    ['method', model.filter(Boolean).join(' · ')],
    ...(rows?.train === undefined ? [] : [['rows', rowsText(rows)] as [string, string]]),
    ['answers', settings.minConfidence > 0 ? `${tuned}; least confidence ${settings.minConfidence}` : tuned],
    ...metricEntries(record.metrics),
  ]
}

const rowsText = ({ train = 0, dev = 0 }: { train?: number; dev?: number }): string =>
  dev > 0 ? `${formatCount(train)} trained on, ${formatCount(dev)} dev` : `${formatCount(train)} trained on`

/** The numbers of the record's metrics, one entry for each set they were measured on. */
function metricEntries(metrics: Record<string, unknown> = {}): [string, string][] {
  const names = { exactPath: 'path', leafAccuracy: 'leaf', microF1: 'micro-F1', macroF1: 'macro-F1', ece: 'ECE' }
  const sets = Object.entries(metrics).filter((entry): entry is [string, Record<string, unknown>] => {
    return typeof entry[1] === 'object' && entry[1] !== null
  })
  return sets.flatMap(([set, values]) => {
    const shown = Object.entries(names).flatMap(([key, label]) => {
      const value = values[key]
      return typeof value === 'number' ? [`${label} ${formatScore(value)}`] : []
    })
    return shown.length === 0 ? [] : [[set, shown.join('   ')] as [string, string]]
  })
}
