/** Curves for a report: how training went, and how accuracy grows with the number of rows. */
import { join } from 'node:path'
import { type Dataset, datasetOf } from '../data/dataset.ts'
import { splitRows } from '../data/split.ts'
import type { Curve } from '../evaluate/report.ts'
import { readTrainLog } from '../train/train-log.ts'
import { evaluate } from './evaluate.ts'
import type { TrainOptions } from './options.ts'
import { train } from './train.ts'
import { trainLogFile } from './work-folder.ts'

/** The curves of a model's training log: loss and dev scores by step. Empty for a model that was not trained step by step. */
export async function trainingCurves(folder: string): Promise<Curve[]> {
  const log = await readTrainLog(join(folder, trainLogFile))
  const loss = log.flatMap(({ step, loss }): [number, number][] => (loss === undefined ? [] : [[step, loss]]))
  const names = [...new Set(log.flatMap(({ dev }) => Object.keys(dev ?? {})))]
  const curves: Curve[] =
    loss.length === 0 ? [] : [{ name: 'train', quantity: 'loss (nats)', xUnit: 'step', points: loss }]
  for (const quantity of names) {
    const points = log.flatMap(({ step, dev }): [number, number][] =>
      dev?.[quantity] === undefined ? [] : [[step, dev[quantity]]],
    )
    curves.push({ name: 'dev', quantity, xUnit: 'step', points })
  }
  return curves
}

/**
 * Trains on growing stratified shares of the rows and measures each model on `test`: whether more rows would help.
 * @param shares parts of the rows, above 0 to below 1.
 * @example
 * const curves = await learningCurve(data, dev, [0.125, 0.25, 0.5], { labels: tree })
 */
export async function learningCurve(
  data: Dataset,
  test: Dataset,
  shares: readonly number[],
  options: TrainOptions = {},
): Promise<Curve[]> {
  const rows = await data.collect()
  const path: [number, number][] = []
  const macro: [number, number][] = []
  for (const share of shares) {
    const { dev: part } = splitRows(rows, { dev: share, seed: options.seed ?? 0 })
    const model = await train(datasetOf(part), { ...options, out: undefined })
    const { metrics } = await evaluate(model, test, { signal: options.signal })
    await model.close()
    path.push([part.length, metrics.exactPath])
    macro.push([part.length, metrics.macroF1])
  }
  return [
    { name: 'exact path', quantity: 'score on dev', xUnit: 'training rows', points: path },
    { name: 'macro-F1', quantity: 'score on dev', xUnit: 'training rows', points: macro },
  ]
}
