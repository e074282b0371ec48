/** A training log as curves for the report page's charts. */
import type { Curve } from '../../../src/evaluate/report.ts'
import type { PageData } from '../../../src/evaluate/report-page/page-data.ts'
import type { TrainLogEntry } from '../../../src/train/train-log.ts'

const measures: [key: 'loss' | 'learningRate' | 'gradientNorm' | 'rowsPerSecond', quantity: string][] = [
  ['loss', 'loss (nats)'],
  ['learningRate', 'learning rate'],
  ['gradientNorm', 'gradient norm'],
  ['rowsPerSecond', 'rows per second'],
]

export function curvesOf(log: readonly TrainLogEntry[]): Curve[] {
  const curve = (name: string, quantity: string, of: (entry: TrainLogEntry) => number | undefined): Curve[] => {
    const points = log.flatMap((entry): [number, number][] => {
      const value = of(entry)
      return typeof value === 'number' && Number.isFinite(value) ? [[entry.step, value]] : []
    })
    return points.length === 0 ? [] : [{ name, quantity, xUnit: 'step', points }]
  }
  const names = [...new Set(log.flatMap(({ dev }) => Object.keys(dev ?? {})))]
  const [loss, ...others] = measures
  return [
    ...curve('train', loss![1], (entry) => entry.loss),
    ...names.flatMap((name) => curve('dev', name, (entry) => entry.dev?.[name])),
    ...others.flatMap(([key, quantity]) => curve('train', quantity, (entry) => entry[key])),
  ]
}

/** Curves alone, as the charts take them. */
export const chartData = (curves: Curve[]): PageData => ({
  names: [],
  titles: {},
  descriptions: {},
  parents: [],
  support: [],
  predicted: [],
  right: [],
  rows: [],
  confusions: [],
  curves,
  reliability: [],
})
